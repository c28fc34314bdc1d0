package quic

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/transport/socket"
)

// Listener is a socket on which quic-go shakes hands in the background, so that
// a client's handshake does not wait for Accept.
type Listener struct {
	way         Transport
	host        *host
	quic        acceptor
	certificate []byte
	largest     int
	expected    int      // connections
	early       counters // packets of connections that were not there yet

	door    *secure.Door[*quicgo.Conn]
	closing sync.Once
	working sync.WaitGroup
}

// waitingMax is how many connections wait at once beside those that are meant to come:
// strangers' are among them. quic-go refuses what comes while 32 wait for us
// (protocol.MaxAcceptQueueSize).
const waitingMax, expectedMax = 16, 1024

// run offers each connection that comes to whoever accepts, until the listener
// closes.
func (l *Listener) run() {
	turns := make(chan struct{}, waitingMax+min(l.expected, expectedMax))
	for {
		session, err := l.quic.Accept(context.Background())
		if err != nil {
			return // Close ends it
		}
		turns <- struct{}{}
		l.working.Go(func() {
			defer func() { <-turns }()
			if !l.door.Offer(session) {
				refuse(session)
			}
		})
	}
}

var errStranger = errors.New("an address that is not the client's")

// guests refuses a handshake with any address but from, in a packet that is far smaller
// than what came (a CONNECTION_CLOSE, RFC 9000 §5.2.2). Otherwise quic-go sends what §8.1
// allows, and up to one packet more.
func guests(config *quicgo.Config, from netip.Addr) func(*quicgo.ClientInfo) (*quicgo.Config, error) {
	if !from.IsValid() {
		return nil
	}
	return func(c *quicgo.ClientInfo) (*quicgo.Config, error) {
		if !socket.From(netip.AddrPortFrom(from, 0), addrPort(c.RemoteAddr)) {
			return nil, errStranger
		}
		return config, nil
	}
}

func refuse(session *quicgo.Conn) { _ = session.CloseWithError(farewell+3, "not expected") }

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return addrPort(l.host.udp.LocalAddr()) }

// Certificate is what clients have to trust.
func (l *Listener) Certificate() []byte { return l.certificate }

// Accept waits for a connection from from whose handshake is done, or of a
// resumable listener begun. Others are closed, and the wait goes on.
func (l *Listener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	session, err := l.door.Take(ctx,
		func(c *quicgo.Conn) bool { return socket.From(from, addrPort(c.RemoteAddr())) },
		refuse)
	if err != nil {
		return nil, err
	}
	if !l.host.use() {
		refuse(session)
		return nil, transport.ErrClosed
	}
	counts := countersOf(session.Context())
	if counts != nil {
		counts.early = &l.early
	}
	return l.way.carry(newLink(session, l.host, counts, l.largest)), nil
}

// Close stops listening and ends Accept. Connections that were accepted go on.
func (l *Listener) Close() error {
	var err error
	l.closing.Do(func() {
		l.door.Close()
		err = l.quic.Close()
		l.working.Wait()
		if e := l.host.release(); err == nil {
			err = e
		}
	})
	return err
}
