# shellcheck shell=sh
# What the lab scripts share: two hosts with a router between them, in network
# namespaces. Not run by itself: the others read it.
#
#   client 198.18.1.1 ── to-client [router] to-server ── 198.18.2.1 server
#
# netem stands on the router, not on the hosts: a TCP sender whose own device
# delays and drops its packets behaves differently.

set -eu

netcmp=${NETCMP:-netcmp}   # the program; NETCMP=bin/netcmp for one just built
lab=netcmp-$$              # of the names, so that two labs do not meet
client=$lab-client router=$lab-router server=$lab-server
server_address=198.18.2.1

lab_down() {
	trap - EXIT
	# Devices go with their namespaces.
	if [ -n "${serving-}" ]; then kill "$serving" 2>/dev/null || true; fi
	for namespace in "$client" "$router" "$server"; do
		ip netns del "$namespace" 2>/dev/null || true
	done
}

lab_up() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "$0: network namespaces with names take root; netcmp run --engine kernel does not" >&2
		exit 3
	fi
	trap lab_down EXIT
	trap 'exit 130' INT TERM HUP
	for namespace in "$client" "$router" "$server"; do
		ip netns add "$namespace"
		ip -n "$namespace" link set lo up
	done
	if ! tc -n "$router" qdisc add dev lo root netem 2>/dev/null; then
		echo "$0: this kernel has no netem (modprobe sch_netem); netcmp run --engine emulator needs none" >&2
		exit 3
	fi
	ip -n "$router" link add to-client type veth peer name eth0 netns "$client"
	ip -n "$router" link add to-server type veth peer name eth0 netns "$server"
	ip -n "$router" addr add 198.18.1.254/24 dev to-client
	ip -n "$router" addr add 198.18.2.254/24 dev to-server
	ip -n "$client" addr add 198.18.1.1/24 dev eth0
	ip -n "$server" addr add "$server_address/24" dev eth0
	for end in to-client to-server; do ip -n "$router" link set "$end" up; done
	for host in "$client" "$server"; do ip -n "$host" link set eth0 up; done
	ip -n "$client" route add default via 198.18.1.254
	ip -n "$server" route add default via 198.18.2.254
	# netem drops the hosts' ARP, too: after three in a row there is no route to the
	# other. So everybody knows everybody from the start.
	neighbours "$client" eth0 198.18.1.1 "$router" to-client 198.18.1.254
	neighbours "$server" eth0 "$server_address" "$router" to-server 198.18.2.254
	ip netns exec "$router" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	# One packet is to be one packet: netem draws once for a train of them.
	ip netns exec "$client" ethtool -K eth0 tso off gso off gro off tx-udp-segmentation off >/dev/null
	ip netns exec "$server" ethtool -K eth0 tso off gso off gro off tx-udp-segmentation off >/dev/null
	for end in to-client to-server; do
		ip netns exec "$router" ethtool -K "$end" tso off gso off gro off tx-udp-segmentation off >/dev/null
	done
}

# neighbours NAMESPACE DEVICE ADDRESS NAMESPACE DEVICE ADDRESS tells two neighbours
# each other's Ethernet address.
neighbours() {
	ip -n "$1" neigh replace "$6" dev "$2" nud permanent lladdr "$(ip netns exec "$4" cat "/sys/class/net/$5/address")"
	ip -n "$4" neigh replace "$3" dev "$5" nud permanent lladdr "$(ip netns exec "$1" cat "/sys/class/net/$2/address")"
}

# path ARGUMENTS... puts netem on both of the router's ways out.
path() {
	for end in to-client to-server; do
		echo "router# tc qdisc replace dev $end root netem $*"
		tc -n "$router" qdisc replace dev "$end" root netem "$@"
	done
}

# counters shows what netem has counted.
counters() {
	for end in to-server to-client; do tc -n "$router" -s qdisc show dev "$end"; done
}

# measure FLAGS... runs netcmp from the client to the server.
measure() {
	if [ -z "${serving-}" ]; then
		identity=$(mktemp -u)
		NETCMP_FINGERPRINT=$("$netcmp" serve --identity "$identity" --print-fingerprint)
		export NETCMP_FINGERPRINT NETCMP_TOKEN=lab
		ip netns exec "$server" "$netcmp" serve --listen "$server_address:7700" --identity "$identity" --log-level warn 2>/dev/null &
		serving=$!
		sleep 1
		rm -f "$identity"
	fi
	echo "client# netcmp run --connect $server_address:7700 $*"
	ip netns exec "$client" "$netcmp" run --connect "$server_address:7700" "$@"
}
