# shellcheck shell=sh
# In the client's host: a further host behind it, whose address the client's host
# translates. What follows runs there.
set -eu
unshare -n sleep 120 &
inner=$!
trap 'kill $inner' EXIT
while [ "$(readlink /proc/$inner/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add inside type veth peer name out netns $inner
ip addr add 198.19.0.1/24 dev inside
ip link set inside up
nsenter -t $inner -n sh -c 'ip link set lo up; ip addr add 198.19.0.2/24 dev out; ip link set out up; ip route add default via 198.19.0.1'
echo 1 >/proc/sys/net/ipv4/ip_forward
nft 'add table ip translate'
nft 'add chain ip translate out { type nat hook postrouting priority 100; }'
nft 'add rule ip translate out oifname eth0 masquerade random'
nsenter -t $inner -n "$@"
