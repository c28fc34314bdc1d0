package transporttest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"netcmp/transport"
)

func wants(want error, f func() error) func() error {
	return func() error {
		if err := f(); !errors.Is(err, want) {
			return fmt.Errorf("want %q, got: %w", want.Error(), err)
		}
		return nil
	}
}

func receiveOnce(c transport.Conn) func() error {
	return func() error {
		_, err := c.Receive(make([]transport.Message, 8))
		return err
	}
}

// sendForever sends until that gives an error.
func sendForever(c transport.Conn, size int) func() error {
	return func() error {
		batch := letters(0, 8, size)
		for {
			if n, err := c.Send(batch); err != nil {
				return err
			} else if n != len(batch) {
				return fmt.Errorf("took %d of %d, and no error", n, len(batch))
			}
		}
	}
}

func receiveForever(c transport.Conn) func() error {
	return func() error {
		batch := make([]transport.Message, 64)
		for {
			if _, err := c.Receive(batch); err != nil {
				return err
			}
		}
	}
}

func (s suite) testCloseWakesReceive(t *testing.T) {
	client, _ := s.pair(t, transport.Config{})
	_, server := s.pair(t, transport.Config{})
	for _, c := range []transport.Conn{client, server} {
		received := begin(wants(transport.ErrClosed, receiveOnce(c)))
		time.Sleep(20 * time.Millisecond)
		within(t, patience, "Close", c.Close)
		wait(t, time.Second, "Receive", received)
	}
}

// A Send that waits for room, if the transport ever lets it, ends with Close,
// and Close does not wait for a peer that takes nothing.
func (s suite) testCloseWakesSend(t *testing.T) {
	client, _ := s.pair(t, transport.Config{})
	sent := begin(wants(transport.ErrClosed, sendForever(client, min(10_000, s.promise.MaxMessage))))
	time.Sleep(200 * time.Millisecond)
	closed := begin(client.Close)
	wait(t, time.Second, "Send", sent)
	wait(t, patience/2, "Close", closed)
}

func (s suite) testCloseTwice(t *testing.T) {
	client, _ := s.pair(t, transport.Config{})
	before := client.Stats()
	for range 2 {
		within(t, patience, "Close", client.Close)
		within(t, time.Second, "Receive after Close", wants(transport.ErrClosed, receiveOnce(client)))
		within(t, time.Second, "Send after Close", wants(transport.ErrClosed, func() error {
			_, err := client.Send(letters(0, 1, 100))
			return err
		}))
		after := client.Stats()
		if after.Congestion != before.Congestion || (after.TCPInfo == nil) != (before.TCPInfo == nil) ||
			(after.ReceiverDropped == nil) != (before.ReceiverDropped == nil) || (after.SendBuffer == 0) != (before.SendBuffer == 0) {
			t.Errorf("Stats after Close: %+v\nbefore: %+v", after, before)
		}
	}
}

// What was sent before Close arrives; then the other end learns of it.
func (s suite) testCloseDelivers(t *testing.T) {
	const count, size = 2000, 1000
	client, server := s.pair(t, transport.Config{})
	sent := begin(func() error {
		if err := post(client, letters(0, count, size)); err != nil {
			return err
		}
		return client.Close()
	})
	within(t, patience, "receiving", func() error {
		if err := newReader(server, 64).expect(0, count, s.promise.Ordered); err != nil {
			return err
		}
		return wants(transport.ErrPeerGone, receiveOnce(server))()
	})
	wait(t, patience, "sending and closing", sent)
}

// Close does not wait for a peer that receives no more, or nothing yet, when there is
// room for what it sent: the peer has it, and gives it to whoever asks later.
func (s suite) testCloseIsSeen(t *testing.T) {
	const count, size = 20, 100
	for _, asked := range []int{0, count / 2, count} {
		client, server := s.pair(t, transport.Config{})
		in := newReader(server, 64)
		within(t, patience, "the first messages", func() error {
			if err := post(client, letters(0, asked, size)); err != nil {
				return err
			}
			return in.expect(0, asked, s.promise.Ordered)
		})
		begun := time.Now()
		within(t, patience, "sending the rest and closing", func() error {
			if err := post(client, letters(uint64(asked), count-asked, size)); err != nil {
				return err
			}
			return client.Close()
		})
		// Where nothing tells it of the end, it waits for three.
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("closed after %v, when %d of %d were received", took, asked, count)
		}
		within(t, patience, "receiving the rest", func() error {
			if err := in.expect(uint64(asked), count-asked, s.promise.Ordered); err != nil {
				return err
			}
			return wants(transport.ErrPeerGone, receiveOnce(server))()
		})
	}
}

// What was sent before Close arrives, too, when the end that closes has not read
// what the other one sends and goes on sending.
func (s suite) testCloseDeliversWhileReceiving(t *testing.T) {
	const count, size = 500, 1000
	for range 5 {
		client, server := s.pair(t, transport.Config{})
		down := begin(sendForever(server, size))
		sent := begin(func() error {
			time.Sleep(20 * time.Millisecond)
			if err := post(client, letters(0, count, size)); err != nil {
				return err
			}
			return client.Close()
		})
		within(t, patience, "receiving", func() error {
			time.Sleep(30 * time.Millisecond)
			if err := newReader(server, 64).expect(0, count, s.promise.Ordered); err != nil {
				return err
			}
			return wants(transport.ErrPeerGone, receiveOnce(server))()
		})
		wait(t, patience, "sending up and closing", sent)
		select {
		case err := <-down:
			if !errors.Is(err, transport.ErrPeerGone) {
				t.Fatalf("sending down ended with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("sending down goes on")
		}
	}
}

func (s suite) testPeerGone(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		t.Run(side+" closes", func(t *testing.T) {
			goes, stays := s.pair(t, transport.Config{})
			if side == "server" {
				goes, stays = stays, goes
			}
			received := begin(wants(transport.ErrPeerGone, receiveOnce(stays)))
			within(t, patience, "Close", goes.Close)
			wait(t, patience, "Receive", received)
			within(t, patience, "Send", wants(transport.ErrPeerGone, sendForever(stays, 1000)))
			within(t, patience, "own Close", stays.Close)
			within(t, time.Second, "Receive after own Close", wants(transport.ErrClosed, receiveOnce(stays)))
		})
	}
}

// A context that has ended begins nothing.
func (s suite) testCancelled(t *testing.T) {
	l, err := s.tr.Listen(t.Context(), s.any(), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, "closing the listener", l.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, patience, "Accept", wants(context.Canceled, func() error {
		_, err := l.Accept(ctx, netip.AddrPortFrom(s.host, 9))
		return err
	}))
	if s.promise.Handshake {
		within(t, patience, "Dial", wants(context.Canceled, func() error {
			_, err := s.tr.Dial(ctx, l.Addr(), trusting(transport.Config{}, l))
			return err
		}))
	}
}

// A context ends an Accept that waits, and only that one.
func (s suite) testAcceptCancelled(t *testing.T) {
	l, err := s.tr.Listen(t.Context(), s.any(), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, "closing the listener", l.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	accepted := begin(wants(context.Canceled, func() error {
		_, err := l.Accept(ctx, netip.AddrPort{})
		return err
	}))
	time.Sleep(20 * time.Millisecond)
	cancel()
	wait(t, patience, "Accept", accepted)

	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, server, err := join(ctx, s.tr, l, transport.Config{})
	if err != nil {
		t.Fatal("after a cancelled Accept: ", err)
	}
	closeLater(t, client, server)
	within(t, patience, "moving a message", func() error { return s.deliver(client, server, letters(0, 1, 100)) })
}

// A closed listener accepts nothing, and connections outlive it.
func (s suite) testListenerClosed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := s.tr.Listen(ctx, s.any(), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	client, server, err := join(ctx, s.tr, l, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, client, server)
	accept := wants(transport.ErrClosed, func() error {
		_, err := l.Accept(ctx, netip.AddrPortFrom(s.host, 9))
		return err
	})
	accepted := begin(accept)
	time.Sleep(20 * time.Millisecond)
	for range 2 {
		within(t, patience, "closing the listener", l.Close)
	}
	wait(t, patience, "Accept while the listener was closed", accepted)
	within(t, patience, "Accept after", accept)
	within(t, patience, "moving a message after", func() error { return s.deliver(client, server, letters(0, 1, 100)) })
}
