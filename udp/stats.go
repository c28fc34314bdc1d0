package udp

import (
	"netcmp/transport"
	"netcmp/transport/socket"
)

// Stats asks the socket; after Close it gives what was last known.
func (c *Conn) Stats() transport.Stats {
	c.counting.Lock()
	defer c.counting.Unlock()
	if !c.final {
		c.refresh()
	}
	s := c.last
	s.Strays = new(c.strays.Load())
	s.Refused = new(c.refused.Load())
	s.SendCalls, s.ReceiveCalls = c.sender.meter.Cost(), c.receiver.meter.Cost()
	return s
}

// refresh leaves last as it is when the socket does not answer.
func (c *Conn) refresh() {
	_ = c.raw.Control(func(handle uintptr) {
		fd := int(handle)
		var s transport.Stats
		s.SendBuffer, s.ReceiveBuffer = socket.Buffers(fd)
		if dropped, ok := socket.Drops(fd); ok {
			s.ReceiverDropped, s.SocketDrops = new(int64(dropped)), int64(dropped)
			if w := c.receiver.whole; w != nil {
				s.ReceiverDropped, s.SocketDrops = new(w.missing.Load()), 0
				s.TrainsDropped = int64(dropped - w.drops.Load())
			}
		}
		c.last = s
	})
}
