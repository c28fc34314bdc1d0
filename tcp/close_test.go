package tcp_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"netcmp/tcp"
	"netcmp/transport"
)

// Close does not wait for a peer that has said FIN and then resets the connection: no
// read tells of a reset behind a FIN.
func TestCloseResetBehindFIN(t *testing.T) {
	l, err := tcp.New().Listen(t.Context(), loopback, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer := c.(*net.TCPConn)
	conn, err := l.Accept(t.Context(), netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// The peer reads nothing, so that something is left for Close to wait for.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for err == nil {
			_, err = conn.Send([][]byte{make([]byte, 1<<20)})
		}
	}()
	time.Sleep(50 * time.Millisecond)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = conn.Close()
	}()
	<-sent
	time.Sleep(50 * time.Millisecond) // Close has read the FIN by now
	began := time.Now()
	_ = peer.SetLinger(0)
	_ = peer.Close()
	<-closed
	// It gives up on a peer that takes nothing after 3 s.
	if took := time.Since(began); took > time.Second {
		t.Errorf("Close took %v", took)
	}
}
