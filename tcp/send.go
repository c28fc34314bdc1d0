package tcp

import (
	"fmt"

	"netcmp/transport"
)

// Send writes the batch to the stream by one system call if the socket's
// buffer takes it, and waits for room if not.
func (c *Conn) Send(batch [][]byte) (int, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	// The other end would take a larger message for a corrupt one.
	var tooLarge error
	for i, m := range batch {
		if len(m) > c.largest {
			tooLarge = fmt.Errorf("%w: %d bytes, the session's limit is %d", transport.ErrTooLarge, len(m), c.largest)
			batch = batch[:i]
			break
		}
	}
	if len(batch) == 0 {
		return 0, tooLarge
	}
	written, err := c.write(batch)
	if err != nil {
		return whole(batch, written), c.why(err)
	}
	return len(batch), tooLarge
}

func (c *Conn) write(batch [][]byte) (int64, error) {
	if b, ok := contiguous(batch); ok {
		n, err := c.stream.Write(b)
		return int64(n), err
	}
	if c.stream != stream(c.tcp) {
		// Each write would be a record of its own, and a system call.
		c.joined = c.joined[:0]
		for _, m := range batch {
			c.joined = append(c.joined, m...)
		}
		n, err := c.stream.Write(c.joined)
		return int64(n), err
	}
	// WriteTo eats the slice that it is given: it gets a copy, whose memory
	// serves again. It also forgets each message that it wrote.
	c.batch = append(c.batch[:0], batch...)
	c.remaining = c.batch
	n, err := c.remaining.WriteTo(c.tcp)
	if err != nil {
		clear(c.batch)
	}
	return n, err
}

// contiguous gives the batch as one slice if its messages lie one behind the
// other in one array, as one does alone.
func contiguous(batch [][]byte) ([]byte, bool) {
	all := batch[0]
	for _, m := range batch[1:] {
		n := len(all)
		if len(m) == 0 {
			continue
		}
		if cap(all)-n < len(m) || &all[:n+1][n] != &m[0] {
			return nil, false
		}
		all = all[:n+len(m)]
	}
	return all, true
}

// whole counts the messages of batch that lie in its first n bytes.
func whole(batch [][]byte, n int64) int {
	for i, m := range batch {
		if n -= int64(len(m)); n < 0 {
			return i
		}
	}
	return len(batch)
}
