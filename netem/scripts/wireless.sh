#!/bin/sh
# A bad wireless link: a slow radio with its queue, delay that varies, and loss
# in bursts.
. "$(dirname "$0")/lab.sh"
lab_up
path rate 6mbit limit 100 delay 15ms 10ms loss gemodel 1% 30% duplicate 0.1%
measure --proto udp --count "${COUNT:-2000}"
measure --proto tcp --count "${COUNT:-2000}"
counters
