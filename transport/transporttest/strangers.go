package transporttest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"netcmp/message"
	"netcmp/transport"
)

// The connection is the one that was announced, not the one that came first.
func (s suite) testStrangerRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := s.tr.Listen(ctx, s.any(), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, "closing the listener", l.Close()) }()
	dial := func() transport.Conn {
		c, err := s.tr.Dial(ctx, l.Addr(), trusting(transport.Config{}, l))
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, c)
		return c
	}
	stranger, client := dial(), dial()
	server, err := l.Accept(ctx, client.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, server)
	within(t, patience, "moving a message", func() error { return s.deliver(client, server, letters(0, 1, 100)) })
	within(t, patience, "the stranger", wants(transport.ErrPeerGone, receiveOnce(stranger)))
}

// Datagrams that came before Accept are there; those of strangers are not,
// whether they came before or after.
func (s suite) testEarlyDatagrams(t *testing.T) {
	c := transport.Config{Session: session}
	l, err := s.tr.Listen(t.Context(), s.any(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, "closing the listener", l.Close()) }()
	dial := func() transport.Conn {
		conn, err := s.tr.Dial(t.Context(), l.Addr(), trusting(c, l))
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, conn)
		return conn
	}
	stranger, client := dial(), dial()
	noError(t, "the stranger's sending", post(stranger, letters(100, 5, 100)))
	noError(t, "sending", post(client, letters(0, 5, 100)))
	noError(t, "the stranger's sending", post(stranger, letters(200, 5, 100)))
	server, err := l.Accept(t.Context(), client.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, server)
	noError(t, "the stranger's sending", post(stranger, letters(300, 5, 100)))
	noError(t, "sending", post(client, letters(5, 5, 100)))
	within(t, patience, "receiving", func() error { return newReader(server, 4).expect(0, 10, false) })
	if st := server.Stats(); st.Strays == nil || *st.Strays != 10 {
		t.Errorf("Strays is %v, want 10: the kernel keeps out those after Accept", show(st.Strays))
	}
	if _, err := l.Accept(t.Context(), client.LocalAddr()); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("a second Accept gave %v", err)
	}
}

// What carries another session's number is not ours.
func (s suite) testOtherSession(t *testing.T) {
	for _, c := range []struct {
		name    string
		session uint64
		strays  int64
	}{{"one session", session, 2}, {"any session", 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			client, server := Pair(t, s.tr, s.host, transport.Config{Session: c.session})
			noError(t, "sending", post(client, [][]byte{
				letter(0, 100), letterOf(session+1, 1, 100), letterOf(1, 2, 1000), letter(3, 100),
			}))
			within(t, patience, "receiving", func() error {
				var got []uint64
				for len(got) == 0 || got[len(got)-1] != 3 {
					if err := newReader(server, 8).next(func(h message.Header, _ []byte) error {
						got = append(got, h.Number)
						return nil
					}); err != nil {
						return err
					}
				}
				if len(got) != 4-int(c.strays) {
					return fmt.Errorf("got %v", got)
				}
				return nil
			})
			if st := server.Stats(); st.Strays == nil || *st.Strays != c.strays {
				t.Errorf("Strays is %v, want %d", show(st.Strays), c.strays)
			}
		})
	}
}

func show(n *int64) string {
	if n == nil {
		return "not counted"
	}
	return fmt.Sprint(*n)
}
