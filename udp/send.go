package udp

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// sender is the state of handing datagrams to the kernel, made once so that
// sending allocates nothing. Each message has a header and a vector of its
// own.
type sender struct {
	headers [batchMax]unix.Mmsghdr
	vectors [batchMax]unix.Iovec

	// The call in progress, and what came of it.
	batch [][]byte
	n     int
	err   syscall.Errno

	// one and many make one system call. They report false when the socket's
	// buffer has no room, and are called again when it has.
	one, many func(fd uintptr) bool
}

func (s *sender) init() {
	for i := range s.headers {
		s.headers[i].Hdr.Iov = &s.vectors[i]
		s.headers[i].Hdr.SetIovlen(1)
	}
	s.one = func(fd uintptr) bool {
		m := s.batch[0]
		_, _, err := unix.Syscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(m))), uintptr(len(m)))
		if err == 0 {
			s.n, s.err = 1, 0
			return true
		}
		s.n, s.err = 0, err
		return err != unix.EAGAIN
	}
	s.many = func(fd uintptr) bool {
		n, _, err := unix.Syscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&s.headers[0])), uintptr(len(s.batch)), unix.MSG_DONTWAIT, 0, 0)
		if err == 0 {
			s.n, s.err = int(n), 0
			return true
		}
		s.n, s.err = 0, err
		return err != unix.EAGAIN
	}
}

// hand gives one batch of at most batchMax messages to the kernel, which may
// take the first of them only.
func (s *sender) hand(raw syscall.RawConn, batch [][]byte) error {
	s.batch = batch
	var err error
	if len(batch) == 1 {
		err = raw.Write(s.one)
	} else {
		for i, m := range batch {
			s.vectors[i].Base = unsafe.SliceData(m)
			s.vectors[i].SetLen(len(m))
		}
		err = raw.Write(s.many)
		clear(s.vectors[:len(batch)])
	}
	s.batch = nil
	return err
}

const (
	// pathErrors is how many errors in a row stop a message: those that an
	// earlier one left behind are gone once they are told, those that say that
	// there is no route come again.
	pathErrors = 16
	// scarce is how long to let the kernel find memory.
	scarce = 100 * time.Microsecond
)

// Send makes each message a datagram. An ICMP error that an earlier datagram
// brought about is counted and does not stop the next one: a sender that
// nobody listens to goes on, and never learns more than that.
func (c *Conn) Send(batch [][]byte) (int, error) {
	sent, errs := 0, 0
	cut := false // the call before took a part only
	for sent < len(batch) {
		if c.closed.Load() {
			return sent, transport.ErrClosed
		}
		todo := batch[sent:min(sent+batchMax, len(batch))]
		for i, m := range todo {
			if len(m) > c.largest {
				todo = todo[:i]
				break
			}
		}
		if cut {
			// sendmmsg swallows the error that stopped it in mid-batch, be it
			// want of room or an ICMP one. Were the next call for a batch too,
			// and each datagram answered at once, none would ever be told.
			todo = todo[:min(1, len(todo))]
		}
		if len(todo) == 0 {
			return sent, fmt.Errorf("%w: %d bytes, the session's limit is %d", transport.ErrTooLarge, len(batch[sent]), c.largest)
		}
		s := &c.sender
		if err := s.hand(c.raw, todo); err != nil {
			return sent, c.why(err)
		}
		sent += s.n
		cut = s.n > 0 && s.n < len(todo)
		switch {
		case s.err == 0:
			errs = 0
		case s.err == unix.EINTR:
		case s.err == unix.EMSGSIZE:
			return sent, fmt.Errorf("%w: %d bytes: %w", transport.ErrTooLarge, len(batch[sent]), s.err)
		case s.err == unix.ENOBUFS || s.err == unix.ENOMEM:
			// Not the socket's buffer but the kernel lacks room, and no event
			// tells when it has some.
			time.Sleep(scarce)
		case fromPath(s.err):
			c.refused.Add(1)
			if errs++; errs >= pathErrors && s.err != unix.ECONNREFUSED {
				return sent, fmt.Errorf("udp: sending to the path: %w", s.err)
			}
		default:
			return sent, fmt.Errorf("udp: sending: %w", s.err)
		}
	}
	return sent, nil
}
