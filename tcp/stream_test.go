package tcp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/tcp"
	"netcmp/transport"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// plain gives a receiving end whose other end is a bare TCP connection, to
// write bytes that no Conn would write.
func plain(t *testing.T, c transport.Config) (*net.TCPConn, transport.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := tcp.New().Listen(ctx, loopback, c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	bare, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept(ctx, netip.MustParseAddrPort(bare.LocalAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	// A Receive that never ends would hang the test.
	guard := time.AfterFunc(10*time.Second, func() { _ = conn.Close() })
	t.Cleanup(func() {
		guard.Stop()
		_ = bare.Close()
		_ = conn.Close()
	})
	return bare, conn
}

func sealed(number uint64, size int) []byte {
	b := make([]byte, size)
	message.Seal(b, message.Header{Number: number})
	return b
}

func write(t testing.TB, w *net.TCPConn, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

// However the stream is cut into segments, the same messages come out.
func TestChoppedStream(t *testing.T) {
	bare, conn := plain(t, transport.Config{MaxMessage: 600 << 10})
	batch := make([]transport.Message, 5)
	rapid.Check(t, func(r *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(40, 2000), rapid.Just(300<<10), rapid.Just(600<<10)), 1, 12).Draw(r, "sizes")
		var stream []byte
		for i, n := range sizes {
			stream = append(stream, sealed(uint64(i), n)...)
		}
		go func() {
			chunk := 1
			for len(stream) > 0 {
				n := min(chunk, len(stream))
				if _, err := bare.Write(stream[:n]); err != nil {
					return
				}
				stream = stream[n:]
				chunk = chunk*7%99991 + 1
			}
		}()
		for next := 0; next < len(sizes); {
			n, err := conn.Receive(batch[:rapid.IntRange(1, len(batch)).Draw(r, "batch")])
			if err != nil {
				r.Fatal(err)
			}
			for _, m := range batch[:n] {
				h, err := message.Parse(m.Data)
				if err != nil || h.Number != uint64(next) || h.Length != sizes[next] {
					r.Fatalf("message %d: %+v, %v", next, h, err)
				}
				next++
			}
		}
	})
}

// The time of arrival is that of the read that brought a message's last byte:
// messages that one read brought share it, and one that was waited for does
// not have the time of its first half.
func TestArrival(t *testing.T) {
	bare, conn := plain(t, transport.Config{})
	whole, half := sealed(0, 100), sealed(2, 100)
	write(t, bare, append(append(append([]byte(nil), whole...), whole...), half[:50]...))
	time.Sleep(20 * time.Millisecond)
	batch := make([]transport.Message, 1)
	var at [3]int64
	var rest int64
	for i := range at {
		if i == 2 {
			rest = clock.Now()
			write(t, bare, half[50:])
		}
		if n, err := conn.Receive(batch); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		at[i] = batch[0].At
	}
	if at[0] != at[1] {
		t.Errorf("two messages of one read came %d ns apart", at[1]-at[0])
	}
	if at[2] < rest {
		t.Errorf("a message came %d ns before its end was sent", rest-at[2])
	}
}

// Whole messages before the damage are handed on; then the stream is at its
// end for good.
func TestOutOfStep(t *testing.T) {
	for name, end := range map[string][]byte{
		"garbage":   make([]byte, 100),
		"too large": sealed(0, 501),
	} {
		t.Run(name, func(t *testing.T) {
			bare, conn := plain(t, transport.Config{MaxMessage: 500})
			write(t, bare, append(sealed(1, 100), end...))
			batch := make([]transport.Message, 8)
			if n, err := conn.Receive(batch); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			for range 2 {
				if n, err := conn.Receive(batch); n != 0 || !errors.Is(err, message.ErrCorrupt) {
					t.Fatal(n, err)
				}
			}
		})
	}
}

// The end of the stream, in order or not, is the peer's going.
func TestEnds(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn) error{
		"FIN":                       (*net.TCPConn).Close,
		"FIN in mid-message":        func(c *net.TCPConn) error { _, _ = c.Write(sealed(0, 100)[:50]); return c.Close() },
		"RST":                       func(c *net.TCPConn) error { _ = c.SetLinger(0); return c.Close() },
		"FIN of the sending side":   (*net.TCPConn).CloseWrite,
		"FIN before a whole header": func(c *net.TCPConn) error { _, _ = c.Write([]byte{1, 0}); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bare, conn := plain(t, transport.Config{})
			if err := end(bare); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Receive(make([]transport.Message, 8)); n != 0 || !errors.Is(err, transport.ErrPeerGone) {
				t.Fatal(n, err)
			}
		})
	}
}

// Close says FIN and not RST, though there is something left to read.
func TestCloseIsOrderly(t *testing.T) {
	bare, conn := plain(t, transport.Config{})
	write(t, bare, sealed(0, 100))
	time.Sleep(20 * time.Millisecond)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := bare.Read(make([]byte, 1)); n != 0 || errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("read %d, %v; want the end of the stream", n, err)
	}
}

// With nothing on its way Close does not wait, and with something it waits for
// the acknowledgment and no longer.
func TestCloseIsQuick(t *testing.T) {
	for name, first := range map[string]func(transport.Conn, *net.TCPConn){
		"idle": func(transport.Conn, *net.TCPConn) {},
		"sent": func(c transport.Conn, _ *net.TCPConn) { _, _ = c.Send([][]byte{sealed(0, 1000)}) },
		"reset": func(c transport.Conn, bare *net.TCPConn) {
			_, _ = c.Send([][]byte{sealed(0, 1000)})
			_ = bare.SetLinger(0)
			_ = bare.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bare, conn := plain(t, transport.Config{})
			first(conn, bare)
			start := time.Now()
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("Close took %v", took)
			}
		})
	}
}
