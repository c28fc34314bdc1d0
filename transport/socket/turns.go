package socket

import (
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// turnsPatience is how long a call waits in the kernel, which counts in its own ticks (of
// 1 to 10 ms), before it comes back with EAGAIN. It bounds how long closing, and Go's
// collector, wait for one.
const turnsPatience = time.Millisecond

// Turns takes a socket away from Go's network poller, and closes conn, which had it: what
// it returns is the same socket, whose calls wait in the kernel for a moment and then come
// back with EAGAIN. Where one message is under way at a time, it then costs a system call
// to send and one to receive; the poller has a read that finds nothing, two of epoll_wait
// and a change of threads beside them, and is woken by every packet even if nobody waits
// for it there.
func Turns(conn interface {
	syscall.Conn
	io.Closer
}) (*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	if e := raw.Control(func(handle uintptr) {
		patience := unix.NsecToTimeval(turnsPatience.Nanoseconds())
		for _, way := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
			if err = unix.SetsockoptTimeval(int(handle), unix.SOL_SOCKET, way, &patience); err != nil {
				return
			}
		}
		if err = unix.SetNonblock(int(handle), false); err == nil { // and so is whatever else it is known by
			fd, err = unix.FcntlInt(handle, unix.F_DUPFD_CLOEXEC, 0)
		}
	}); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	_ = conn.Close() // the socket stays
	return os.NewFile(uintptr(fd), "socket"), nil
}
