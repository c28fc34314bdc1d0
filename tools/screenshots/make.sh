#!/bin/sh
# Makes docs/comparison.png: the page of a comparison of all six protocols, as
# Chromium shows it without a network.
set -eu
cd "$(dirname "$0")/../.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "screenshots: it takes Chromium (apt-get install chromium)" >&2
	exit 3
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

bin/netcmp compare --protos tcp,tls,udp,quic,quic-streams,quic-datagram --congestion reno \
	--loss 1% --delay 20ms --count 1500 --repeat 6 --seed 2026 --quiet --html "$scratch/page.html"
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
	--host-resolver-rules='MAP * ~NOTFOUND' --user-data-dir="$scratch/profile" \
	--window-size=1000,1900 --screenshot="$scratch/page.png" "file://$scratch/page.html" 2>/dev/null
mv "$scratch/page.png" docs/comparison.png
