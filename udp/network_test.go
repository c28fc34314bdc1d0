package udp_test

import (
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/transporttest"
	"netcmp/udp"
)

// ownNetwork puts the test into a network namespace with nothing but a
// loopback device of an ordinary packet size. Sockets that the test's own
// goroutine opens are in it; it goes when the test's thread ends with it.
func ownNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skip("no network namespace without privileges: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMTU(lo, 1500); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

// What is larger than a packet crosses the path in fragments.
func TestFragments(t *testing.T) {
	ownNetwork(t)
	for _, host := range hosts {
		client, server := transporttest.Pair(t, udp.New(), host, transport.Config{})
		for _, size := range []int{1472, 1473, 9000, udp.MaxMessage} {
			const last = 1 << 40
			if n, err := client.Send([][]byte{sealed(0, size), sealed(last, size)}); n != 2 || err != nil {
				t.Fatalf("%v, %d bytes: %d, %v", host, size, n, err)
			}
			if got := receive(t, server, last); got != 2 {
				t.Errorf("%v, %d bytes: %d of 2 came", host, size, got)
			}
		}
	}
}

// A device slower than the sender fills the socket's send buffer: Send waits
// for room and takes every message.
func TestSendWaits(t *testing.T) {
	ownNetwork(t)
	slow := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "slow0", MTU: 1500}, PeerName: "far0"}
	if err := netlink.LinkAdd(slow); err != nil {
		t.Skip("no veth: ", err)
	}
	far, err := netlink.LinkByName("far0")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(far); err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr("198.18.0.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(slow, addr); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(slow); err != nil {
		t.Fatal(err)
	}
	const rate = 1 << 20 // bytes a second
	if err := netlink.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: slow.Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Limit: 1 << 20, Buffer: netlink.Xmittime(rate, 4000),
	}); err != nil {
		t.Skip("no tbf: ", err)
	}
	const count, size = 300, 1000
	for _, n := range []int{1, 30, 300} {
		client, err := udp.New().Dial(t.Context(), netip.MustParseAddrPort("198.18.0.2:7000"), transport.Config{SendBuffer: 20_000})
		if err != nil {
			t.Fatal(err)
		}
		// Nobody answers for the neighbour's address: name one.
		if err := netlink.NeighSet(&netlink.Neigh{
			LinkIndex: slow.Index, State: netlink.NUD_PERMANENT,
			IP: []byte{198, 18, 0, 2}, HardwareAddr: []byte{2, 0, 0, 0, 0, 2},
		}); err != nil {
			t.Fatal(err)
		}
		batch := make([][]byte, n)
		for i := range batch {
			batch[i] = sealed(uint64(i), size)
		}
		start := time.Now()
		for range count / n {
			if taken, err := client.Send(batch); taken != n || err != nil {
				t.Fatal(taken, err)
			}
		}
		took := time.Since(start)
		if least := time.Duration(count-100) * size * time.Second / rate; took < least {
			t.Errorf("batches of %d: %d messages went in %v, and %v is the least: Send did not wait", n, count, took, least)
		}
		if s := client.Stats(); *s.Refused != 0 {
			t.Errorf("batches of %d: %d refusals counted on a path that refuses nothing", n, *s.Refused)
		}
		// Close wakes a Send that waits.
		ended := make(chan error, 1)
		go func() {
			for {
				if _, err := client.Send(batch); err != nil {
					ended <- err
					return
				}
			}
		}()
		time.Sleep(30 * time.Millisecond)
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Send ended with %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("Close did not wake Send")
		}
	}
	stats, err := netlink.QdiscList(slow)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range stats {
		if s := q.Attrs().Statistics; s != nil && s.Queue != nil && s.Queue.Drops != 0 {
			t.Errorf("%s dropped %d packets: Send ran ahead of its buffer", q.Type(), s.Queue.Drops)
		}
	}
}
