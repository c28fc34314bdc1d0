package lesson

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/quic"
	"netcmp/tcp"
	"netcmp/transport"
	"netcmp/transport/secure"
)

// secured is what a host has of encrypted transports, which are more than a system
// call: one listener, and connections by turns.
type secured struct {
	sessions *secure.Sessions // with their tickets, of calls before
	listener transport.Listener
	conn     transport.Conn // of the client's end
}

func newSecured() secured { return secured{sessions: secure.NewSessions()} }

// encrypted is a transport by its name.
func encrypted(name string) (transport.Transport, error) {
	switch name {
	case "tls":
		return tcp.NewTLS(), nil
	case "quic":
		return quic.New(), nil
	}
	return nil, fmt.Errorf("%q is not an encrypted transport", name)
}

func soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// Offer opens a listener at To and gives the certificate that its clients are to
// trust.
func (h *host) Offer(o Order, d *Done) error {
	t, err := encrypted(o.Proto)
	if err != nil {
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	l, err := t.Listen(ctx, o.To, transport.Config{Resumable: true})
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.secure.listener = l
	h.mu.Unlock()
	if c, ok := l.(transport.Certified); ok {
		d.Certificate = c.Certificate()
	}
	return nil
}

// Answer takes a connection, reads one message from it, and tells when it had it.
// When the other end hangs up, so does this one.
func (h *host) Answer(_ Order, d *Done) error {
	ctx, cancel := soon()
	defer cancel()
	h.mu.Lock()
	l := h.secure.listener
	h.mu.Unlock()
	conn, err := l.Accept(ctx, netip.AddrPort{})
	if err != nil {
		return err
	}
	batch := make([]transport.Message, 1)
	if _, err := conn.Receive(batch); err != nil {
		return err
	}
	mono, wall := clock.Both()
	d.Times = []int64{wall - (mono - batch[0].At)}
	_, err = message.Parse(batch[0].Data)
	go func() {
		readOn(conn)
		_ = conn.Close()
	}()
	return err
}

// Call connects to To and at once sends a message of N bytes.
func (h *host) Call(o Order, d *Done) error {
	t, err := encrypted(o.Proto)
	if err != nil {
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	return d.call(func() error {
		conn, err := t.Dial(ctx, o.To, transport.Config{Certificate: o.Certificate, Sessions: h.secure.sessions})
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.secure.conn = conn
		h.mu.Unlock()
		go readOn(conn) // TLS finds a ticket where it reads (RFC 8446 §4.6.1)
		b := make([]byte, o.N)
		message.Seal(b, message.Header{})
		_, err = conn.Send([][]byte{b})
		return err
	})
}

// Reach connects to To, for Recite.
func (h *host) Reach(o Order, d *Done) error {
	t, err := encrypted(o.Proto)
	if err != nil {
		return err
	}
	ctx, cancel := soon()
	defer cancel()
	return d.call(func() error {
		conn, err := t.Dial(ctx, o.To, transport.Config{Certificate: o.Certificate})
		h.mu.Lock()
		h.secure.conn = conn
		h.mu.Unlock()
		return err
	})
}

// Welcome takes the connection of a client that Reaches here, for Listen to it.
func (h *host) Welcome(Order, *Done) error {
	ctx, cancel := soon()
	defer cancel()
	h.mu.Lock()
	l := h.secure.listener
	h.mu.Unlock()
	conn, err := l.Accept(ctx, netip.AddrPort{})
	h.mu.Lock()
	h.secure.conn = conn
	h.mu.Unlock()
	return err
}

// Recite is Speak over the connection that Reach made.
func (h *host) Recite(o Order, d *Done) error {
	h.mu.Lock()
	conn := h.secure.conn
	h.mu.Unlock()
	return d.call(func() error {
		return paced(&o, d, func(b []byte) error {
			_, err := conn.Send([][]byte{b})
			return err
		})
	})
}

// Follow is Hear over the connection that Welcome took: it waits for all of them, and
// is only for what loses none.
func (h *host) Follow(o Order, d *Done) error {
	h.mu.Lock()
	conn := h.secure.conn
	h.mu.Unlock()
	timer := time.AfterFunc(o.Patience, func() { _ = conn.Close() })
	defer timer.Stop()
	d.Times = make([]int64, o.N)
	mono, wall := clock.Both()
	return d.call(func() error {
		batch := make([]transport.Message, o.N)
		for left := o.N; left > 0; {
			n, err := conn.Receive(batch)
			for _, x := range batch[:n] {
				m, err := message.Parse(x.Data)
				if err != nil {
					return err
				}
				if m.Number >= uint64(o.N) || d.Times[m.Number] != 0 {
					return errors.New("a message came that was not sent, or twice")
				}
				d.Times[m.Number] = wall + x.At - mono
				left--
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// readOn reads, though nothing more is said, until the connection ends.
func readOn(conn transport.Conn) { _, _ = conn.Receive(make([]transport.Message, 1)) }

// Ticket waits until the server has given a ticket.
func (h *host) Ticket(Order, *Done) error { return awaitTicket(h.secure.sessions) }

func awaitTicket(s *secure.Sessions) error {
	ctx, cancel := soon()
	defer cancel()
	select {
	case <-s.Got():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no ticket came: %w", ctx.Err())
	}
}

// HangUp ends the connection that Call made.
func (h *host) HangUp(_ Order, d *Done) error {
	h.mu.Lock()
	conn := h.secure.conn
	h.mu.Unlock()
	s := conn.Stats()
	d.Resumed = s.Resumed != nil && *s.Resumed
	return conn.Close()
}
