// Package tcp moves messages over TCP.
//
// TCP knows no messages: it carries a stream of bytes, whole and in order, or
// breaks. A message begins where the one before it ended, and its own header
// says how long it is. What the receiver sees of the stream's promise is head-
// of-line blocking: one lost segment holds back every message behind it, and
// when it comes they come together, from one read and with one time of
// arrival.
package tcp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// MaxMessage is the largest message, a bound on what one header can make the
// receiver set aside.
const MaxMessage = 16 << 20

// Transport makes TCP connections.
type Transport struct{}

// New gives the TCP transport.
func New() transport.Transport { return Transport{} }

// Name is "tcp".
func (Transport) Name() string { return "tcp" }

// Properties say that TCP keeps all its promises or breaks the connection.
func (Transport) Properties() transport.Properties {
	return transport.Properties{Reliable: true, Ordered: true, Handshake: true, MaxMessage: MaxMessage}
}

// Listen opens a listening socket. What is asked of the buffers and the
// congestion control is set on it before connections come, because they
// inherit it, and the window scale is agreed on in the handshake.
func (t Transport) Listen(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Listener, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	ln, err := listen(ctx, network, addr, c)
	if err != nil {
		return nil, err
	}
	return &Listener{tcp: ln, config: c, largest: largest}, nil
}

// Dial connects to a listener; it takes the three-way handshake's round trip.
func (t Transport) Dial(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Conn, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	tcp, err := dial(ctx, network, addr, c)
	if err != nil {
		return nil, err
	}
	return newConn(tcp, nil, c, largest)
}

func (t Transport) check(addr netip.AddrPort, c transport.Config) (network string, largest int, err error) {
	if network, err = socket.Network("tcp", addr); err != nil {
		return "", 0, err
	}
	largest, err = t.Properties().Largest(c)
	return network, largest, err
}

// listen opens a listening socket.
func listen(ctx context.Context, network string, addr netip.AddrPort, c transport.Config) (*net.TCPListener, error) {
	lc := net.ListenConfig{
		Control:   control(c),
		KeepAlive: -1, // probes are packets that the experiment did not send
	}
	lc.SetMultipathTCP(false) // Go listens for MPTCP by default
	ln, err := lc.Listen(ctx, network, socket.Unmap(addr).String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// dial connects.
func dial(ctx context.Context, network string, addr netip.AddrPort, c transport.Config) (*net.TCPConn, error) {
	d := net.Dialer{Control: control(c), KeepAlive: -1}
	d.SetMultipathTCP(false)
	// DialTCP would bind the socket first: a port then is engaged for all
	// destinations, and not for this one alone.
	conn, err := d.DialContext(ctx, network, socket.Unmap(addr).String())
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	if err := noDelay(tcp, c); err != nil {
		return nil, err
	}
	return tcp, nil
}

// noDelay switches Nagle's algorithm off, or on. A connection that does not let
// it is closed.
func noDelay(tcp *net.TCPConn, c transport.Config) error {
	if err := tcp.SetNoDelay(!c.Nagle); err != nil {
		_ = tcp.Close()
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	return nil
}

// unsentMost bounds what a sender that has always more may leave in its socket
// beyond what is under way (tcp(7), TCP_NOTSENT_LOWAT), bytes. Without it the
// send buffer, megabytes for the sake of a long fat path, fills with messages at
// the first instant: over a path that loses much they are a minute's work, and
// the run goes on for that long after its end.
const unsentMost = 256 << 10

// The kernel's own patience: it gives up an unanswered SYN after 67 s
// (tcp_syn_retries and tcp_syn_linear_timeouts), a SYN-ACK after 63 s, and a connection
// after 924 s at the least (tcp_retries2). A session that waits for longer than
// kernelPatience raises all three.
const (
	kernelPatience = time.Minute
	synRetriesMax  = 127 // MAX_TCP_SYNCNT
)

// setPatience has the kernel give up no connection before the session does. Both options
// are inherited by the connections of a listener.
func setPatience(fd int, stall time.Duration) error {
	if stall <= kernelPatience {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, synRetriesMax); err != nil {
		return os.NewSyscallError("setsockopt TCP_SYNCNT", err)
	}
	return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT",
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(2*stall, time.Hour).Milliseconds())))
}

// control sets a socket up before it connects or listens.
func control(c transport.Config) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			if err = setCongestion(int(fd), c.Congestion); err == nil {
				err = socket.SetBuffers(int(fd), c.SendBuffer, c.ReceiveBuffer)
			}
			if err == nil {
				err = setPatience(int(fd), c.Stall())
			}
			if err == nil && c.Bulk {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
			}
		}); e != nil {
			return e
		}
		return err
	}
}
