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
// sending allocates nothing. Each message has a vector, each train a header.
type sender struct {
	headers  [sendMax]unix.Mmsghdr
	controls [sendMax]segmentSize
	lengths  [sendMax]int // messages of a train
	vectors  [sendMax]unix.Iovec
	cuttable int // the longest message that the kernel takes in trains, as far as is known

	// The call in progress, and what came of it.
	batch [][]byte
	used  int // headers
	n     int // messages that were taken
	err   syscall.Errno
	meter transport.CallMeter

	// one and many make one system call. They report false when the socket's
	// buffer has no room, and are called again when it has. The call does not wait,
	// and Go's scheduler is not told of it: what takes longer than 20 µs, as a batch
	// does, would have the thread's processor given to another one, which finds
	// nothing to do (retake in runtime/proc.go).
	one, many func(fd uintptr) bool
}

// init makes the calls; turns says that they wait in the kernel (socket.Turns).
func (s *sender) init(turns bool) {
	flags := uintptr(unix.MSG_DONTWAIT)
	if turns {
		flags = 0
	}
	s.cuttable = trainBytes
	s.one = func(fd uintptr) bool {
		m := s.batch[0]
		s.meter.Begin()
		_, _, err := unix.RawSyscall6(unix.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(m))), uintptr(len(m)), flags, 0, 0)
		s.meter.End(err == 0)
		if s.n, s.err = 0, err; err == 0 {
			s.n = 1
		}
		return err != unix.EAGAIN || turns
	}
	s.many = func(fd uintptr) bool {
		s.meter.Begin()
		taken, _, err := unix.RawSyscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&s.headers[0])), uintptr(s.used), flags, 0, 0)
		s.meter.End(err == 0)
		if s.n, s.err = 0, err; err == 0 {
			for _, n := range s.lengths[:taken] {
				s.n += n
			}
		}
		return err != unix.EAGAIN || turns
	}
}

// hand gives one batch of at most sendMax messages to the kernel, which may
// take the first of them only.
func (s *sender) hand(raw syscall.RawConn, batch [][]byte) error {
	s.batch = batch
	if len(batch) == 1 {
		s.used = 0
		return raw.Write(s.one)
	}
	s.couple()
	return raw.Write(s.many)
}

// forget lets go of the batch.
func (s *sender) forget() {
	clear(s.vectors[:len(s.batch)])
	s.batch = nil
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
		todo := batch[sent:min(sent+c.most, len(batch))]
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
		err := s.hand(c.raw, todo)
		refused := s.err != 0 && s.refuses(s.err)
		s.forget()
		if err != nil {
			return sent, c.why(err)
		}
		sent += s.n
		cut = s.n > 0 && s.n < len(todo)
		switch {
		case s.err == 0:
			errs = 0
		case s.err == unix.EINTR, s.err == unix.EAGAIN, refused:
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
