package quic_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/quic"
	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/transport/transporttest"
)

var ways = []transport.Transport{quic.New(), quic.NewStreams(), quic.NewDatagram()}

// A server that does not know the ticket of another, or does not take early data,
// is never mistaken for one that does.
func TestTicketOfAnother(t *testing.T) {
	for _, tr := range ways {
		t.Run(tr.Name(), func(t *testing.T) {
			sessions := secure.NewSessions()
			for _, resumable := range []bool{true, true, false} {
				l, err := tr.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), transport.Config{Resumable: resumable})
				if err != nil {
					t.Fatal(err)
				}
				conn, err := tr.Dial(t.Context(), l.Addr(), transport.Config{
					Sessions: sessions, Certificate: l.(transport.Certified).Certificate(),
				})
				if err != nil {
					t.Fatal(err)
				}
				m := make([]byte, 100)
				message.Seal(m, message.Header{})
				_, err = conn.Send([][]byte{m})
				for err == nil && conn.Stats().Secured == 0 {
					_, err = conn.Send([][]byte{m})
				}
				if err != nil && !errors.Is(err, transport.ErrPeerGone) {
					t.Errorf("sending: %v", err)
				}
				if s := conn.Stats(); s.Secured > 0 && (*s.Resumed || *s.EarlyData) {
					t.Errorf("resumed %v, early data %v", *s.Resumed, *s.EarlyData)
				}
				t.Log("sending: ", err)
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if err := conn.Close(); err != nil && !errors.Is(err, transport.ErrPeerGone) {
					t.Error(err)
				}
			}
		})
	}
}

// The connection before and the one that resumes its session both leave their
// events and secrets.
func TestTracesOfTwo(t *testing.T) {
	for _, tr := range ways {
		t.Run(tr.Name(), func(t *testing.T) {
			transporttest.SkipEarlyData(t, tr)
			dir := t.TempDir()
			keys := filepath.Join(dir, "keys")
			client, server := transporttest.Pair(t, tr, netip.MustParseAddr("127.0.0.1"), transport.Config{
				Resumable: true, Traces: transport.Traces{QlogDir: dir, KeyLog: keys},
			})
			m := make([]byte, 100)
			message.Seal(m, message.Header{})
			if _, err := client.Send([][]byte{m}); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Receive(make([]transport.Message, 1)); err != nil {
				t.Fatal(err)
			}
			// What promises to deliver waits for the handshake itself.
			for !tr.Properties().Reliable && client.Stats().Secured == 0 {
				time.Sleep(time.Millisecond)
			}
			for _, c := range []transport.Conn{client, server} {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			early := 0
			files, _ := filepath.Glob(filepath.Join(dir, "*_client.sqlog"))
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(b, []byte(`"0RTT"`)) {
					early++
				}
			}
			if len(files) != 2 || early != 1 {
				t.Errorf("%d of %d logs tell of packets with early data", early, len(files))
			}
			secrets, err := os.ReadFile(keys)
			if n := bytes.Count(secrets, []byte("CLIENT_TRAFFIC_SECRET_0 ")); err != nil || n != 2 {
				t.Errorf("%v: the secrets of %d connections", err, n)
			}
		})
	}
}
