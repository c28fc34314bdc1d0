package socket

import (
	"fmt"
	"net/netip"
)

// Network is the name that package net has for proto, "tcp" or "udp", in the
// family of addr. Naming the family keeps a socket to it: an IPv6 one then
// takes no IPv4 in disguise.
func Network(proto string, addr netip.AddrPort) (string, error) {
	switch {
	case !addr.IsValid():
		return "", fmt.Errorf("%s: no valid address", proto)
	case addr.Addr().Unmap().Is4():
		return proto + "4", nil
	default:
		return proto + "6", nil
	}
}

// Unmap gives addr with an IPv4 address that is written as an IPv6 one
// written plainly.
func Unmap(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// From reports whether remote is the address that from names: an invalid from
// names all, one without a port all ports, one without a zone all zones.
func From(from, remote netip.AddrPort) bool {
	if !from.IsValid() {
		return true
	}
	if from.Port() != 0 && from.Port() != remote.Port() {
		return false
	}
	want, is := from.Addr().Unmap(), remote.Addr().Unmap()
	if want.Zone() == "" {
		is = is.WithZone("")
	}
	return want == is
}
