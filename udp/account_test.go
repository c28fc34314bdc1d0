package udp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/transporttest"
	"netcmp/udp"
)

var hosts = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}

func sealed(number uint64, size int) []byte {
	b := make([]byte, size)
	message.Fill(b[message.HeaderSize:], number)
	message.Seal(b, message.Header{Number: number})
	return b
}

// receive takes messages until the one numbered last, and counts them.
func receive(t *testing.T, c transport.Conn, last uint64) (count int64) {
	t.Helper()
	guard := time.AfterFunc(10*time.Second, func() { _ = c.Close() })
	defer guard.Stop()
	batch := make([]transport.Message, 256)
	for {
		n, err := c.Receive(batch)
		if err != nil {
			t.Fatalf("after %d messages: %v", count, err)
		}
		for _, m := range batch[:n] {
			h, err := message.Parse(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			count++
			if h.Number == last {
				return count
			}
		}
	}
}

// The account closes: what was sent came, or the socket says that it had no
// room for it, to the last one. The drops are at the end of the burst, where
// SO_RXQ_OVFL would not show them until one more datagram came.
func TestOverflow(t *testing.T) {
	for _, host := range hosts {
		for _, size := range []int{40, 500, 3000} {
			const count, last = 5000, 1 << 40
			client, server := transporttest.Pair(t, udp.New(), host, transport.Config{ReceiveBuffer: 100_000})
			batch := make([][]byte, 50)
			for i := range batch {
				batch[i] = sealed(uint64(i), size)
			}
			for range count / len(batch) {
				if n, err := client.Send(batch); n != len(batch) || err != nil {
					t.Fatal(n, err)
				}
			}
			before := *server.Stats().ReceiverDropped
			if before == 0 || before >= count {
				t.Fatalf("%d of %d dropped: no overflow", before, count)
			}
			// Loopback is done with a datagram when Send returns: what is in
			// the buffer is what was not dropped. One more marks the end, once
			// there is room for it.
			guard := time.AfterFunc(10*time.Second, func() { _ = server.Close() })
			in := make([]transport.Message, 64)
			var received int64
			for received < count-before {
				n, err := server.Receive(in)
				if err != nil {
					t.Fatalf("%d received and %d dropped of %d: %v", received, before, count, err)
				}
				received += int64(n)
			}
			guard.Stop()
			if _, err := client.Send([][]byte{sealed(last, 40)}); err != nil {
				t.Fatal(err)
			}
			received += receive(t, server, last)
			dropped := *server.Stats().ReceiverDropped
			if received+dropped != count+1 {
				t.Errorf("%v, %d bytes: %d received + %d dropped, and %d sent", host, size, received, dropped, count+1)
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			if after := *server.Stats().ReceiverDropped; after != dropped {
				t.Errorf("%d dropped, and after Close %d", dropped, after)
			}
		}
	}
}

// The same while the receiver reads as fast as it can.
func TestOverflowUnderLoad(t *testing.T) {
	const count, last = 60_000, 1 << 40
	client, server := transporttest.Pair(t, udp.New(), hosts[0], transport.Config{ReceiveBuffer: 20_000})
	batch := make([][]byte, 60)
	for i := range batch {
		batch[i] = sealed(uint64(i), 300)
	}
	received := make(chan int64, 1)
	go func() {
		var n int64
		in := make([]transport.Message, 64)
		for {
			got, err := server.Receive(in)
			n += int64(got)
			if err != nil {
				received <- n
				return
			}
		}
	}()
	for range count / len(batch) {
		if n, err := client.Send(batch); n != len(batch) || err != nil {
			t.Fatal(n, err)
		}
	}
	time.Sleep(100 * time.Millisecond) // the receiver finishes what is there
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	got, dropped := <-received, *server.Stats().ReceiverDropped
	if got+dropped != count {
		t.Errorf("%d received + %d dropped, and %d sent", got, dropped, count)
	}
}

// A sender that nobody listens to goes on, loses no datagram of its own to the
// errors that come back, and counts these.
func TestNobodyListens(t *testing.T) {
	for _, host := range hosts {
		for _, size := range []int{1, 16} {
			client, server := transporttest.Pair(t, udp.New(), host, transport.Config{})
			gone := server.LocalAddr()
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			batch := make([][]byte, size)
			for i := range batch {
				batch[i] = sealed(uint64(i), 100)
			}
			for range 50 {
				if n, err := client.Send(batch); n != size || err != nil {
					t.Fatalf("%d of %d sent: %v", n, size, err)
				}
				time.Sleep(time.Millisecond)
			}
			if s := client.Stats(); s.Refused == nil || *s.Refused == 0 {
				t.Errorf("%v, batches of %d: no refusal was counted", host, size)
			}
			// Somebody moves in: everything arrives, an error may be pending.
			l, err := udp.New().Listen(t.Context(), gone, transport.Config{})
			if err != nil {
				t.Fatal(err)
			}
			back, err := l.Accept(t.Context(), client.LocalAddr())
			if err != nil {
				t.Fatal(err)
			}
			const last = 1 << 40
			if n, err := client.Send(append(batch[:size:size], sealed(last, 100))); n != size+1 || err != nil {
				t.Fatal(n, err)
			}
			if got := receive(t, back, last); got != int64(size)+1 {
				t.Errorf("%d of %d messages came", got, size+1)
			}
			if err := back.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Receive does not take an ICMP error for the end either.
func TestReceiveOutlivesRefusal(t *testing.T) {
	client, server := transporttest.Pair(t, udp.New(), hosts[0], transport.Config{})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := client.Receive(make([]transport.Message, 1))
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if _, err := client.Send([][]byte{sealed(0, 100)}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("Receive ended with %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if s := client.Stats(); *s.Refused != 1 {
		t.Errorf("%d refusals counted, want 1", *s.Refused)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Receive ended with %v", err)
	}
}

// A datagram above the session's maximum shows that it is one: it comes longer
// than the maximum, and does not parse.
func TestOversize(t *testing.T) {
	const limit = 3000
	for _, size := range []int{limit + 1, limit + 500} {
		l, err := udp.New().Listen(t.Context(), netip.AddrPortFrom(hosts[0], 0), transport.Config{MaxMessage: limit})
		if err != nil {
			t.Fatal(err)
		}
		client, err := udp.New().Dial(t.Context(), l.Addr(), transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept(t.Context(), client.LocalAddr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Send([][]byte{sealed(0, size)}); err != nil {
			t.Fatal(err)
		}
		batch := make([]transport.Message, 2)
		n, err := server.Receive(batch)
		if n != 1 || err != nil || len(batch[0].Data) != limit+1 {
			t.Errorf("%d messages, the first of %d bytes: %v", n, len(batch[0].Data), err)
		}
		if _, err := message.Parse(batch[0].Data); size > limit+1 && !errors.Is(err, message.ErrCorrupt) {
			t.Errorf("Parse: %v", err)
		}
		_, _ = client.Close(), server.Close()
	}
}

// The socket that listens to all addresses has one when it is connected.
func TestWildcard(t *testing.T) {
	for _, c := range []struct{ listen, host netip.Addr }{
		{netip.IPv4Unspecified(), hosts[0]}, {netip.IPv6Unspecified(), hosts[1]},
	} {
		l, err := udp.New().Listen(t.Context(), netip.AddrPortFrom(c.listen, 0), transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		client, err := udp.New().Dial(t.Context(), netip.AddrPortFrom(c.host, l.Addr().Port()), transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept(t.Context(), client.LocalAddr())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := server.LocalAddr(), netip.AddrPortFrom(c.host, l.Addr().Port()); got != want {
			t.Errorf("LocalAddr is %v, want %v", got, want)
		}
		_, _ = client.Close(), server.Close()
	}
}

// Accept must be told who the client is.
func TestAcceptNobody(t *testing.T) {
	l, err := udp.New().Listen(t.Context(), netip.AddrPortFrom(hosts[0], 0), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := l.Accept(t.Context(), netip.AddrPort{}); err == nil {
		t.Error("Accept took nobody")
	}
}

// Where the client's port is not known, its hello tells: of its session, from its
// address. Nobody else is answered, whatever he sends.
func TestAcceptGreeted(t *testing.T) {
	const session = 77
	for _, host := range hosts {
		l, err := udp.New().Listen(t.Context(), netip.AddrPortFrom(host, 0), transport.Config{Session: session})
		if err != nil {
			t.Fatal(err)
		}
		to := net.UDPAddrFromAddrPort(l.Addr())
		dial := func() *net.UDPConn {
			c, err := net.DialUDP("udp", nil, to)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		stranger, client := dial(), dial()
		say := func(c *net.UDPConn, b []byte) {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		of := func(h message.Header, size int) []byte {
			b := make([]byte, size)
			message.Seal(b, h)
			return b
		}
		for _, b := range [][]byte{
			{}, {1}, make([]byte, message.HeaderSize), make([]byte, 9000),
			of(message.Header{Kind: message.Hello, Session: session + 1}, message.HeaderSize),
			of(message.Header{Kind: message.Data, Session: session}, message.HeaderSize),
		} {
			say(stranger, b)
		}
		say(client, of(message.Header{Kind: message.Hello, Session: session}, message.HeaderSize))
		conn, err := l.Accept(t.Context(), netip.AddrPortFrom(host, 0))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Send([][]byte{of(message.Header{Session: session}, 100)}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		buf := make([]byte, 200)
		_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := client.Read(buf); n != 100 || err != nil {
			t.Errorf("the client read %d bytes, %v", n, err)
		}
		_ = stranger.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := stranger.Read(buf); n != 0 || err == nil {
			t.Errorf("the stranger was answered: %d bytes, %v", n, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Who waits for a hello is woken by the listener's end, and by his own.
func TestAcceptUngreeted(t *testing.T) {
	l, err := udp.New().Listen(t.Context(), netip.AddrPortFrom(hosts[0], 0), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Accept(ctx, netip.AddrPortFrom(hosts[0], 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = l.Close() })
	if _, err := l.Accept(t.Context(), netip.AddrPortFrom(hosts[0], 0)); !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
}
