package transporttest

import (
	"bytes"
	"fmt"
	"time"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/transport"
)

// session is the one that the suite's messages carry.
const session = 0x2f6b_11d0_93ac_7e55

// letter makes one message whose number and size are given.
func letter(number uint64, size int) []byte { return letterOf(session, number, size) }

func letterOf(session, number uint64, size int) []byte {
	b := make([]byte, size)
	message.Fill(b[message.HeaderSize:], number)
	now := clock.Now()
	message.Seal(b, message.Header{Session: session, Number: number, Planned: now, Sent: now})
	return b
}

// letters makes count messages of one size, numbered from first.
func letters(first uint64, count, size int) [][]byte {
	batch := make([][]byte, count)
	for i := range batch {
		batch[i] = letter(first+uint64(i), size)
	}
	return batch
}

// post sends a copy of the batch and then spoils that copy: a transport keeps
// nothing of it.
func post(c transport.Conn, batch [][]byte) error {
	copies := make([][]byte, len(batch))
	for i, m := range batch {
		copies[i] = bytes.Clone(m)
	}
	n, err := c.Send(copies)
	for _, m := range copies {
		clear(m)
	}
	if err != nil {
		return fmt.Errorf("sent %d of %d: %w", n, len(batch), err)
	}
	if n != len(batch) {
		return fmt.Errorf("sent %d of %d, and no error", n, len(batch))
	}
	return nil
}

// reader receives messages and checks what holds for each of them.
type reader struct {
	conn  transport.Conn
	batch []transport.Message
	last  int64 // time of the message before
}

func newReader(c transport.Conn, batch int) *reader {
	return &reader{conn: c, batch: make([]transport.Message, batch)}
}

// next hands each message of one Receive to got.
func (r *reader) next(got func(h message.Header, data []byte) error) error {
	clear(r.batch)
	n, err := r.conn.Receive(r.batch)
	now := clock.Now()
	if err != nil {
		if n != 0 {
			return fmt.Errorf("%d messages with an error: %w", n, err)
		}
		return err
	}
	if n < 1 || n > len(r.batch) {
		return fmt.Errorf("received %d in a batch of %d, and no error", n, len(r.batch))
	}
	for _, m := range r.batch[:n] {
		h, err := message.Parse(m.Data)
		if err != nil {
			return fmt.Errorf("a message of %d bytes: %w", len(m.Data), err)
		}
		if m.At < h.Sent || m.At > now || m.At < r.last {
			return fmt.Errorf("message %d came at %d: sent at %d, the one before came at %d, now is %d", h.Number, m.At, h.Sent, r.last, now)
		}
		r.last = m.At
		if err := got(h, m.Data); err != nil {
			return err
		}
	}
	return nil
}

// expect receives the messages first to first+count−1, each once, and in
// order if asked.
func (r *reader) expect(first uint64, count int, ordered bool) error {
	seen := make([]bool, count)
	for left := count; left > 0; {
		err := r.next(func(h message.Header, _ []byte) error {
			i := h.Number - first
			if h.Session != session || i >= uint64(count) {
				return fmt.Errorf("message %d of session %x is none of ours", h.Number, h.Session)
			}
			if seen[i] {
				return fmt.Errorf("message %d came twice", h.Number)
			}
			if ordered && int(i) != count-left {
				return fmt.Errorf("message %d came when %d was due", h.Number, first+uint64(count-left))
			}
			seen[i] = true
			left--
			return nil
		})
		if err != nil {
			return fmt.Errorf("%d of %d messages missing: %w", left, count, err)
		}
	}
	return nil
}

// insist sends the messages to a peer that may not get them all, and again
// those that did not come, until each has come intact.
func insist(from, to transport.Conn, batch [][]byte) error {
	byNumber := make(map[uint64][]byte, len(batch))
	for _, m := range batch {
		h, err := message.Parse(m)
		if err != nil {
			return err
		}
		byNumber[h.Number] = m
	}
	arrived := make(chan uint64, len(batch))
	received := begin(func() error {
		r := newReader(to, 64)
		seen := make(map[uint64]bool)
		for len(seen) < len(byNumber) {
			if err := r.next(func(h message.Header, data []byte) error {
				if want, ok := byNumber[h.Number]; ok && !bytes.Equal(data, want) {
					return fmt.Errorf("message %d is not what was sent", h.Number)
				} else if ok && !seen[h.Number] {
					seen[h.Number] = true
					arrived <- h.Number
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	missing := make(map[uint64]bool, len(batch))
	for n := range byNumber {
		missing[n] = true
	}
	for deadline := time.Now().Add(patience / 2); ; {
		var again [][]byte
		for _, m := range batch {
			if h, _ := message.Parse(m); missing[h.Number] {
				again = append(again, m)
			}
		}
		if err := post(from, again); err != nil {
			return err
		}
		for timeout := time.After(300 * time.Millisecond); len(missing) > 0 && timeout != nil; {
			select {
			case n := <-arrived:
				delete(missing, n)
			case err := <-received:
				if err != nil {
					return err
				}
				received = nil // all are in arrived
			case <-timeout:
				timeout = nil
			}
		}
		if len(missing) == 0 {
			if received != nil {
				return <-received
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d messages never came", len(missing), len(batch))
		}
	}
}

// deliver brings the messages over as surely as the transport can.
func (s suite) deliver(from, to transport.Conn, batch [][]byte) error {
	if !s.promise.Reliable {
		return insist(from, to, batch)
	}
	first, err := message.Parse(batch[0])
	if err != nil {
		return err
	}
	sent := begin(func() error { return post(from, batch) })
	if err := newReader(to, 64).expect(first.Number, len(batch), s.promise.Ordered); err != nil {
		return err
	}
	return <-sent
}
