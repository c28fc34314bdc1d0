# shellcheck shell=sh
# Between this host and a further one, over a wire that carries packets of $1 bytes:
# messages of $2 bytes over each of the protocols that follow, both ways, into the file $3.
# How many packets those of UDP take, to the server, goes into $4.
set -eu
mtu=$1 size=$2 out=$3 packets=$4
shift 4
unshare -n sleep 120 &
far=$!
trap 'kill $far $server 2>/dev/null' EXIT
while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add near mtu "$mtu" type veth peer name far mtu "$mtu" netns $far
ip addr add 198.19.0.1/24 dev near
ip link set near up
nsenter -t $far -n sh -c 'ip link set lo up; ip addr add 198.19.0.2/24 dev far; ip link set far up'
netcmp serve --listen 198.19.0.1:7700 --identity "$NETCMP_IDENTITY" --log-level warn &
server=$!
until grep -q ':1E14 00000000:0000 0A' /proc/net/tcp; do sleep 0.05; done # it listens
received() { awk '$1 == "near:" { print $3 }' /proc/net/dev; }
run() { nsenter -t $far -n netcmp run --connect 198.19.0.1:7700 --count 200 --rate-messages 500 --size "$size" --quiet "$@"; }
for proto; do
	before=$(received)
	run --proto "$proto" --direction up --out "$out"
	if [ "$proto" = udp ]; then echo $(($(received) - before)) >"$packets"; fi
	run --proto "$proto" --direction down --out "$out"
done
