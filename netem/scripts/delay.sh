#!/bin/sh
# Delay and jitter: a round trip takes both ways; a jitter reorders letters.
. "$(dirname "$0")/lab.sh"
lab_up
path delay 50ms
ip netns exec "$client" ping -c 3 -i 0.2 "$server_address" || true
path delay 50ms 20ms distribution normal
measure --proto udp --count "${COUNT:-2000}"
counters
