package quic

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// Listener is a socket on which quic-go shakes hands in the background, so that
// a client's handshake does not wait for Accept.
type Listener struct {
	way         Transport
	host        *host
	quic        *quicgo.Listener
	certificate []byte
	largest     int

	closing sync.Once
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return addrPort(l.host.udp.LocalAddr()) }

// Certificate is what clients have to trust.
func (l *Listener) Certificate() []byte { return l.certificate }

// Accept waits for a connection from from whose handshake is done. Others are
// closed, and the wait goes on.
func (l *Listener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		session, err := l.quic.Accept(ctx)
		if errors.Is(err, quicgo.ErrServerClosed) || errors.Is(err, quicgo.ErrTransportClosed) {
			return nil, transport.ErrClosed
		}
		if err != nil {
			return nil, err
		}
		if !socket.From(from, addrPort(session.RemoteAddr())) || !l.host.use() {
			_ = session.CloseWithError(farewell, "not expected")
			continue
		}
		return l.way.carry(newLink(session, l.host, countersOf(session.Context()), l.largest)), nil
	}
}

// Close stops listening and ends Accept. Connections that were accepted go on.
func (l *Listener) Close() error {
	var err error
	l.closing.Do(func() {
		err = l.quic.Close()
		if e := l.host.release(); err == nil {
			err = e
		}
	})
	return err
}
