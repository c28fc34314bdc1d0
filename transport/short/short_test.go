package short

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// line is a connection that takes what it is given.
type line struct{ transport.Conn }

func (line) Send(batch [][]byte) (int, error) { return len(batch), nil }
func (line) Stats() transport.Stats           { return transport.Stats{} }
func (line) Close() error                     { return nil }

// Who has no port left is told so, and of what could be done; what went before is
// counted, and so is the message that found none.
func TestPortsRunOut(t *testing.T) {
	const ports = 3
	taken := 0
	c := newClient(netip.AddrPort{}, false, 1, func(context.Context) (transport.Conn, error) {
		if taken == ports {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", unix.EADDRNOTAVAIL)}
		}
		taken++
		return line{}, nil
	})
	defer c.Close()
	for range ports + 1 {
		if n, err := c.Send([][]byte{{1}}); n != 1 || err != nil {
			t.Fatalf("%d sent: %v", n, err)
		}
		c.Settle(nil) // no connection has begun that has not ended
	}
	n, err := c.Send([][]byte{{1}, {1}})
	if n != 0 || !errors.Is(err, unix.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "ip_local_port_range") {
		t.Errorf("%d sent: %v", n, err)
	}
	if got := c.Stats().Connections; got.Opened != ports || got.Failed != 1 || got.Error != err.Error() {
		t.Errorf("%+v, want %d opened, 1 failed, and %q", got, ports, err)
	}
}

// Who sends faster than connections end waits until one has ended.
func TestTooManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 2
		answer := make(chan struct{})
		c := newClient(netip.AddrPort{}, false, most, func(context.Context) (transport.Conn, error) {
			<-answer
			return line{}, nil
		})
		sent := 0
		go func() {
			for range most + 1 {
				if n, err := c.Send([][]byte{{1}}); err != nil {
					t.Error(err)
				} else {
					sent += n
				}
			}
		}()
		for _, want := range []int{most, most + 1} {
			if synctest.Wait(); sent != want {
				t.Errorf("%d were sent, want %d", sent, want)
			}
			answer <- struct{}{} // a server answers one that waits
		}
		close(answer)
		if failed := c.Settle(nil); failed != 0 {
			t.Errorf("%d failed", failed)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
