package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout of SO_MEMINFO (linux/sock_diag.h): nine numbers, the last of
// which is how many datagrams the socket has dropped, for want of room in its
// buffer or for a wrong checksum. It is the counter that SO_RXQ_OVFL shows,
// but SO_RXQ_OVFL comes along with a datagram and so is silent on what was
// dropped after the last.
const (
	memInfoVars  = 9
	memInfoDrops = 8
)

// Drops is how many datagrams a socket has dropped so far, and whether that can
// be told.
func Drops(fd int) (uint32, bool) {
	var info [memInfoVars]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, err := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[memInfoDrops], err == 0 && size == uint32(unsafe.Sizeof(info))
}
