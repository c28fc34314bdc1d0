package tcp

import (
	"testing"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// Options reads what the socket of c is set to.
func Options(t *testing.T, c transport.Conn) (noDelay, keepAlive bool) {
	t.Helper()
	get := func(level, option int) (n int) {
		if err := c.(*Conn).raw.Control(func(fd uintptr) {
			var err error
			if n, err = unix.GetsockoptInt(int(fd), level, option); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
		return n
	}
	return get(unix.IPPROTO_TCP, unix.TCP_NODELAY) != 0, get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0
}
