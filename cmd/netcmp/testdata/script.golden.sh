#!/bin/sh
# Network conditions on eth0 by tc netem (tc-netem(8)).
# Made by: netcmp netem script --dev eth0 --ingress 'delay 20ms' --filter 'dst 10.0.0.5 dport 5001' --netem 'delay 20ms 5ms loss gemodel 1% 10%'
#
#   sh SCRIPT start    begins, as root
#   sh SCRIPT stop     takes it all away again
#   sh SCRIPT show     what is there, with its counters
#
# Note: netem on the device of a TCP sender changes TCP itself (it sees its own queue, and drops as its own): for a path, put it on a router between the hosts, or on the receiver with --ingress.
set -eu

dev=eth0
ifb=nc-eth0 # what comes in is led through it
# What there is to put back; it is there from start to stop.
kept=/run/netcmp-$dev-$(readlink /proc/self/ns/net | tr -dc 0-9)

start() {
	if [ -e "$kept" ]; then
		echo "$dev: it has begun already: sh $0 stop" >&2
		exit 1
	fi
	if tc qdisc show dev "$dev" | grep -q -e ingress -e clsact ||
		ip link show dev "$ifb" >/dev/null 2>&1; then
		echo "$dev: what comes in is led elsewhere already" >&2
		exit 1
	fi
	# If a step fails, those before it are undone.
	trap 'stop 2>/dev/null || true' EXIT
	: >"$kept"
	# Trains of packets would meet netem as one.
	ethtool -k "$dev" | sed -n -e 's/^tcp-segmentation-offload: on$/tso on/p' \
		-e 's/^generic-segmentation-offload: on$/gso on/p' -e 's/^generic-receive-offload: on$/gro on/p' >"$kept"
	ethtool -K "$dev" tso off gso off gro off
	# Only what the filters pick goes to band 4, where netem is.
	tc qdisc add dev "$dev" root handle 4e43: prio bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1
	tc qdisc add dev "$dev" parent 4e43:4 handle 4e44: netem delay 20ms 5ms loss gemodel 1% 10%
	tc filter add dev "$dev" parent 4e43: prio 1 protocol ip flower ip_proto tcp dst_ip 10.0.0.5/32 dst_port 5001 classid 4e43:4
	tc filter add dev "$dev" parent 4e43: prio 2 protocol ip flower ip_proto udp dst_ip 10.0.0.5/32 dst_port 5001 classid 4e43:4
	# netem delays what leaves a device: what comes in leaves by the ifb.
	ip link add name "$ifb" type ifb
	ip link set dev "$ifb" up
	tc qdisc add dev "$ifb" root handle 4e43: netem delay 20ms
	tc qdisc add dev "$dev" handle ffff: ingress
	tc filter add dev "$dev" parent ffff: prio 1 protocol ip flower ip_proto tcp dst_ip 10.0.0.5/32 dst_port 5001 action mirred egress redirect dev "$ifb"
	tc filter add dev "$dev" parent ffff: prio 2 protocol ip flower ip_proto udp dst_ip 10.0.0.5/32 dst_port 5001 action mirred egress redirect dev "$ifb"
	trap - EXIT
}

stop() {
	if [ ! -e "$kept" ]; then
		echo "$dev: nothing has begun" >&2
		exit 1
	fi
	failed=0
	tc qdisc del dev "$dev" ingress || failed=1
	ip link del dev "$ifb" || failed=1
	tc qdisc del dev "$dev" root handle 4e43: || failed=1
	if [ -s "$kept" ]; then
		xargs ethtool -K "$dev" <"$kept" || failed=1
	fi
	rm -f "$kept"
	return "$failed"
}

show() {
	tc -s qdisc show dev "$dev"
	tc -s qdisc show dev "$ifb"
}

case ${1-} in
start | stop | show) "$1" ;;
*)
	echo "usage: sh $0 start|stop|show" >&2
	exit 2
	;;
esac
