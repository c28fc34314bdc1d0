# shellcheck shell=sh
# What follows, on a host that has IPv6 alone.
ip -4 addr flush dev eth0
ip -4 addr flush dev lo
exec "$@"
