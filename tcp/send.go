package tcp

import (
	"netcmp/transport"
	"netcmp/transport/stream"
)

// Send writes the batch to the stream by one system call if the socket's
// buffer takes it, and waits for room if not.
func (c *Conn) Send(batch [][]byte) (int, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	batch, tooLarge := stream.Fitting(batch, c.largest)
	if len(batch) == 0 {
		return 0, tooLarge
	}
	written, err := c.writeAll(batch)
	if err != nil {
		return stream.Whole(batch, written), c.why(err)
	}
	return len(batch), tooLarge
}

func (c *Conn) writeAll(batch [][]byte) (written int64, err error) {
	if !c.single {
		return c.write(batch)
	}
	for i := range batch {
		n, err := c.write(batch[i : i+1])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (c *Conn) write(batch [][]byte) (int64, error) {
	if b, ok := stream.Contiguous(batch); ok {
		n, err := c.channel.Write(b)
		return int64(n), err
	}
	if !c.plain || c.turns != nil {
		// Each write would be a record of its own, and a system call.
		c.joined = stream.Join(c.joined, batch)
		n, err := c.channel.Write(c.joined)
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
