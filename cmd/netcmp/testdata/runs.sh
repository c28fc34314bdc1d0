# shellcheck shell=sh
# Every protocol, in each direction, to the server at $1; what comes of it is appended
# to the file $2.
set -eu
for proto in tcp tls udp quic quic-streams quic-datagram; do
	for more in "--direction up" "--direction down" "--direction both" "--pattern request-response"; do
		# shellcheck disable=SC2086 # two words
		netcmp run --proto $proto $more --count 100 --connect "$1" --quiet --out "$2"
	done
done
