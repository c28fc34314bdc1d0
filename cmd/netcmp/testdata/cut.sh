# shellcheck shell=sh
# A run to the server at $1 through a path that is cut in the middle, into the file $2,
# and its exit code into $3; then the server's count of sessions, when it has had time
# to see that the client is gone, into $4.
set -u
code=0
netcmp run --proto tcp --connect "$1" --duration 4s --rate-messages 100 --quiet --out "$2" || code=$?
echo "$code" >"$3"
if [ "$code" -ne 0 ]; then sleep 16; fi
curl -sk --max-time 5 -H "Authorization: Bearer $NETCMP_TOKEN" "https://$1/metrics" >"$4"
