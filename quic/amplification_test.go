package quic_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/quic"
	"netcmp/transport"
)

// deaf is a socket that hears nothing, as that of an address which somebody else has
// written as his own, and says nothing after until. It counts the bytes of datagrams,
// both ways.
type deaf struct {
	net.PacketConn
	until     time.Time
	sent, got atomic.Int64
}

func (d *deaf) WriteTo(b []byte, to net.Addr) (int, error) {
	if time.Now().After(d.until) {
		return len(b), nil
	}
	d.sent.Add(int64(len(b)))
	return d.PacketConn.WriteTo(b, to)
}

func (d *deaf) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		d.got.Add(int64(n))
	}
}

// amplified is how many bytes come back for one that a client sends who hears nothing,
// from an address: talks is how long he does.
func amplified(t *testing.T, to netip.AddrPort, from string, talks time.Duration) float64 {
	pc, err := net.ListenPacket("udp4", from+":0")
	if err != nil {
		t.Fatal(err)
	}
	victim := &deaf{PacketConn: pc, until: time.Now().Add(talks)}
	defer victim.Close()
	attacker := &quicgo.Transport{Conn: victim}
	defer attacker.Close()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second) // meanwhile the server repeats itself
	defer stop()
	_, err = attacker.Dial(ctx, net.UDPAddrFromAddrPort(to), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"netcmp"}}, nil)
	if err == nil {
		t.Error("a handshake with one that hears nothing")
	}
	got, sent := victim.got.Load(), victim.sent.Load()
	if got == 0 {
		t.Error("nothing came back: there was no handshake to look at")
	}
	t.Logf("from %s, for %v: %d bytes for %d, %.2f times", from, talks, got, sent, float64(got)/float64(sent))
	return float64(got) / float64(sent)
}

// An address that has not shown that it is there gets no more than three times what came
// from it (RFC 9000 §8.1); where the client's is known, any other gets less than it has
// sent; and what begins no handshake is not answered.
func TestAmplification(t *testing.T) {
	if testing.Short() {
		t.Skip("eight seconds")
	}
	listen := func(from string) transport.Listener {
		c := transport.Config{Session: 7}
		if from != "" {
			c.From = netip.MustParseAddr(from)
		}
		l, err := quic.New().Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	l := listen("127.0.0.2")
	const once = 50 * time.Millisecond
	for _, talks := range []time.Duration{once, time.Hour} {
		if most := amplified(t, l.Addr(), "127.0.0.3", talks); most > 0.1 {
			t.Errorf("a stranger gets %.2f times what he has sent", most)
		}
	}
	// quic-go sends as long as it has sent less than three times, so up to a packet more,
	// to the client's address alone, which the control channel has shown to be there.
	if most := amplified(t, l.Addr(), "127.0.0.2", once); most > 3+1452./2400 {
		t.Errorf("the client's address gets %.2f times what it has sent", most)
	}

	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stranger := &deaf{PacketConn: pc, until: time.Now().Add(time.Hour)}
	defer stranger.Close()
	to := net.UDPAddrFromAddrPort(listen("").Addr())
	for i := range 200 {
		b := make([]byte, 10+i*7)
		b[0] = byte(i)
		_, _ = stranger.WriteTo(b, to)
	}
	_ = stranger.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	_, _, _ = stranger.ReadFrom(make([]byte, 1<<16))
	if n := stranger.got.Load(); n > stranger.sent.Load()/10 {
		t.Errorf("%d bytes are answered to noise of %d", n, stranger.sent.Load())
	}
}
