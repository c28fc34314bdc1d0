package quic

import (
	"errors"
	"net/netip"
	"testing"

	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/transport/transporttest"
)

// Where the server has forgotten the keys of its tickets, what was sent before the
// handshake was done is lost. No way makes as if it were not: the connection breaks,
// and says why.
func TestRejected(t *testing.T) {
	for _, tr := range []transport.Transport{New(), NewStreams(), NewDatagram()} {
		t.Run(tr.Name(), func(t *testing.T) {
			transporttest.SkipEarlyData(t, tr)
			identity, certificate, err := secure.Server(true)
			if err != nil {
				t.Fatal(err)
			}
			h, err := newHost(t.Context(), "udp4", netip.MustParseAddrPort("127.0.0.1:0"))
			if err != nil {
				t.Fatal(err)
			}
			l, err := h.listen(identity, tr.(Transport).settings(transport.DefaultStallTimeout), true)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = l.Close()
				if err := h.release(); err != nil {
					t.Error(err)
				}
			}()
			sessions := secure.NewSessions()
			dial := func() transport.Conn {
				c, err := tr.Dial(t.Context(), addrPort(h.udp.LocalAddr()), transport.Config{Certificate: certificate, Sessions: sessions})
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			before := dial()
			<-sessions.Got()
			if err := before.Close(); err != nil {
				t.Error(err)
			}
			identity.SetSessionTicketKeys([][32]byte{{1}})
			conn := dial()
			defer conn.Close()
			m := make([]byte, 100)
			message.Seal(m, message.Header{})
			for err == nil {
				_, err = conn.Send([][]byte{m})
			}
			if !errors.Is(err, errRejected) {
				t.Errorf("sending: %v", err)
			}
			if _, err := conn.Receive(make([]transport.Message, 1)); !errors.Is(err, transport.ErrPeerGone) {
				t.Errorf("receiving: %v", err)
			}
			if s := conn.Stats(); s.Resumed != nil && *s.Resumed || s.EarlyData == nil || *s.EarlyData {
				t.Errorf("resumed %v, early data %v", s.Resumed, s.EarlyData)
			}
		})
	}
}
