package transporttest

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"netcmp/transport"
)

func (s suite) testBadConfig(t *testing.T) {
	for name, c := range map[string]transport.Config{
		"larger than it carries": {MaxMessage: s.promise.MaxMessage + 1},
		"negative size":          {MaxMessage: -1},
	} {
		if _, err := s.tr.Listen(t.Context(), s.any(), c); err == nil {
			t.Errorf("Listen took a message size %s", name)
		}
		if _, err := s.tr.Dial(t.Context(), netip.AddrPortFrom(s.host, 9), c); err == nil {
			t.Errorf("Dial took a message size %s", name)
		}
	}
	if _, err := s.tr.Listen(t.Context(), netip.AddrPort{}, transport.Config{}); err == nil {
		t.Error("Listen took no address")
	}
	if _, err := s.tr.Dial(t.Context(), netip.AddrPort{}, transport.Config{}); err == nil {
		t.Error("Dial took no address")
	}
}

// Buffers are as large as asked for, at both ends, and not the default.
func (s suite) testBuffers(t *testing.T) {
	const send, receive = 64_000, 96_000
	client, server := s.pair(t, transport.Config{SendBuffer: send, ReceiveBuffer: receive})
	plain, _ := s.pair(t, transport.Config{})
	usual := plain.Stats()
	for _, c := range []transport.Conn{client, server} {
		got := c.Stats()
		if got.SendBuffer < send || got.SendBuffer > 4*send || got.SendBuffer == usual.SendBuffer {
			t.Errorf("send buffer is %d, asked for %d", got.SendBuffer, send)
		}
		if got.ReceiveBuffer < receive || got.ReceiveBuffer > 4*receive || got.ReceiveBuffer == usual.ReceiveBuffer {
			t.Errorf("receive buffer is %d, asked for %d", got.ReceiveBuffer, receive)
		}
	}
	within(t, patience, "moving messages", func() error { return s.deliver(client, server, letters(0, 10, 1000)) })
}

// A system call a message: of datagrams one comes at a time, and what is written to
// a stream leaves message by message. Nothing else about what comes is different.
func (s suite) testNoBatch(t *testing.T) {
	const count = 8 // fewer than TCP's initial window: each write leaves at once
	client, server := s.pair(t, transport.Config{NoBatch: true, Bulk: true, Session: session})
	segments := func() uint32 {
		if info := client.Stats().TCPInfo; info != nil {
			return info.SegsOut
		}
		return 0
	}
	before := segments()
	within(t, patience, "moving messages", func() error { return s.deliver(client, server, letters(0, count, 900)) })
	if info := client.Stats().TCPInfo; info != nil && segments()-before < count {
		t.Errorf("%d messages left in %d segments", count, segments()-before)
	}
	if s.promise.Handshake {
		return
	}
	if n, err := client.Send(letters(count, count, 900)); n != count || err != nil {
		t.Fatal(n, err)
	}
	in := make([]transport.Message, 2*count)
	within(t, patience, "receiving", func() error {
		for range count {
			if n, err := server.Receive(in); n != 1 || err != nil {
				return fmt.Errorf("%d messages came at a time: %w", n, err)
			}
		}
		return nil
	})
}

// Congestion control is what was asked for, or an error says that it is not
// there. Every transport that has one has Reno.
func (s suite) testCongestion(t *testing.T) {
	plain, _ := s.pair(t, transport.Config{})
	if plain.Stats().Congestion == "" {
		client, server := s.pair(t, transport.Config{Congestion: "reno"})
		if client.Stats().Congestion != "" || server.Stats().Congestion != "" {
			t.Error("a transport without congestion control reports one")
		}
		return
	}
	client, server := s.pair(t, transport.Config{Congestion: "reno"})
	for _, c := range []transport.Conn{client, server} {
		if got := c.Stats().Congestion; got != "reno" {
			t.Errorf("congestion control is %q, asked for reno", got)
		}
	}
	unknown := s.trusted(t, transport.Config{Congestion: "carrier-pigeon"})
	if l, err := s.tr.Listen(t.Context(), s.any(), unknown); err == nil {
		noError(t, "closing the listener", l.Close())
		t.Error("Listen took an unknown congestion control")
	} else if !errors.Is(err, transport.ErrUnknownCongestion) {
		t.Errorf("Listen with an unknown congestion control: %v", err)
	}
	if _, err := s.tr.Dial(t.Context(), netip.AddrPortFrom(s.host, 9), unknown); !errors.Is(err, transport.ErrUnknownCongestion) {
		t.Errorf("Dial with an unknown congestion control: %v", err)
	}
}

// Stats may be asked for by anybody, while messages move, while the
// connection is closed and after.
func (s suite) testStatsAnyTime(t *testing.T) {
	client, server := s.pair(t, transport.Config{})
	size := min(1000, s.promise.MaxMessage)
	ends := []<-chan error{
		begin(sendForever(client, size)), begin(sendForever(server, size)),
		begin(receiveForever(client)), begin(receiveForever(server)),
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		for _, c := range []transport.Conn{client, server} {
			asking.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						c.Stats()
						time.Sleep(100 * time.Microsecond)
					}
				}
			})
		}
	}
	time.Sleep(100 * time.Millisecond)
	closed := []<-chan error{begin(client.Close), begin(server.Close)}
	for _, done := range closed {
		wait(t, patience, "Close", done)
	}
	close(stop)
	asking.Wait()
	for i, what := range []string{"sending up", "sending down", "receiving down", "receiving up"} {
		err := <-ends[i]
		if !errors.Is(err, transport.ErrClosed) && !errors.Is(err, transport.ErrPeerGone) {
			t.Errorf("%s ended with %v", what, err)
		}
	}
	if s.promise.Reliable {
		return
	}
	for name, c := range map[string]transport.Conn{"client": client, "server": server} {
		if st := c.Stats(); st.ReceiverDropped == nil || st.Strays == nil {
			t.Error(fmt.Sprintf("%s: a datagram transport must count what it drops: ", name), st)
		}
	}
}
