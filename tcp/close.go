package tcp

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stalled ends Close's wait for a peer that takes nothing for so long: two
	// retransmissions of an ordinary path fall within it. linger ends it for
	// one that takes what is left too slowly.
	stalled = 3 * time.Second
	linger  = 5 * time.Second
	// glance is how often that wait looks whether it is over, at first and at
	// last.
	glance, glanceMax = 500 * time.Microsecond, 10 * time.Millisecond
)

// Close wakes Send and Receive, lets the peer have what was written, and ends
// the connection.
//
// A plain close would do while the peer only listens: the kernel goes on
// sending what is left and then says FIN. But RFC 1122 §4.2.2.13 has it that
// "if such a host issues a CLOSE call while received data is still pending in
// TCP, or if new data is received after CLOSE is called, its TCP SHOULD send a
// RST to show that data was lost", and that reset also throws away what is
// still on its way to the peer. So Close says FIN first, reads what comes and
// drops it, and closes when all is acknowledged: what the peer's kernel has, a
// reset does not take back. When that takes too long it leaves the rest to the
// kernel.
func (c *Conn) Close() error {
	var err error
	c.closing.Do(func() {
		c.closed.Store(true)
		if c.turns == nil {
			_ = c.tcp.SetDeadline(past)
		}
		// Whoever holds these leaves now; whoever comes later sees closed.
		c.sending.Lock()
		c.sending.Unlock() //nolint:staticcheck // a barrier, not a critical section
		c.receiving.Lock()
		c.receiving.Unlock() //nolint:staticcheck // likewise
		if c.turns != nil {  // what follows needs deadlines
			defer c.turns.Close()
			var again net.Conn
			if again, err = net.FileConn(c.turns); err != nil {
				return
			}
			c.tcp = again.(*net.TCPConn)
		}
		c.drain()

		c.counting.Lock()
		defer c.counting.Unlock()
		c.refresh()
		c.final = true
		err = c.tcp.Close()
	})
	return err
}

// drain returns when the peer has acknowledged everything and nothing is left
// to read here, when the connection is broken, or when it has waited enough. A
// peer that goes on sending after it has everything is not waited for.
func (c *Conn) drain() {
	unread, unacknowledged := c.queues()
	if unread == 0 && unacknowledged == 0 && c.plain {
		return
	}
	if !c.plain {
		// The encryption's own word that this was all. A peer that takes nothing
		// has had its chance.
		_ = c.tcp.SetDeadline(time.Now().Add(stalled))
		if c.channel.CloseWrite() != nil {
			return
		}
	}
	if c.tcp.CloseWrite() != nil {
		return
	}
	var (
		waste    = make([]byte, 64<<10)
		start    = time.Now()
		progress = start // when the peer acknowledged something last
		end      = start.Add(linger)
		wait     = glance
		arrived  bool // the peer has everything
		peerFIN  bool
	)
	for {
		before := unacknowledged
		unread, unacknowledged = c.queues()
		now := time.Now()
		if unacknowledged < before {
			progress = now
		}
		if unacknowledged == 0 && !arrived {
			arrived = true
			end = now.Add(glanceMax)
		}
		if arrived && unread == 0 || now.After(end) || now.Sub(progress) > stalled {
			return
		}
		if peerFIN {
			if c.broken() {
				return // a reset that comes behind the FIN ends the connection, and no read tells of it
			}
			time.Sleep(wait)
		} else {
			_ = c.tcp.SetReadDeadline(now.Add(wait))
			n, err := c.tcp.Read(waste)
			switch {
			case n > 0:
				continue
			case errors.Is(err, os.ErrDeadlineExceeded):
			case c.broken():
				return
			default:
				peerFIN = true
			}
		}
		wait = min(2*wait, glanceMax)
	}
}

// queues counts the bytes that this end has not read, and those, its FIN
// included, that the peer has not acknowledged.
func (c *Conn) queues() (unread, unacknowledged int) {
	_ = c.raw.Control(func(fd uintptr) {
		unread, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		unacknowledged, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	})
	return unread, unacknowledged
}

// broken reports whether the connection is no more, as after a reset.
func (c *Conn) broken() bool {
	broken := true
	_ = c.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		broken = err != nil || info.State == unix.BPF_TCP_CLOSE
	})
	return broken
}
