# shellcheck shell=sh
# A server that makes paths on eth0, with the flags after $1. In the folder $1 it tells
# what the device has when it is asked to: before, between two sessions, during one, and
# after it was killed in the middle of that.
set -u
dir=$1
shift
state() { tc qdisc show dev eth0 && tc filter show dev eth0 parent ffff: 2>/dev/null; ip -oneline link show | sed 's/.*: \([a-z0-9-]*\).*mtu.*/\1/'; }
await() { until [ -e "$dir/$1" ]; do sleep 0.05; done }
state >"$dir/before"
netcmp serve --listen 198.18.0.2:7700 --allow-netem eth0 "$@" &
server=$!
await ask-between
state >"$dir/between"
: >"$dir/told-between"
await ask-kill
state >"$dir/during"
# The program itself, and not the shell that runs it.
kill -9 "$server"
wait "$server"
n=0
until state >"$dir/after" && cmp -s "$dir/before" "$dir/after" || [ "$n" -ge 100 ]; do
	n=$((n + 1))
	sleep 0.1
done
: >"$dir/told-after"
await never
