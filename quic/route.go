package quic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	quicgo "github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"
)

// datagramMin is what a path has to carry in one datagram for QUIC (RFC 9000 §14).
const datagramMin = 1200

// localAddr is the address of this host's that packets to addr leave from. It is an
// error if the device there carries no packets that are large enough.
func (t Transport) localAddr(ctx context.Context, network string, addr netip.AddrPort) (netip.AddrPort, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr.String()) // a UDP socket: nothing is sent
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	mtu, need := mtuOf(conn.(*net.UDPConn), addr.Addr())
	if mtu > 0 && mtu < need {
		return netip.AddrPort{}, fmt.Errorf("%s needs packets of %d bytes at the least (RFC 9000 section 14), and the way to %v has an MTU of %d", t.name, need, addr.Addr(), mtu)
	}
	return netip.AddrPortFrom(addrPort(conn.LocalAddr()).Addr(), 0), nil
}

// mtuOf reads how large the packets to addr may be so far as this host knows (ip(7),
// IP_MTU), 0 if it does not say; and how large the smallest of QUIC's are, with the
// headers of UDP (RFC 768) and of IP.
func mtuOf(conn *net.UDPConn, addr netip.Addr) (mtu, need int) {
	level, option, need := unix.IPPROTO_IPV6, unix.IPV6_MTU, datagramMin+8+40
	if addr.Is4() {
		level, option, need = unix.IPPROTO_IP, unix.IP_MTU, datagramMin+8+20
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, need
	}
	_ = raw.Control(func(fd uintptr) { mtu, _ = unix.GetsockoptInt(int(fd), level, option) })
	return mtu, need
}

// late says what it means that a handshake has not come to its end in time.
func (t Transport) late(err error, addr netip.AddrPort) error {
	var shaking *quicgo.HandshakeTimeoutError
	var idle *quicgo.IdleTimeoutError
	if errors.As(err, &shaking) || errors.As(err, &idle) {
		return fmt.Errorf("%s: no handshake with %v: nobody answers there, or datagrams of %d bytes do not get through: %w", t.name, addr, datagramMin, err)
	}
	return err
}
