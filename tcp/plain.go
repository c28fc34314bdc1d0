package tcp

import (
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// plain is a connection without encryption, read and written by system calls that Go's
// scheduler is not told of. They never wait, since the socket does not block; but to
// copy a hundred kilobytes takes longer than the 20 µs after which the scheduler gives
// the processor of a thread in a system call to another one (retake in
// runtime/proc.go), which then looks for work, finds none, and sleeps again, at the
// expense of whoever could have run. One goroutine may read while another writes.
type plain struct {
	*net.TCPConn
	raw           syscall.RawConn
	reads, writes pipe
}

// pipe is one direction's call in progress, made once so that it allocates nothing.
type pipe struct {
	buf  []byte
	n    int
	err  syscall.Errno
	call func(fd uintptr) bool // false: the socket has no room, or nothing
}

func newPlain(tcp *net.TCPConn, raw syscall.RawConn) *plain {
	p := &plain{TCPConn: tcp, raw: raw}
	p.reads.init(unix.SYS_READ)
	p.writes.init(unix.SYS_WRITE)
	return p
}

func (p *pipe) init(trap uintptr) {
	p.call = func(fd uintptr) bool {
		for {
			n, _, err := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p.buf))), uintptr(len(p.buf)))
			if p.n, p.err = int(n), err; err != 0 {
				p.n = 0
			}
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	}
}

// over makes one call with b.
func (p *pipe) over(b []byte, wait func(func(fd uintptr) bool) error) (int, error) {
	p.buf = b
	err := wait(p.call)
	p.buf = nil
	if err != nil {
		return 0, err
	}
	if p.err != 0 {
		return p.n, p.err
	}
	return p.n, nil
}

// Read waits for what comes.
func (p *plain) Read(b []byte) (int, error) {
	n, err := p.reads.over(b, p.raw.Read)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write waits until all of b is taken.
func (p *plain) Write(b []byte) (written int, err error) {
	for len(b) > 0 && err == nil {
		var n int
		n, err = p.writes.over(b, p.raw.Write)
		written, b = written+n, b[n:]
	}
	return written, err
}
