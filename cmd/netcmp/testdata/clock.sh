# Some runs by an estimated clock, to the server at $1, into the file $2.
set -eu
for run in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	netcmp run --proto udp --clock estimate --count 100 --connect "$1" --quiet --out "$2"
done
