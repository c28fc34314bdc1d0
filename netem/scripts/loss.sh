#!/bin/sh
# Loss: what a letter loses, a phone call repeats, and what that costs in time.
. "$(dirname "$0")/lab.sh"
lab_up
path delay 20ms loss 2%
measure --proto udp --count "${COUNT:-2000}"
measure --proto tcp --count "${COUNT:-2000}"
counters
