package lesson

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"netcmp/lab"
)

// A chain makes the server's host the first of some routers, each a network
// namespace of its own, and puts another host at its end:
//
//	client ── path ── server host ── … ── the last router ── target
//
// Link i joins node i, the server's host being node 1, to node i+1.

// beyond is the chain's network, in the range for benchmarks (RFC 2544) whose other
// half is the lab's.
var beyond = netip.MustParsePrefix("198.19.0.0/16")

// linkAddr is an end's address on link i: 1 is the near end, 2 the far one.
func linkAddr(i, end int) netip.Addr { return netip.AddrFrom4([4]byte{198, 19, byte(i), byte(end)}) }

// nodeAddr is the address by which node i is reached from the client, and by which
// it speaks to it.
func nodeAddr(i int) netip.Addr {
	if i == 1 {
		return lab.Server.Addr()
	}
	return linkAddr(i-1, 2)
}

// Chain makes this host the first of N routers and puts a target behind the last,
// which is node N+1.
func (h *host) Chain(o Order, _ *Done) error {
	// If the thread cannot come back to its namespace, it ends with the goroutine.
	runtime.LockOSThread()
	own, err := netns.Get()
	if err != nil {
		return err
	}
	nodes := []netns.NsHandle{own}
	for i := 1; i <= o.N; i++ {
		next, err := netns.New() // which the thread is in then
		if err != nil {
			return err
		}
		nodes = append(nodes, next)
	}
	for i := range o.N {
		if err := link(i+1, nodes[i], nodes[i+1]); err != nil {
			return err
		}
	}
	// Node 1 knows the way to the client, and the others by the one before them.
	for i, node := range nodes {
		if err := netns.Set(node); err != nil {
			return err
		}
		if i == o.N {
			break // the target does not forward
		}
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0); err != nil {
			return err
		}
	}
	if err := netns.Set(own); err != nil {
		return err
	}
	runtime.UnlockOSThread()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes = nodes
	return nil
}

// link joins two nodes and tells each the way to what lies behind the other.
func link(i int, near, far netns.NsHandle) error {
	a, err := netlink.NewHandleAt(near)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := netlink.NewHandleAt(far)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := a.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "next"}, PeerName: "back", PeerNamespace: netlink.NsFd(far)}); err != nil {
		return fmt.Errorf("virtual Ethernet device: %w", err)
	}
	for _, end := range []struct {
		handle  *netlink.Handle
		device  string
		number  int
		network netip.Prefix // is reached by the other end
	}{
		{a, "next", 1, beyond},
		{b, "back", 2, netip.PrefixFrom(lab.Client.Addr(), 32)},
	} {
		device, err := end.handle.LinkByName(end.device)
		if err != nil {
			return err
		}
		if err := end.handle.LinkSetUp(device); err != nil {
			return err
		}
		address := &net.IPNet{IP: linkAddr(i, end.number).AsSlice(), Mask: net.CIDRMask(30, 32)}
		if err := end.handle.AddrAdd(device, &netlink.Addr{IPNet: address}); err != nil {
			return err
		}
		if err := route(end.handle, end.network, linkAddr(i, 3-end.number)); err != nil {
			return err
		}
	}
	return nil
}

func route(handle *netlink.Handle, network netip.Prefix, by netip.Addr) error {
	to := &net.IPNet{IP: network.Addr().AsSlice(), Mask: net.CIDRMask(network.Bits(), 32)}
	return handle.RouteAdd(&netlink.Route{Dst: to, Gw: by.AsSlice()})
}

// Route tells the client the way to the chain.
func (h *host) Route(_ Order, _ *Done) error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	return route(handle, beyond, lab.Server.Addr())
}

// at does something in a node of the chain; 0 is where we are.
func (h *host) at(node int, f func() error) error {
	if node == 0 {
		return f()
	}
	h.mu.Lock()
	nodes := h.nodes
	h.mu.Unlock()
	if node > len(nodes) {
		return fmt.Errorf("the chain has %d nodes, and no node %d", len(nodes), node)
	}
	runtime.LockOSThread()
	if err := netns.Set(nodes[node-1]); err != nil {
		return err
	}
	err := f()
	if err := netns.Set(nodes[0]); err != nil {
		return err // and the thread ends
	}
	runtime.UnlockOSThread()
	return err
}
