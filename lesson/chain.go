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

// family is a version of IP.
type family int

const (
	v4 family = iota
	v6
)

// families are those that this kernel has. A kernel without IPv6 has a lab without
// it.
func families() []family {
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return []family{v4}
	}
	return []family{v4, v6}
}

func (f family) String() string { return [...]string{"IPv4", "IPv6"}[f] }

func (f family) addr(h lab.Host) netip.Addr {
	if f == v6 {
		return h.Addr6()
	}
	return h.Addr()
}

// beyond is the chain's network, in the ranges for benchmarks (RFC 2544, RFC 5180) of
// which the lab has another part.
func (f family) beyond() netip.Prefix {
	return [...]netip.Prefix{netip.MustParsePrefix("198.19.0.0/16"), netip.MustParsePrefix("2001:2:0:8000::/49")}[f]
}

// forwarding is the setting that makes a router.
func (f family) forwarding() string {
	return [...]string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}[f]
}

// linkAddr is an end's address on link i: 1 is the near end, 2 the far one.
func (f family) linkAddr(i, end int) netip.Addr {
	if f == v6 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0, 2, 6: 0x80, 7: byte(i), 15: byte(end)})
	}
	return netip.AddrFrom4([4]byte{198, 19, byte(i), byte(end)})
}

// linkBits is how long the network of a link is.
func (f family) linkBits() int { return [...]int{24, 64}[f] }

// linkMAC is its address on the wire, locally administered.
func linkMAC(i, end int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 'n', 'c', 1, byte(i), byte(end)}
}

// nodeAddr is the address by which node i is reached from the client, and by which
// it speaks to it.
func (f family) nodeAddr(i int) netip.Addr {
	if i == 1 {
		return f.addr(lab.Server)
	}
	return f.linkAddr(i-1, 2)
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
		for _, f := range families() {
			if err := os.WriteFile(f.forwarding(), []byte("1\n"), 0); err != nil {
				return err
			}
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
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "next", HardwareAddr: linkMAC(i, 1)},
		PeerName:  "back", PeerHardwareAddr: linkMAC(i, 2), PeerNamespace: netlink.NsFd(far),
	}
	if err := a.LinkAdd(veth); err != nil {
		return fmt.Errorf("virtual Ethernet device: %w", err)
	}
	if err := furnish(a, "next", i, 1); err != nil {
		return err
	}
	return furnish(b, "back", i, 2)
}

// furnish gives an end of link i its addresses, its neighbour's, and the way to what
// lies behind that. The neighbours know each other, as in the lab: nothing but what
// the lesson sends crosses a link.
func furnish(handle *netlink.Handle, name string, i, end int) error {
	device, err := handle.LinkByName(name)
	if err != nil {
		return err
	}
	_ = handle.LinkSetIP6AddrGenMode(device, 1) // IN6_ADDR_GEN_MODE_NONE; without IPv6 there is nothing to set
	if err := handle.LinkSetUp(device); err != nil {
		return err
	}
	for _, f := range families() {
		own, other := f.linkAddr(i, end), f.linkAddr(i, 3-end)
		network := f.beyond()
		if end == 2 {
			network = netip.PrefixFrom(f.addr(lab.Client), f.addr(lab.Client).BitLen())
		}
		address := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(own, f.linkBits())), Flags: unix.IFA_F_NODAD}
		neighbour := &netlink.Neigh{
			LinkIndex: device.Attrs().Index, IP: other.AsSlice(), HardwareAddr: linkMAC(i, 3-end), State: netlink.NUD_PERMANENT,
		}
		if err := handle.AddrAdd(device, address); err != nil {
			return fmt.Errorf("address %v: %w", own, err)
		}
		if err := handle.NeighAdd(neighbour); err != nil {
			return fmt.Errorf("neighbour %v: %w", other, err)
		}
		if err := route(handle, network, other); err != nil {
			return err
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func route(handle *netlink.Handle, network netip.Prefix, by netip.Addr) error {
	if err := handle.RouteAdd(&netlink.Route{Dst: ipNet(network), Gw: by.AsSlice()}); err != nil {
		return fmt.Errorf("route to %v: %w", network, err)
	}
	return nil
}

// Route tells the client the way to the chain.
func (h *host) Route(_ Order, _ *Done) error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	for _, f := range families() {
		if err := route(handle, f.beyond(), f.addr(lab.Server)); err != nil {
			return err
		}
	}
	return nil
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
