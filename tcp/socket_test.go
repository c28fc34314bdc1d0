package tcp_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/tcp"
	"netcmp/transport"
	"netcmp/transport/transporttest"
)

// A path that does not answer keeps Dial waiting until the context ends.
func TestDialGivesUp(t *testing.T) {
	// A listener whose queue of connections is full drops further SYNs.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(loopback.Addr(), uint16(sa.(*unix.SockaddrInet4).Port))
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		conn, err := tcp.New().Dial(ctx, addr, transport.Config{})
		cancel()
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
				t.Errorf("Dial: %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("Dial gave up after %v", took)
			}
			return
		}
		defer func() { _ = conn.Close() }()
	}
	t.Error("the queue never filled")
}

func TestDialRefused(t *testing.T) {
	l, err := tcp.New().Listen(t.Context(), loopback, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tcp.New().Dial(t.Context(), l.Addr(), transport.Config{}); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("Dial: %v", err)
	}
}

// An unknown name is answered with those that are there.
func TestUnknownCongestion(t *testing.T) {
	for _, name := range []string{"carrier-pigeon", "reno with a long tail behind it"} {
		_, err := tcp.New().Listen(t.Context(), loopback, transport.Config{Congestion: name})
		if !errors.Is(err, transport.ErrUnknownCongestion) || !strings.Contains(err.Error(), "reno, ") && !strings.HasSuffix(err.Error(), "reno") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A congestion control that ordinary users may not have is no unknown one.
func TestForbiddenCongestion(t *testing.T) {
	fields := func(file string) []string {
		b, err := os.ReadFile("/proc/sys/net/ipv4/" + file)
		if err != nil {
			t.Skip(err)
		}
		return strings.Fields(string(b))
	}
	allowed := fields("tcp_allowed_congestion_control")
	i := slices.IndexFunc(fields("tcp_available_congestion_control"), func(name string) bool { return !slices.Contains(allowed, name) })
	if i < 0 {
		t.Skip("all congestion controls are for everybody here")
	}
	name := fields("tcp_available_congestion_control")[i]
	failed := make(chan error)
	go func() {
		// The thread ends with this goroutine, and so do its lost privileges.
		runtime.LockOSThread()
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &make([]unix.CapUserData, 2)[0]); err != nil {
			failed <- err
			return
		}
		_, err := tcp.New().Listen(t.Context(), loopback, transport.Config{Congestion: name})
		failed <- err
	}()
	err := <-failed
	if !errors.Is(err, transport.ErrNotSupported) || !strings.Contains(err.Error(), "sysctl") {
		t.Errorf("%s: %v", name, err)
	}
}

// What the connection tells of itself is plausible, and is still there when
// it is closed.
func TestStats(t *testing.T) {
	client, server := transporttest.Pair(t, tcp.New(), loopback.Addr(), transport.Config{})
	for range 10 {
		if _, err := client.Send([][]byte{sealed(0, 1000)}); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Receive(make([]transport.Message, 1)); err != nil {
			t.Fatal(err)
		}
	}
	s := client.Stats()
	if s.TCPInfo == nil || s.Retransmitted == nil {
		t.Fatalf("%+v", s)
	}
	i := *s.TCPInfo
	if i.State != "ESTABLISHED" || i.BytesSent != 10_000 || i.RTTNS <= 0 || i.RTONS < 1e6 || i.SndCwnd == 0 ||
		i.SndMSS < 500 || i.SegsOut < 10 || i.TotalRetrans != uint32(*s.Retransmitted) {
		t.Errorf("%+v", i)
	}
	if s.SendBuffer == 0 || s.ReceiveBuffer == 0 || s.Congestion == "" {
		t.Errorf("%+v", s)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	after := client.Stats()
	if after.TCPInfo == nil || after.TCPInfo.BytesSent != 10_000 {
		t.Errorf("after Close: %+v", after.TCPInfo)
	}
}

// The options that make a difference on the wire are as asked for.
func TestNagleAndKeepAlive(t *testing.T) {
	for _, nagle := range []bool{false, true} {
		client, server := transporttest.Pair(t, tcp.New(), loopback.Addr(), transport.Config{Nagle: nagle})
		for _, c := range []transport.Conn{client, server} {
			noDelay, keepAlive := tcp.Options(t, c)
			if noDelay == nagle || keepAlive {
				t.Errorf("Nagle asked for: %v; TCP_NODELAY %v, SO_KEEPALIVE %v", nagle, noDelay, keepAlive)
			}
		}
	}
}
