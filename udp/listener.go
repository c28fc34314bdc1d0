package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/message"
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

	// Whoever waits for a hello holds mu: Close wakes him.
	waiting, closing atomic.Bool
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return addrPort(l.udp.LocalAddr()) }

// Accept connects the socket to the client at from, and gives it away: a listener
// has one connection. It does not wait where from has a port. Where it has none, it
// waits for a hello of the session from that address, and its port is the client's,
// whatever a translator of addresses on the way has made of it. Nothing is sent to
// anybody before that.
func (l *Listener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from = socket.Unmap(from)
	if !from.Addr().IsValid() {
		return nil, fmt.Errorf("udp: the client's address must be known, and %q is none", from)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken {
		return nil, fmt.Errorf("%w: its one socket is connected already", transport.ErrClosed)
	}
	if from.Port() == 0 {
		var err error
		if from, err = l.greeted(ctx, from.Addr()); err != nil {
			return nil, err
		}
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

// greeted waits for a hello of the session from an address.
func (l *Listener) greeted(ctx context.Context, client netip.Addr) (netip.AddrPort, error) {
	l.waiting.Store(true)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = l.udp.SetReadDeadline(past)
	})
	defer func() {
		if !stop() {
			<-ended
		}
		l.waiting.Store(false)
		_ = l.udp.SetReadDeadline(time.Time{})
	}()
	if l.closing.Load() {
		return netip.AddrPort{}, transport.ErrClosed
	}
	buf := make([]byte, message.HeaderSize+1)
	for {
		n, from, err := l.udp.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil:
			return from, ctx.Err()
		case l.closing.Load(), errors.Is(err, net.ErrClosed):
			return from, transport.ErrClosed
		case err != nil:
			continue // ICMP's errors are nobody's here
		}
		from = socket.Unmap(from)
		h, err := message.Parse(buf[:n])
		if err == nil && h.Kind == message.Hello && h.Session == l.config.Session && from.Addr() == client {
			return from, nil
		}
	}
}

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

// Close closes the socket, unless Accept has given it away.
func (l *Listener) Close() error {
	l.closing.Store(true)
	woken := l.waiting.Load()
	if woken {
		_ = l.udp.SetReadDeadline(past)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken {
		if woken { // he was not waiting any more
			_ = l.udp.SetReadDeadline(time.Time{})
		}
		return nil
	}
	if err := l.udp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
