package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// Conn is one TCP connection. The goroutine that sends owns the sending state,
// the one that receives the receiving state; Stats and Close may come from any.
type Conn struct {
	tcp     *net.TCPConn
	raw     syscall.RawConn
	local   netip.AddrPort
	largest int

	closed  atomic.Bool
	closing sync.Once

	sending   sync.Mutex // held by Send, and by Close to see it gone
	batch     net.Buffers
	remaining net.Buffers

	receiving sync.Mutex // held by Receive, and by Close to see it gone
	frames    frames

	counting sync.Mutex
	last     transport.Stats
	final    bool // last stays: the socket is gone
}

func newConn(tcp *net.TCPConn, c transport.Config, largest int) (*Conn, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		_ = tcp.Close()
		return nil, err
	}
	if err := tcp.SetNoDelay(!c.Nagle); err != nil {
		_ = tcp.Close()
		return nil, fmt.Errorf("TCP_NODELAY: %w", err)
	}
	conn := &Conn{tcp: tcp, raw: raw, local: addrPort(tcp.LocalAddr()), largest: largest}
	conn.frames.largest = largest
	conn.Stats() // a connection that breaks at once has told something of itself
	return conn, nil
}

// LocalAddr is this end's address.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// why translates the error of a read or a write.
func (c *Conn) why(err error) error {
	if c.closed.Load() {
		return transport.ErrClosed
	}
	if errors.Is(err, io.EOF) {
		return transport.ErrPeerGone
	}
	// ETIMEDOUT is TCP giving up on a peer that no longer answers; the
	// unreachables are what it says then if the path told it a reason.
	for _, gone := range []error{
		unix.ECONNRESET, unix.EPIPE, unix.ETIMEDOUT, unix.ECONNREFUSED, unix.ECONNABORTED,
		unix.EHOSTUNREACH, unix.ENETUNREACH,
	} {
		if errors.Is(err, gone) {
			return fmt.Errorf("%w: %w", transport.ErrPeerGone, err)
		}
	}
	return err
}
