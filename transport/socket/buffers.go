// Package socket sets and reads what the sockets of all transports have in
// common.
package socket

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// SetBuffers asks for buffers of the given sizes, 0 leaving one as it is. The
// kernel doubles what it is asked for, to pay for its own bookkeeping, and
// cuts an ordinary user's wish to net.core.wmem_max and rmem_max without a
// word: what came of it is what Buffers reads back.
func SetBuffers(fd int, send, receive int) error {
	if err := setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, send); err != nil {
		return fmt.Errorf("send buffer of %d bytes: %w", send, err)
	}
	if err := setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receive); err != nil {
		return fmt.Errorf("receive buffer of %d bytes: %w", receive, err)
	}
	return nil
}

// setBuffer tries the privileged option first: it is not held to the limits.
func setBuffer(fd, force, plain, size int) error {
	if size == 0 {
		return nil
	}
	if size < 0 {
		return unix.EINVAL
	}
	size = min(size, math.MaxInt32/2)
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size)
	}
	return err
}

// Buffers reads the sizes of the buffers; 0 is one that cannot be read.
func Buffers(fd int) (send, receive int) {
	send, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	receive, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return send, receive
}
