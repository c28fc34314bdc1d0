#!/bin/sh
# The same share of packets lost, one by one and in bursts (Gilbert-Elliott):
# 7.4 % either way, but in bursts of four.
. "$(dirname "$0")/lab.sh"
lab_up
path delay 20ms loss 7.4%
measure --proto udp --count "${COUNT:-2000}"
path delay 20ms loss gemodel 2% 25%
measure --proto udp --count "${COUNT:-2000}"
measure --proto tcp --count "${COUNT:-2000}"
