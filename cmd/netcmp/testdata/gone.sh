# shellcheck shell=sh
# A client that goes without a word in the middle of a run of protocol $3 to the server at
# $1: nothing of its machine's comes any more. The server's counts, when it has had time
# to see that, go into the file $2.
set -u
netcmp run --proto "$3" --connect "$1" --duration 60s --rate-messages 100 --quiet >/dev/null 2>&1 &
client=$!
sleep 2
nft 'add table ip cut'
nft 'add chain ip cut out { type filter hook output priority 0; policy drop; }'
kill -9 $client
wait $client
sleep 17
nft 'delete table ip cut'
curl -sk --max-time 5 -H "Authorization: Bearer $NETCMP_TOKEN" "https://$1/metrics" >"$2"
