package transporttest

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"netcmp/transport"
	"netcmp/transport/secure"
)

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// Pair gives the two ends of a connection over host, a loopback address. They
// are closed when the test ends. A Resumable one resumes the session of another
// that is over.
func Pair(tb testing.TB, tr transport.Transport, host netip.Addr, c transport.Config) (client, server transport.Conn) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := tr.Listen(ctx, netip.AddrPortFrom(host, 0), c)
	if err != nil {
		tb.Fatalf("Listen: %v", err)
	}
	tb.Cleanup(func() { noError(tb, "closing the listener", l.Close()) })
	if c.Resumable {
		sessions := secure.NewSessions()
		c.Sessions = sessions
		visit(ctx, tb, tr, l, c, sessions)
	}
	client, server, err = join(ctx, tr, l, c)
	if err != nil {
		tb.Fatal(err)
	}
	closeLater(tb, client, server)
	return client, server
}

// visit brings a ticket home.
func visit(ctx context.Context, tb testing.TB, tr transport.Transport, l transport.Listener, c transport.Config, sessions *secure.Sessions) {
	tb.Helper()
	client, server, err := join(ctx, tr, l, c)
	if err != nil {
		tb.Fatal("for a ticket: ", err)
	}
	gone := []<-chan error{
		begin(wants(transport.ErrClosed, receiveOnce(client))),
		begin(wants(transport.ErrPeerGone, receiveOnce(server))),
	}
	select {
	case <-sessions.Got():
	case <-ctx.Done():
		tb.Error("no ticket came")
	}
	noError(tb, "closing", client.Close())
	for _, done := range gone {
		wait(tb, patience, "the end of the connection before", done)
	}
	noError(tb, "closing", server.Close())
}

// join dials the listener and accepts what comes from there.
func join(ctx context.Context, tr transport.Transport, l transport.Listener, c transport.Config) (client, server transport.Conn, err error) {
	c = trusting(c, l)
	if !tr.Properties().Handshake {
		if client, err = tr.Dial(ctx, l.Addr(), c); err != nil {
			return nil, nil, fmt.Errorf("dialling: %w", err)
		}
		if server, err = l.Accept(ctx, client.LocalAddr()); err != nil {
			_ = client.Close()
			return nil, nil, fmt.Errorf("accepting: %w", err)
		}
		return client, server, nil
	}
	type end struct {
		conn transport.Conn
		err  error
	}
	dialled := make(chan end, 1)
	go func() {
		conn, err := tr.Dial(ctx, l.Addr(), c)
		dialled <- end{conn, err}
	}()
	server, err = l.Accept(ctx, netip.AddrPortFrom(l.Addr().Addr(), 0))
	d := <-dialled
	switch {
	case err == nil && d.err == nil:
		return d.conn, server, nil
	case err == nil:
		_ = server.Close()
		return nil, nil, fmt.Errorf("dialling: %w", d.err)
	case d.err == nil:
		_ = d.conn.Close()
		return nil, nil, fmt.Errorf("accepting: %w", err)
	default:
		return nil, nil, fmt.Errorf("dialling: %w; accepting: %w", d.err, err)
	}
}

// trusting is c as a client of l needs it.
func trusting(c transport.Config, l transport.Listener) transport.Config {
	if certified, ok := l.(transport.Certified); ok {
		c.Certificate = certified.Certificate()
	}
	return c
}

// trusted is c with a certificate, where there is no server to be reached.
func (s suite) trusted(t *testing.T, c transport.Config) transport.Config {
	t.Helper()
	l, err := s.tr.Listen(t.Context(), s.any(), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c = trusting(c, l)
	noError(t, "closing the listener", l.Close())
	return c
}

func closeLater(tb testing.TB, conns ...transport.Conn) {
	tb.Cleanup(func() {
		for _, c := range conns {
			noError(tb, "closing", c.Close())
		}
	})
}

func noError(tb testing.TB, what string, err error) {
	tb.Helper()
	if err != nil {
		tb.Errorf("%s: %v", what, err)
	}
}

// within runs f and fails the test when it gives an error or takes longer
// than d. What f waits for ends when the test's connections are closed.
func within(tb testing.TB, d time.Duration, what string, f func() error) {
	tb.Helper()
	wait(tb, d, what, begin(f))
}

// begin runs f in the background.
func begin(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// wait is the other half of within.
func wait(tb testing.TB, d time.Duration, what string, done <-chan error) {
	tb.Helper()
	select {
	case err := <-done:
		if err != nil {
			tb.Fatalf("%s: %v", what, err)
		}
	case <-time.After(d):
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		tb.Fatalf("%s: not done after %v\n%s", what, d, stacks)
	}
}
