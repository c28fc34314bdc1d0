package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// Listener is a bound socket that is not yet connected to its client.
type Listener struct {
	udp     *net.UDPConn
	config  transport.Config
	largest int

	mu    sync.Mutex
	taken bool // the socket is a Conn's now
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return addrPort(l.udp.LocalAddr()) }

// Accept connects the socket to the client at from, which must be named, and
// gives it away: a listener has one connection. It does not wait.
func (l *Listener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from = socket.Unmap(from)
	if !from.IsValid() || from.Port() == 0 {
		return nil, fmt.Errorf("udp: the client's address must be known, and %q is none", from)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken {
		return nil, fmt.Errorf("%w: its one socket is connected already", transport.ErrClosed)
	}
	remote, err := sockaddr(from)
	if err != nil {
		return nil, err
	}
	raw, err := l.udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	if e := raw.Control(func(fd uintptr) { err = unix.Connect(int(fd), remote) }); e != nil {
		if errors.Is(e, net.ErrClosed) {
			return nil, transport.ErrClosed
		}
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("udp: connecting the socket to %v: %w", from, err)
	}
	conn, err := newConn(l.udp, from, l.config, l.largest)
	if err != nil {
		return nil, err
	}
	l.taken = true
	return conn, nil
}

// Close closes the socket, unless Accept has given it away.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken {
		return nil
	}
	if err := l.udp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
