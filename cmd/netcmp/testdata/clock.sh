# shellcheck shell=sh
# $3 runs by an estimated clock, to the server at $1, into the file $2.
set -eu
left=$3
while [ "$left" -gt 0 ]; do
	netcmp run --proto udp --clock estimate --count 100 --connect "$1" --quiet --out "$2"
	left=$((left - 1))
done
