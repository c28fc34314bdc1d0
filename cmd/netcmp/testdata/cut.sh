# shellcheck shell=sh
# A run to the server at $1 through a path that is cut in the middle and is back after $5
# seconds, into the file $2; its exit code, and how many seconds it took, into $3; then the
# server's counts, when it has had time to see that the client is gone, into $4.
set -u
code=0
begun=$(date +%s)
netcmp run --proto tcp --connect "$1" --duration 4s --rate-messages 100 --quiet --out "$2" || code=$?
took=$(($(date +%s) - begun))
echo "$code $took" >"$3"
if [ "$code" -ne 0 ]; then sleep 16; fi
while [ $(($(date +%s) - begun)) -le "$5" ]; do sleep 1; done
curl -sk --retry 5 --retry-all-errors --max-time 5 -H "Authorization: Bearer $NETCMP_TOKEN" "https://$1/metrics" >"$4"
