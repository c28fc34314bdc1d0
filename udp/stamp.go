package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// stamps is the state of reading when the kernel received each datagram
// (SO_TIMESTAMPNS, socket(7)): the kernel stamps it by the wall clock as it comes in
// by the device, so that read − stamp is how late the process read it.
type stamps struct {
	controls [receiveMax][stampSize]byte
}

// stampSize is room for the control message of a stamp: CMSG_SPACE(sizeof(timespec)).
const stampSize = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))

// unbelievable is how long before its reading a stamp cannot be, ns: the wall clock was
// set in between.
const unbelievable = 3_600_000_000_000

// askStamps has the kernel stamp what comes in by this socket; nil where it will not.
func askStamps(fd int) *stamps {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) != nil {
		return nil
	}
	return new(stamps)
}

// read returns when the kernel received the datagram in a slot, on the clock on which
// it was read at the instant at; wall is the wall clock's time then. It returns 0 if
// that is not known. It may be called on a nil s.
func (s *stamps) read(slot int, h *unix.Msghdr, at, wall int64) int64 {
	if s == nil || int(h.Controllen) < stampSize {
		return 0
	}
	b := &s.controls[slot]
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SCM_TIMESTAMPNS {
		return 0
	}
	ago := wall - (*unix.Timespec)(unsafe.Pointer(&b[unix.SizeofCmsghdr])).Nano()
	if ago < 0 || ago > unbelievable {
		return 0
	}
	return at - ago
}
