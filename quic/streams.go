package quic

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/clock"
	"netcmp/transport"
	"netcmp/transport/stream"
)

// streamsMax is how many messages may be under way at once: streams that the
// peer has opened and that have not been read to their end.
const streamsMax = 4096

// streamsConn carries each message on a stream of its own. The stream's end is
// the message's. A stream of eight bytes, too short for a message, is the
// peer's farewell: how many messages it has sent.
type streamsConn struct {
	*link
	writing atomic.Pointer[quicgo.SendStream]
	sent    uint64 // messages; of the goroutine that sends, and of Close after it

	inbox   *inbox
	working sync.WaitGroup // the goroutine that accepts and those that read

	mu       sync.Mutex
	arrived  uint64 // messages that were read to their end
	promised uint64 // how many the peer has sent
	parted   bool   // it has told
}

func newStreams(l *link) transport.Conn {
	c := &streamsConn{link: l, inbox: newInbox()}
	go c.run()
	return c
}

// run accepts the peer's streams until the connection ends.
func (c *streamsConn) run() {
	var err error
	for {
		var in *quicgo.ReceiveStream
		if in, err = c.session.AcceptUniStream(c.session.Context()); err != nil {
			break
		}
		c.working.Go(func() { c.read(in) })
	}
	c.working.Wait()
	c.inbox.end(err)
}

// read takes one message.
func (c *streamsConn) read(in *quicgo.ReceiveStream) {
	// Room for one byte more than fits tells a message that is too large.
	buf := make([]byte, 0, min(2048, c.largest+1))
	for {
		if len(buf) == cap(buf) {
			if len(buf) > c.largest {
				in.CancelRead(0)
				_ = c.session.CloseWithError(farewell+1, fmt.Sprintf("a message of more than %d bytes", c.largest))
				return
			}
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF { //nolint:errorlint // that is how a stream ends
			break
		}
		if err != nil {
			return // the connection ended, or the peer thought better of it
		}
	}
	now := clock.Now()
	if len(buf) == 8 {
		c.tally(func() { c.promised, c.parted = binary.BigEndian.Uint64(buf), true })
		return
	}
	// Whoever closes has no use for messages, but counts them.
	c.inbox.put(c.ended, transport.Message{Data: buf, At: now})
	c.tally(func() { c.arrived++ })
}

// tally counts, and when all that the peer sent is here it tells the peer so.
func (c *streamsConn) tally(count func()) {
	c.mu.Lock()
	count()
	all := c.parted && c.arrived >= c.promised
	c.mu.Unlock()
	if all {
		c.part()
	}
}

// Send opens a stream for each message, and waits while the peer has no room for
// more, or the congestion control.
func (c *streamsConn) Send(batch [][]byte) (int, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	batch, tooLarge := stream.Fitting(batch, c.largest)
	for i, m := range batch {
		if err := c.post(m); err != nil {
			return i, c.why(err)
		}
		c.sent++
	}
	return len(batch), tooLarge
}

func (c *streamsConn) post(m []byte) error {
	if len(m) < shortest {
		return fmt.Errorf("quic: %d bytes are no message", len(m))
	}
	out, err := c.session.OpenUniStreamSync(c.ended)
	if err != nil {
		return err
	}
	c.writing.Store(out)
	if c.closed.Load() { // Close may have looked before
		_ = out.SetWriteDeadline(past)
	}
	if _, err := c.write(out, m); err != nil {
		out.CancelWrite(0)
		return err
	}
	return out.Close()
}

// Receive waits for messages that are whole.
func (c *streamsConn) Receive(batch []transport.Message) (int, error) {
	return c.receive(c.inbox, batch)
}

// Close wakes Send and Receive, says how many messages there were, and waits
// until the peer has them, unless there were none.
func (c *streamsConn) Close() error {
	err := c.shut(func() {
		if out := c.writing.Load(); out != nil {
			_ = out.SetWriteDeadline(past)
		}
	}, func() error {
		if c.sent == 0 {
			return nil
		}
		out, err := c.session.OpenUniStream()
		if err != nil {
			return nil // no room for one more: the peer takes nothing
		}
		if _, err := out.Write(binary.BigEndian.AppendUint64(nil, c.sent)); err != nil || out.Close() != nil {
			return nil
		}
		return c.await()
	})
	<-c.inbox.ended
	return err
}
