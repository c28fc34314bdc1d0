// Package udp moves messages over UDP.
//
// A message is a datagram, and UDP promises nothing: it may come twice, late,
// damaged or not at all, and nobody says so. What this package owes in return
// is that nothing is lost in silence on its own side. It reads many datagrams
// by one system call, so that a burst does not wait in the socket's buffer,
// asks for a large buffer, and reports what that buffer still had to throw
// away, which is no loss of the network's.
//
// There is no handshake. The listener is a socket; Accept connects that very
// socket to the client, so that what arrived before is not lost, strangers are
// kept out by the kernel and ICMP errors find their way back.
package udp

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// MaxMessage is what an IPv4 datagram holds: 65535 bytes less the headers of
// IP and UDP.
const MaxMessage = 65535 - 20 - 8

// Default sizes asked for the socket's buffers. The receive buffer bridges the
// time in which the receiver does not get to run: at 100,000 small messages a
// second 4 MiB are some 100 ms.
const (
	DefaultSendBuffer    = 1 << 20
	DefaultReceiveBuffer = 4 << 20
)

// Transport makes UDP connections.
type Transport struct{}

// New gives the UDP transport.
func New() transport.Transport { return Transport{} }

// Name is "udp".
func (Transport) Name() string { return "udp" }

// Properties say that UDP promises nothing.
func (Transport) Properties() transport.Properties {
	return transport.Properties{MaxMessage: MaxMessage}
}

// Listen binds a socket, which receives from then on. It should be bound to
// the address that the client will use: a reply from another one would not be
// taken. UDP has no congestion control: what is asked of it is left aside.
func (t Transport) Listen(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Listener, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: control(c)}
	pc, err := lc.ListenPacket(ctx, network, socket.Unmap(addr).String())
	if err != nil {
		return nil, err
	}
	return &Listener{udp: pc.(*net.UDPConn), config: c, largest: largest}, nil
}

// Dial binds a socket and names the other end to it. Nothing is sent, and
// nobody need be there.
func (t Transport) Dial(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Conn, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: control(c)}
	udp, err := d.DialUDP(ctx, network, netip.AddrPort{}, socket.Unmap(addr))
	if err != nil {
		return nil, err
	}
	conn, err := newConn(udp, socket.Unmap(addr), c, largest)
	if err != nil {
		_ = udp.Close()
		return nil, err
	}
	return conn, nil
}

func (t Transport) check(addr netip.AddrPort, c transport.Config) (network string, largest int, err error) {
	if network, err = socket.Network("udp", addr); err != nil {
		return "", 0, err
	}
	largest, err = t.Properties().Largest(c)
	return network, largest, err
}

// control sets a socket up before it is bound.
func control(c transport.Config) func(network, address string, raw syscall.RawConn) error {
	send, receive := c.SendBuffer, c.ReceiveBuffer
	if send == 0 {
		send = DefaultSendBuffer
	}
	if receive == 0 {
		receive = DefaultReceiveBuffer
	}
	return func(network, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			if err = socket.SetBuffers(int(fd), send, receive); err == nil {
				err = fragment(int(fd), network)
			}
		}); e != nil {
			return e
		}
		return err
	}
}

// fragment lets IP cut what is larger than a packet. By default Linux sends
// with "don't fragment" and learns the path's MTU from the errors that come
// back (ip(7), IP_MTU_DISCOVER), at the price of the messages it learns from.
func fragment(fd int, network string) error {
	if network == "udp4" {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT)
}
