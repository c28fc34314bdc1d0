#!/bin/sh
# Makes the pages that the README shows, as Chromium shows them without a network:
# docs/comparison.png of a comparison of all six protocols, and docs/oneloss.html
# with docs/oneloss.png of one lost message over TCP and UDP.
set -eu
cd "$(dirname "$0")/../.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "screenshots: it takes Chromium (apt-get install chromium)" >&2
	exit 3
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# picture PAGE SIZE PNG
picture() {
	"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
		--host-resolver-rules='MAP * ~NOTFOUND' --user-data-dir="$scratch/profile" \
		--window-size="$2" --screenshot="$scratch/page.png" "file://$1" 2>/dev/null
	mv "$scratch/page.png" "$3"
}

bin/netcmp compare --protos tcp,tls,udp,quic,quic-streams,quic-datagram --congestion reno \
	--loss 1% --delay 20ms --count 1500 --repeat 6 --seed 2026 --quiet --html "$scratch/comparison.html"
picture "$scratch/comparison.html" 1000,2840 docs/comparison.png

bin/netcmp compare --protos tcp,udp --congestion reno --netem-up 'delay 25ms loss list 40' --netem-down 'delay 25ms' \
	--count 80 --rate-messages 50 --repeat 6 --seed 2026 --quiet --html docs/oneloss.html
picture "$PWD/docs/oneloss.html" 1000,1100 docs/oneloss.png
