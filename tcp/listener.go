package tcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// Listener waits for connections. Accept may be called again for a further
// one; one call waits at a time.
type Listener struct {
	tcp     *net.TCPListener
	config  transport.Config
	largest int
	waiting sync.Mutex // held by Accept, which owns the deadline
}

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

// Addr is the address that the listener is bound to.
func (l *Listener) Addr() netip.AddrPort { return addrPort(l.tcp.Addr()) }

// Accept waits for a connection from from. Others are reset, so that they
// learn at once that they were not meant, and the wait goes on.
func (l *Listener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := l.tcp.SetDeadline(time.Time{}); err != nil {
		return nil, closed(err)
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = l.tcp.SetDeadline(past) // fails on a closed listener, which waits for nothing
	})
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, ctx.Err()
			}
			return nil, closed(err)
		}
		if !socket.From(from, addrPort(tcp.RemoteAddr())) {
			reset(tcp)
			continue
		}
		if err := noDelay(tcp, l.config); err != nil {
			return nil, err
		}
		return newConn(tcp, nil, l.config, l.largest)
	}
}

// Close stops listening and ends Accept. Connections go on.
func (l *Listener) Close() error {
	if err := l.tcp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return transport.ErrClosed
	}
	return err
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return socket.Unmap(tcp.AddrPort())
}
