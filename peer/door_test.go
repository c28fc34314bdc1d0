package peer

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"netcmp/workload"
)

// addrConn is a connection from an address.
type addrConn struct {
	net.Conn
	remote net.Addr
	closed chan struct{} // gets a value at Close; nil: nobody looks
}

func (c *addrConn) RemoteAddr() net.Addr { return c.remote }

func (c *addrConn) Close() error {
	if c.closed != nil {
		c.closed <- struct{}{}
	}
	return nil
}

func from(a string) *addrConn {
	return &addrConn{remote: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a), 1))}
}

// However connections come and go, an address has no more than its limit, and is let
// in below it.
func TestDoorLimit(t *testing.T) {
	clients := []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1"}
	same := map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "2001:db8::2:3": "2001:db8::1"}
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 3).Draw(t, "limit")
		d := &door{limit: limit}
		inside := map[string][]*addrConn{}
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			name := rapid.SampledFrom(clients).Draw(t, "client")
			key := name
			if k := same[name]; k != "" {
				key = k
			}
			if have := inside[key]; len(have) > 0 && rapid.Bool().Draw(t, "leaves") {
				d.leave(have[0])
				d.leave(have[0]) // is nothing more
				inside[key] = have[1:]
				continue
			}
			c := from(name)
			let, want := d.enter(c), limit == 0 || len(inside[key]) < limit
			if let != want {
				t.Fatalf("%s with %d of %d connections: let in %v", name, len(inside[key]), limit, let)
			}
			if let {
				inside[key] = append(inside[key], c)
			} else {
				d.leave(c) // net/http says so of a refused one, too
			}
		}
		for _, all := range inside {
			for _, c := range all {
				d.leave(c)
			}
		}
		if len(d.inside) != 0 || len(d.clients) != 0 {
			t.Fatalf("left behind: %v, %v", d.inside, d.clients)
		}
	})
}

// The lab's channel has no address, and is let in.
func TestDoorWithoutAddress(t *testing.T) {
	a, b := socketPair(t)
	defer a.Close()
	defer b.Close()
	d := &door{limit: 1}
	for _, c := range []net.Conn{a, b} {
		if !d.enter(c) {
			t.Error("a connection without an address was refused")
		}
	}
}

// Who says nothing is sent away, and who has said something is not.
func TestDoorSilent(t *testing.T) {
	d := &door{idle: 5 * time.Millisecond}
	silent, talker, gone := from("192.0.2.1"), from("192.0.2.2"), from("192.0.2.3")
	for _, c := range []*addrConn{silent, talker, gone} {
		c.closed = make(chan struct{}, 1)
		d.enter(c)
	}
	d.heard(talker)
	d.leave(gone)
	select {
	case <-silent.closed:
	case <-time.After(bound):
		t.Fatal("the silent one was not sent away")
	}
	time.Sleep(2 * d.idle)
	if len(talker.closed)+len(gone.closed) != 0 {
		t.Error("one that had spoken, or had left, was closed")
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if p, ok := network(netip.MustParseAddr(addr)); !ok || p.String() != want {
			t.Errorf("%s: %v, %v; want %s", addr, p, ok, want)
		}
	}
	if _, ok := network(netip.Addr{}); ok {
		t.Error("no address is a network")
	}
}

// A client address gets so many connections, and no more until one is gone.
func TestClientConnections(t *testing.T) {
	r := newRemote(t, ServerConfig{ClientLimit: 2})
	visit := func() (net.Conn, error) {
		c, err := r.dial()
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(bound))
		if _, err := io.WriteString(c, hello+"\r\n"); err != nil {
			return c, err
		}
		_, err = c.Read(make([]byte, 1<<12))
		return c, err
	}
	one, err := visit()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := visit(); err != nil {
		t.Fatal(err)
	}
	if _, err := visit(); !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
		t.Errorf("one too many: %v", err)
	}
	// A client that is refused is told what it may be.
	_, err = r.run(t.Context(), Spec{Proto: "udp"}, nil)
	wantError(t, err, false, "--client-limit")
	one.Close()
	eventually(t, "room for another", func() bool {
		_, err := visit()
		return err == nil
	})
}

// A client address gets so many sessions, which it is told in words.
func TestClientSessions(t *testing.T) {
	r := newRig(t, real()...)
	s := r.server
	s.config.ClientLimit = 2
	spec := Spec{Proto: "udp"}.WithDefaults()
	for _, client := range []string{"192.0.2.1:1", "[::ffff:192.0.2.1]:2", "192.0.2.2:1", "@", "@", "@"} {
		if _, err := s.open(spec, client, loopback); err != nil {
			t.Errorf("%s: %v", client, err)
		}
	}
	_, err := s.open(spec, "192.0.2.1:3", loopback)
	wantError(t, err, false, "2 sessions of 192.0.2.1")
	for _, x := range s.sessions {
		if x.control.Unmap().String() == "192.0.2.1" {
			x.close()
			break
		}
	}
	if _, err := s.open(spec, "192.0.2.1:3", loopback); err != nil {
		t.Errorf("when one has ended: %v", err)
	}
}

// A connection without a request, and a session without a message, end when they have
// been idle for too long, and the client is told.
func TestIdle(t *testing.T) {
	const most = 100 * time.Millisecond
	r := newRemote(t, ServerConfig{IdleTimeout: most})
	c, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(bound))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a connection that says nothing: %d bytes, %v", n, err)
	}

	// The second message is due after an hour.
	for _, s := range []Spec{
		{Proto: "tcp", Plan: workload.Plan{Count: 2, Rate: 1. / 3600}},
		{Proto: "udp", Direction: Down, Plan: workload.Plan{Count: 2, Rate: 1. / 3600}},
	} {
		out := r.must(t.Context(), s, nil)
		if !strings.Contains(out.Error, "--idle-timeout") {
			t.Errorf("%s: %q", s.Proto, out.Error)
		}
		r.gone()
	}
	// One that goes on for longer than that, message after message, is left alone.
	s := Spec{Proto: "udp", Plan: workload.Plan{Count: 100, Rate: 200}}
	checkOutcome(t, s, r.must(t.Context(), s, nil))
}
