package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"

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
	return s
}

// refresh leaves last as it is when the socket does not answer.
func (c *Conn) refresh() {
	_ = c.raw.Control(func(handle uintptr) {
		fd := int(handle)
		var s transport.Stats
		s.SendBuffer, s.ReceiveBuffer = socket.Buffers(fd)
		if dropped, ok := drops(fd); ok {
			s.ReceiverDropped = new(int64(dropped))
		}
		c.last = s
	})
}

// The layout of SO_MEMINFO (linux/sock_diag.h): nine numbers, the last of
// which is how many datagrams the socket has dropped, for want of room in its
// buffer or for a wrong checksum. It is the counter that SO_RXQ_OVFL shows,
// but SO_RXQ_OVFL comes along with a datagram and so is silent on what was
// dropped after the last.
const (
	memInfoVars  = 9
	memInfoDrops = 8
)

func drops(fd int) (uint32, bool) {
	var info [memInfoVars]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, err := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[memInfoDrops], err == 0 && size == uint32(unsafe.Sizeof(info))
}
