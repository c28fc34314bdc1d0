package quic

import (
	"sync/atomic"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/transport"
	"netcmp/transport/stream"
)

// streamConn carries all messages of a sender on one stream, which the sender
// opens. The goroutine that sends owns the sending state, the one that receives
// the receiving state.
type streamConn struct {
	*link
	out    atomic.Pointer[quicgo.SendStream] // nil before the first message
	joined []byte

	in     *ahead
	reader stream.Reader
}

func newStream(l *link) transport.Conn {
	c := &streamConn{link: l, in: newAhead(l.ended), reader: stream.Reader{Largest: l.largest}}
	go c.run()
	return c
}

// run reads what the peer sends. When all of it is here, it tells the peer so.
func (c *streamConn) run() {
	defer close(c.in.done)
	in, err := c.session.AcceptUniStream(c.session.Context())
	if err != nil {
		c.in.fail(err)
		return
	}
	if c.in.run(c.session.Context(), in) {
		c.part()
	}
}

// Send writes the batch to the stream, and waits while the congestion control
// or the peer's window has no room.
func (c *streamConn) Send(batch [][]byte) (int, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	batch, tooLarge := stream.Fitting(batch, c.largest)
	if len(batch) == 0 {
		return 0, tooLarge
	}
	out, err := c.open()
	if err != nil {
		return 0, c.why(err)
	}
	all, ok := stream.Contiguous(batch)
	if !ok {
		c.joined = stream.Join(c.joined, batch)
		all = c.joined
	}
	if n, err := c.write(out, all); err != nil {
		return stream.Whole(batch, int64(n)), c.why(err)
	}
	return len(batch), tooLarge
}

// open gives the stream to send on.
func (c *streamConn) open() (*quicgo.SendStream, error) {
	if out := c.out.Load(); out != nil {
		return out, nil
	}
	out, err := c.session.OpenUniStreamSync(c.ended)
	if err != nil {
		return nil, err
	}
	c.out.Store(out)
	if c.closed.Load() { // Close may have looked before
		_ = out.SetWriteDeadline(past)
	}
	return out, nil
}

// Receive hands on the whole messages that the last read left over, or else
// reads until there is one.
func (c *streamConn) Receive(batch []transport.Message) (int, error) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	if len(batch) == 0 {
		return 0, nil
	}
	for {
		if n, err := c.reader.Next(batch); n > 0 || err != nil {
			return n, err
		}
		if err := c.reader.Read(c.in, c.in.at); err != nil {
			return 0, c.why(err)
		}
		if c.closed.Load() {
			return 0, transport.ErrClosed
		}
	}
}

// Close wakes Send and Receive, says that this was all, and waits until the peer
// has read it, unless nothing was sent.
func (c *streamConn) Close() error {
	err := c.shut(func() {
		if out := c.out.Load(); out != nil {
			_ = out.SetWriteDeadline(past)
		}
		c.in.wake()
	}, func() error {
		if out := c.out.Load(); out != nil && out.Close() == nil {
			return c.await()
		}
		return nil
	})
	<-c.in.done
	return err
}
