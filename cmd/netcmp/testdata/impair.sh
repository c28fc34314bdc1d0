# shellcheck shell=sh
# Runs against the server at $1 that ask it for a path, into files of the folder $2.
set -u
dir=$2
await() { until [ -e "$dir/$1" ]; do sleep 0.05; done }
run() { netcmp run --connect "$addr" --impair --quiet --rate-messages 500 "$@"; }
addr=$1
run --proto udp --count 2000 --netem-up 'delay 25ms loss 10%' --netem-down 'delay 15ms' --pattern request-response --out "$dir/out.jsonl" || exit
run --proto tcp --count 500 --netem-down 'delay 40ms' --direction down --out "$dir/out.jsonl" || exit
# Beside a session with a path, one that wants its own is told, and one that wants none
# does not meet it.
run --proto udp --count 1000 --netem-up 'delay 30ms' --out "$dir/out.jsonl" &
sleep 1
run --proto udp --count 10 --delay 1ms >"$dir/second" 2>&1
echo "$?" >"$dir/second-code"
netcmp run --connect "$addr" --quiet --proto udp --rate-messages 500 --count 100 --pattern request-response --out "$dir/out.jsonl" || exit
wait "$!"
: >"$dir/ask-between"
await told-between
run --proto tcp --duration 30s --delay 10ms >"$dir/killed" 2>&1 &
sleep 2
: >"$dir/ask-kill"
wait "$!"
echo "$?" >"$dir/killed-code"
await told-after
