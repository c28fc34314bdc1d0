# shellcheck shell=sh
# A run of protocol $4 to the server at $1 whose data connection, at port 7701, dies in the
# middle without a word, as one that a firewall has forgotten; the control channel goes on.
# The document goes into the file $2, and the exit code into $3.
set -u
code=0
netcmp run --proto "$4" --connect "$1" --duration 4s --rate-messages 100 --quiet --out "$2" &
client=$!
sleep 2
nft 'add table ip cut'
nft 'add chain ip cut out { type filter hook output priority 0; }'
nft 'add chain ip cut in { type filter hook input priority 0; }'
nft 'add rule ip cut out th dport 7701 drop'
nft 'add rule ip cut in th sport 7701 drop'
wait $client || code=$?
echo "$code" >"$3"
