package udp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"netcmp/transport/socket"
)

func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return socket.Unmap(udp.AddrPort())
}

// sockaddr is addr as a system call takes it.
func sockaddr(addr netip.AddrPort) (unix.Sockaddr, error) {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if zone := addr.Addr().Zone(); zone != "" {
		if device, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(device.Index)
		} else if id, e := strconv.ParseUint(zone, 10, 32); e == nil {
			sa.ZoneId = uint32(id)
		} else {
			return nil, fmt.Errorf("udp: zone of %v: %w", addr, err)
		}
	}
	return sa, nil
}

// name is room for a sender's address, as the kernel writes it: a struct
// sockaddr_in or the larger sockaddr_in6.
type name [unix.SizeofSockaddrInet6]byte

// peer recognises the one sender whose datagrams are ours.
type peer struct {
	v4   bool
	head uint64 // IPv4: family, port and address are the first eight bytes
	port uint16
	addr [16]byte
}

func newPeer(addr netip.AddrPort) peer {
	p := peer{v4: addr.Addr().Is4(), port: addr.Port(), addr: addr.Addr().As16()}
	if p.v4 {
		var b [8]byte
		binary.NativeEndian.PutUint16(b[0:], unix.AF_INET)
		binary.BigEndian.PutUint16(b[2:], addr.Port())
		v4 := addr.Addr().As4()
		copy(b[4:], v4[:])
		p.head = binary.NativeEndian.Uint64(b[:])
	}
	return p
}

// is reports whether n is the peer's address.
func (p *peer) is(n *name) bool {
	if p.v4 {
		return binary.NativeEndian.Uint64(n[:]) == p.head
	}
	// Family, port, flow label, address, scope: the label may vary and the
	// scope follows from the device.
	return binary.NativeEndian.Uint16(n[0:]) == unix.AF_INET6 &&
		binary.BigEndian.Uint16(n[2:]) == p.port &&
		[16]byte(n[8:24]) == p.addr
}
