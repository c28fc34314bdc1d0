package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/transport"
)

// Batches of many sizes come over whole and, where that is promised, in order,
// in both directions of one connection.
func (s suite) testRoundTrip(t *testing.T) {
	client, server := s.pair(t, transport.Config{})
	sizes := []int{message.HeaderSize, message.HeaderSize + 1, 200, 1000, 1200, 1473, 9000, 65507, 128 << 10, 1 << 20}
	sizes = slices.DeleteFunc(sizes, func(n int) bool { return n >= s.promise.MaxMessage })
	sizes = append(sizes, s.promise.MaxMessage)
	volume := 8 << 20
	if !s.promise.Reliable {
		volume = 512 << 10 // what a socket's buffer surely holds
	}
	number := uint64(1)
	for _, size := range sizes {
		for _, count := range []int{1, 2, 7, 64, 100, 1500} {
			if count > 1 && count*size > volume {
				continue
			}
			for _, way := range [][2]transport.Conn{{client, server}, {server, client}} {
				batch := letters(number, count, size)
				number += uint64(count)
				within(t, patience, fmt.Sprintf("%d messages of %d bytes", count, size), func() error {
					return s.deliver(way[0], way[1], batch)
				})
			}
		}
	}
}

// A batch that mixes sizes and lies scattered or contiguous in memory makes no
// difference. 50,000 messages go each way at once, and all of them arrive.
func (s suite) testEverything(t *testing.T) {
	const count, size = 50_000, 400
	client, server := s.pair(t, transport.Config{MaxMessage: size})
	send := func(c transport.Conn, seed uint64) func() error {
		return func() error {
			r := rand.New(rand.NewPCG(seed, 1))
			memory := make([]byte, 0, 64*size)
			for sent := 0; sent < count; {
				n := min(1+r.IntN(64), count-sent)
				batch := make([][]byte, n)
				memory = memory[:0]
				for i := range batch {
					m := letter(uint64(sent+i), message.HeaderSize+r.IntN(size-message.HeaderSize+1))
					if n%2 == 0 {
						from := len(memory)
						memory = append(memory, m...)
						m = memory[from:]
					}
					batch[i] = m
				}
				if taken, err := c.Send(batch); err != nil || taken != n {
					return fmt.Errorf("took %d of %d: %w", taken, n, err)
				}
				sent += n
			}
			return nil
		}
	}
	receive := func(c transport.Conn) func() error {
		return func() error { return newReader(c, 256).expect(0, count, s.promise.Ordered) }
	}
	work := []<-chan error{begin(send(client, 1)), begin(send(server, 2)), begin(receive(client)), begin(receive(server))}
	for i, what := range []string{"sending up", "sending down", "receiving down", "receiving up"} {
		wait(t, 3*patience, what, work[i])
	}
}

// Receive gives nothing before something has come.
func (s suite) testReceiveWaits(t *testing.T) {
	client, server := s.pair(t, transport.Config{})
	got := begin(func() error { return newReader(server, 8).expect(7, 1, true) })
	select {
	case err := <-got:
		t.Fatal("Receive came back, and nothing was sent:", err)
	case <-time.After(50 * time.Millisecond):
	}
	noError(t, "sending", post(client, letters(7, 1, 100)))
	wait(t, patience, "receiving", got)
}

// What does not fit a batch comes with the next.
func (s suite) testSmallBatches(t *testing.T) {
	client, server := s.pair(t, transport.Config{})
	noError(t, "sending", post(client, letters(0, 10, 100)))
	within(t, patience, "receiving", func() error {
		return newReader(server, 3).expect(0, 10, s.promise.Ordered)
	})
}

func (s suite) testEmptyBatches(t *testing.T) {
	client, server := s.pair(t, transport.Config{})
	within(t, patience, "moving nothing", func() error {
		if n, err := client.Send(nil); n != 0 || err != nil {
			return fmt.Errorf("sent %d, %w", n, err)
		}
		if n, err := server.Receive(nil); n != 0 || err != nil {
			return fmt.Errorf("received %d, %w", n, err)
		}
		return nil
	})
}

// A message that is too large is refused, those before it are sent, and the
// connection goes on.
func (s suite) testTooLarge(t *testing.T) {
	for _, limit := range []int{0, 500} {
		t.Run(fmt.Sprintf("MaxMessage %d", limit), func(t *testing.T) {
			client, server := s.pair(t, transport.Config{MaxMessage: limit})
			if limit == 0 {
				limit = s.promise.MaxMessage
			}
			batch := letters(0, 3, 100)
			batch[1] = make([]byte, limit+1)
			within(t, patience, "a message too large", func() error {
				if n, err := client.Send(batch[1:]); n != 0 || !errors.Is(err, transport.ErrTooLarge) {
					return fmt.Errorf("first of the batch: took %d, %w", n, err)
				}
				if n, err := client.Send(batch); n != 1 || !errors.Is(err, transport.ErrTooLarge) {
					return fmt.Errorf("second of the batch: took %d, %w", n, err)
				}
				if err := newReader(server, 8).expect(0, 1, true); err != nil {
					return err
				}
				return s.deliver(client, server, letters(1, 1, min(limit, 1000)))
			})
		})
	}
}

// Damage is for the caller to judge, unless it hides where messages end.
func (s suite) testGarbage(t *testing.T) {
	receive := func(c transport.Conn, want []byte) error {
		batch := make([]transport.Message, 4)
		n, err := c.Receive(batch)
		if err != nil {
			return err
		}
		if n != 1 || !bytes.Equal(batch[0].Data, want) {
			return fmt.Errorf("got %d messages, the first is %x, want %x", n, batch[0].Data, want)
		}
		return nil
	}
	t.Run("payload", func(t *testing.T) {
		client, server := s.pair(t, transport.Config{})
		damaged := letter(1, 100)
		damaged[70] ^= 1
		noError(t, "sending", post(client, [][]byte{damaged}))
		within(t, patience, "receiving", func() error { return receive(server, damaged) })
	})
	t.Run("session", func(t *testing.T) {
		client, server := s.pair(t, transport.Config{})
		damaged := letter(1, 100)
		damaged[8] ^= 1
		noError(t, "sending", post(client, [][]byte{damaged}))
		within(t, patience, "receiving", func() error { return receive(server, damaged) })
	})
	t.Run("frame", func(t *testing.T) {
		client, server := s.pair(t, transport.Config{})
		garbage := bytes.Repeat([]byte{0xa5}, 100)
		noError(t, "sending", post(client, [][]byte{garbage}))
		within(t, patience, "receiving", func() error {
			err := receive(server, garbage)
			if s.promise.Ordered && !errors.Is(err, message.ErrCorrupt) {
				return fmt.Errorf("a stream out of step gave %w", err)
			}
			if s.promise.Ordered {
				if err = receive(server, garbage); errors.Is(err, message.ErrCorrupt) {
					return nil
				}
				return fmt.Errorf("and at the second try: %w", err)
			}
			if err != nil && !errors.Is(err, message.ErrCorrupt) {
				return err
			}
			return nil
		})
	})
}
