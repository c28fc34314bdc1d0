package tcp

import (
	"netcmp/clock"
	"netcmp/transport"
)

// Receive hands on the whole messages that the last read left over, or else
// reads until there is one.
func (c *Conn) Receive(batch []transport.Message) (int, error) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	if c.closed.Load() {
		return 0, transport.ErrClosed
	}
	if len(batch) == 0 {
		return 0, nil
	}
	for {
		n, err := c.reader.Next(batch)
		if n > 0 || err != nil {
			return n, err
		}
		if err := c.reader.Read(c.channel, clock.Now); err != nil {
			return 0, c.why(err)
		}
		// Close may have come while data was there.
		if c.closed.Load() {
			return 0, transport.ErrClosed
		}
	}
}
