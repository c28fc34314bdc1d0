#!/bin/sh
# Takes away what lab scripts left that were killed before they could do so
# themselves (kill -9): namespaces named netcmp-*. Give --list to see them only.
set -eu
ip netns list | sed -n 's/^\(netcmp-[0-9]*-[a-z]*\).*/\1/p' | while read -r namespace; do
	echo "$namespace"
	if [ "${1-}" != --list ]; then ip netns del "$namespace"; fi
done
