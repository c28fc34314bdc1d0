package tcp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"netcmp/clock"
	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/transport/socket"
)

// TLS makes TCP connections with TLS 1.3 on them: what QUIC's encryption is to
// be held against. All else is TCP's.
type TLS struct{ Transport }

// NewTLS gives the transport.
func NewTLS() transport.Transport { return TLS{} }

// Name is "tls".
func (TLS) Name() string { return "tls" }

// Properties are TCP's, encrypted.
func (t TLS) Properties() transport.Properties {
	p := t.Transport.Properties()
	p.Encrypted, p.Resumes = true, true
	return p
}

// Dial connects and shakes hands twice, TCP's way and TLS's (RFC 8446 §2): two
// round trips, since the first of TLS waits for TCP's. To resume a session
// (RFC 8446 §2.2) spares the certificate and no round trip: that takes early data
// (§2.3), which crypto/tls does not offer over TCP.
func (t TLS) Dial(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Conn, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	config, err := secure.Client(c.Certificate, c.Sessions)
	if err != nil {
		return nil, err
	}
	logged, err := secure.KeyLog(config, c.Traces.KeyLog)
	if err != nil {
		return nil, err
	}
	defer logged() // TLS 1.3 has all its secrets when the handshake is done
	plain, err := dial(ctx, network, addr, c)
	if err != nil {
		return nil, err
	}
	connected := clock.Now()
	encrypted := tls.Client(plain, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	secured := clock.Now()
	conn, err := newConn(plain, encrypted, c, largest)
	if err != nil {
		return nil, err
	}
	conn.connected, conn.secured = connected, secured
	conn.resumed = new(encrypted.ConnectionState().DidResume)
	return conn, nil
}

// handshakesMax is how many it has under way at once: strangers' are among
// them.
const handshakesMax = 16

// Listen opens a listening socket with a certificate of its own.
func (t TLS) Listen(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Listener, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	config, certificate, err := secure.Server(c.Resumable)
	if err != nil {
		return nil, err
	}
	ln, err := listen(ctx, network, addr, c)
	if err != nil {
		return nil, err
	}
	l := &tlsListener{
		tcp: ln, certificate: certificate, config: c, secure: config, largest: largest,
		door: secure.NewDoor[*Conn](c.Accepts()), turns: make(chan struct{}, handshakesMax),
	}
	l.working.Go(l.run)
	return l, nil
}

// tlsListener shakes hands with whoever comes, while nobody waits yet: a client
// whose handshake is done is one that the server knows of. Who it is, Accept
// looks at.
type tlsListener struct {
	tcp         *net.TCPListener
	certificate []byte
	config      transport.Config
	secure      *tls.Config
	largest     int
	door        *secure.Door[*Conn]
	turns       chan struct{} // one for each handshake under way, or done and not yet accepted
	working     sync.WaitGroup
	closing     sync.Once
}

// Certificate is what clients have to trust.
func (l *tlsListener) Certificate() []byte { return l.certificate }

// Addr is the address that the listener is bound to.
func (l *tlsListener) Addr() netip.AddrPort { return addrPort(l.tcp.Addr()) }

func (l *tlsListener) run() {
	for {
		select {
		case l.turns <- struct{}{}:
		case <-l.door.Closed():
			return
		}
		plain, err := l.tcp.AcceptTCP()
		if err != nil {
			return // only Close ends it, or a machine without room for more
		}
		l.working.Go(func() {
			defer func() { <-l.turns }()
			l.shake(plain)
		})
	}
}

// shake does the handshake, and offers what comes of it until the listener
// closes.
func (l *tlsListener) shake(plain *net.TCPConn) {
	ctx, cancel := context.WithTimeout(context.Background(), l.config.Stall())
	defer cancel()
	go func() {
		select {
		case <-l.door.Closed():
			cancel()
		case <-ctx.Done():
		}
	}()
	encrypted := tls.Server(plain, l.secure)
	if noDelay(plain, l.config) != nil || encrypted.HandshakeContext(ctx) != nil {
		_ = plain.Close()
		return
	}
	conn, err := newConn(plain, encrypted, l.config, l.largest)
	if err != nil {
		return
	}
	if !l.door.Offer(conn) {
		reset(plain)
	}
}

// reset ends a connection that was not meant, so that its client learns of it
// at once.
func reset(tcp *net.TCPConn) {
	_ = tcp.SetLinger(0) // then Close resets
	_ = tcp.Close()
}

// Accept waits for a connection from from whose handshake is done. Others are
// reset, and the wait goes on.
func (l *tlsListener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	conn, err := l.door.Take(ctx,
		func(c *Conn) bool { return socket.From(from, addrPort(c.tcp.RemoteAddr())) },
		func(c *Conn) { reset(c.tcp) })
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Close stops listening and ends Accept and the handshakes under way.
// Connections go on.
func (l *tlsListener) Close() error {
	var err error
	l.closing.Do(func() {
		l.door.Close()
		err = l.tcp.Close()
		l.working.Wait()
	})
	return err
}
