package tcp

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// plain is a connection without encryption, read and written by system calls that Go's
// scheduler is not told of. They do not wait, or for a moment only (socket.Turns); but to
// copy a hundred kilobytes takes longer than the 20 µs after which the scheduler gives
// the processor of a thread in a system call to another one (retake in
// runtime/proc.go), which then looks for work, finds none, and sleeps again, at the
// expense of whoever could have run. One goroutine may read while another writes.
type plain struct {
	*net.TCPConn
	raw           syscall.RawConn
	closed        *atomic.Bool // this end has closed the connection
	reads, writes pipe
}

// pipe is one direction's call in progress, made once so that it allocates nothing.
type pipe struct {
	buf   []byte
	n     int
	err   syscall.Errno
	meter transport.CallMeter
	call  func(fd uintptr) bool // false: the socket has no room, or nothing
}

// newPlain makes one of tcp; turns says that its calls wait.
func newPlain(tcp *net.TCPConn, raw syscall.RawConn, closed *atomic.Bool, turns bool) *plain {
	p := &plain{TCPConn: tcp, raw: raw, closed: closed}
	p.reads.init(unix.SYS_RECVFROM, turns)
	p.writes.init(unix.SYS_SENDTO, turns)
	return p
}

func (p *pipe) init(trap uintptr, turns bool) {
	flags := uintptr(unix.MSG_NOSIGNAL)
	if !turns {
		flags |= unix.MSG_DONTWAIT
	}
	p.call = func(fd uintptr) bool {
		for {
			var n uintptr
			var err syscall.Errno
			p.meter.Begin()
			if turns && p.err == unix.EAGAIN { // the wait is a longer one: others may have the processor
				n, _, err = unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p.buf))), uintptr(len(p.buf)), flags, 0, 0)
			} else {
				n, _, err = unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p.buf))), uintptr(len(p.buf)), flags, 0, 0)
			}
			p.meter.End(err == 0)
			if p.n, p.err = int(n), err; err != 0 {
				p.n = 0
			}
			if err != unix.EINTR {
				return err != unix.EAGAIN || turns
			}
		}
	}
}

// over makes one call with b, and more while the socket has nothing, or no room, unless
// the connection is closed.
func (p *pipe) over(b []byte, wait func(func(fd uintptr) bool) error, closed *atomic.Bool) (int, error) {
	for {
		p.buf = b
		err := wait(p.call)
		p.buf = nil
		switch {
		case err != nil:
			return 0, err
		case p.err == unix.EAGAIN && !closed.Load():
		case p.err != 0:
			return p.n, p.err
		default:
			return p.n, nil
		}
	}
}

// Read waits for what comes.
func (p *plain) Read(b []byte) (int, error) {
	n, err := p.reads.over(b, p.raw.Read, p.closed)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write waits until all of b is taken.
func (p *plain) Write(b []byte) (written int, err error) {
	for len(b) > 0 && err == nil {
		var n int
		n, err = p.writes.over(b, p.raw.Write, p.closed)
		written, b = written+n, b[n:]
	}
	return written, err
}
