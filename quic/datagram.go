package quic

import (
	"errors"
	"fmt"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/clock"
	"netcmp/transport"
	"netcmp/transport/stream"
)

// datagramConn carries each message in a DATAGRAM frame (RFC 9221). A sender
// waits when quic-go has 32 of them that the congestion control holds back. A
// receiver that is slow loses those that find 128 waiting; an inbox behind that
// queue makes it rare, and the counters tell of it.
type datagramConn struct {
	*link
	inbox *inbox
}

func newDatagram(l *link) transport.Conn {
	c := &datagramConn{link: l, inbox: newInbox()}
	go c.run()
	return c
}

// run brings what comes into the inbox until the connection ends.
func (c *datagramConn) run() {
	for {
		data, err := c.session.ReceiveDatagram(c.session.Context())
		if err != nil {
			c.inbox.end(err)
			return
		}
		c.inbox.put(c.ended, transport.Message{Data: data, At: clock.Now()})
	}
}

// Send hands each message to quic-go.
func (c *datagramConn) Send(batch [][]byte) (int, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	batch, tooLarge := stream.Fitting(batch, c.largest)
	for i, m := range batch {
		if c.room(len(m)) < len(m) {
			if err := c.awaitHandshake(); err != nil {
				return i, c.why(err)
			}
		}
		if err := c.session.SendDatagram(m); err != nil {
			var large *quicgo.DatagramTooLargeError
			if errors.As(err, &large) {
				return i, fmt.Errorf("%w: %d bytes, the path's packets hold %d", transport.ErrTooLarge, len(m), large.MaxDatagramPayloadSize)
			}
			return i, c.why(err)
		}
	}
	return len(batch), tooLarge
}

// Receive waits for messages.
func (c *datagramConn) Receive(batch []transport.Message) (int, error) {
	return c.receive(c.inbox, batch)
}

// Close ends the connection at once. What quic-go has not sent yet is gone.
func (c *datagramConn) Close() error {
	err := c.shut(func() { _ = c.session.CloseWithError(farewell, "") }, func() error { return nil })
	<-c.inbox.ended
	return err
}
