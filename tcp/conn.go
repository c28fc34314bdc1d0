package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/socket"
	"netcmp/transport/stream"
)

// Conn is one TCP connection. The goroutine that sends owns the sending state,
// the one that receives the receiving state; Stats and Close may come from any.
type Conn struct {
	tcp     *net.TCPConn
	turns   *os.File // the socket, which tcp does not have until Close; nil where messages do not take turns
	channel channel  // what messages are written to and read from
	plain   bool     // it does not encrypt
	raw     syscall.RawConn
	local   netip.AddrPort
	largest int
	single  bool // each message is written by itself
	// When the handshakes were done; of a connection that was dialled and is
	// encrypted.
	connected, secured int64
	resumed            *bool // whether the second one resumed a session

	closed  atomic.Bool
	closing sync.Once

	sending   sync.Mutex // held by Send, and by Close to see it gone
	batch     net.Buffers
	remaining net.Buffers
	joined    []byte // a batch in one piece, for encryption

	receiving sync.Mutex // held by Receive, and by Close to see it gone
	reader    stream.Reader

	counting sync.Mutex
	last     transport.Stats
	final    bool // last stays: the socket is gone
}

// newConn makes a connection of tcp, whose messages go over s, which encrypts them,
// or over tcp itself if that is nil.
func newConn(tcp *net.TCPConn, s channel, c transport.Config, largest int) (*Conn, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		_ = tcp.Close()
		return nil, err
	}
	conn := &Conn{tcp: tcp, plain: s == nil, channel: s, raw: raw, local: addrPort(tcp.LocalAddr()), largest: largest, single: c.NoBatch}
	if conn.plain {
		if c.Turns {
			if err := conn.takeTurns(); err != nil {
				_ = tcp.Close()
				return nil, err
			}
		}
		conn.channel = newPlain(tcp, conn.raw, &conn.closed, c.Turns)
	}
	conn.reader.Largest = largest
	conn.Stats() // a connection that breaks at once has told something of itself
	return conn, nil
}

// takeTurns has the calls of the socket wait in the kernel.
func (c *Conn) takeTurns() (err error) {
	if c.turns, err = socket.Turns(c.tcp); err != nil {
		return err
	}
	c.raw, err = c.turns.SyscallConn()
	return err
}

// channel is a connection, plain or encrypted.
type channel interface {
	io.ReadWriter
	CloseWrite() error
}

// LocalAddr is this end's address.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// why translates the error of a read or a write.
func (c *Conn) why(err error) error {
	if c.closed.Load() {
		return transport.ErrClosed
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
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
