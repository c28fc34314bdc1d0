package lab

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"netcmp/netem/emulator"
)

// mtu is that of the path, as on an Ethernet.
const mtu = 1500

// mac is the host's address on the wire: locally administered.
func (h Host) mac() net.HardwareAddr { return net.HardwareAddr{0x02, 'n', 'c', 0, 0, byte(h) + 1} }

func (h Host) other() Host { return 1 - h }

// connect joins the host's namespace to the calling thread's by a pair of
// virtual Ethernet devices, and gives the index of the near one. Each host
// knows the other's Ethernet address from the start (no neighbour discovery)
// and makes up no address of its own (no IPv6 autoconfiguration): nothing but
// its programs' packets crosses the path. With the emulator between them the
// hosts are neighbours; with a router, the other host's packets go to that.
func connect(h Host, t *hostThread, e Engine) (index int, err error) {
	namespace := t.namespace
	next := h.other().mac()
	if e == Kernel {
		next = h.gate()
	}
	near := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: h.String(), MTU: mtu, TxQLen: 1000, HardwareAddr: h.gate()},
		PeerName:         "eth0",
		PeerHardwareAddr: h.mac(),
		PeerNamespace:    netlink.NsFd(namespace),
	}
	if err := netlink.LinkAdd(near); err != nil {
		return 0, fmt.Errorf("virtual Ethernet device: %w", err)
	}
	if err := up(nil, near); err != nil {
		return 0, err
	}
	handle, err := netlink.NewHandleAt(netns.NsHandle(namespace), unix.NETLINK_ROUTE)
	if err != nil {
		return 0, fmt.Errorf("%v host: %w", h, err)
	}
	defer handle.Close()
	if err := furnish(handle, h, next); err != nil {
		return 0, fmt.Errorf("%v host: %w", h, err)
	}
	if e == Kernel {
		err := plain(h.String())
		if err == nil {
			err = t.do(func() error { return plain("eth0") })
		}
		if err != nil {
			return 0, err
		}
	}
	if e == Emulator && !emulator.TakesDatagramTrains() {
		if err := t.do(cutDatagrams); err != nil {
			return 0, err
		}
	}
	return near.Attrs().Index, nil
}

// cutDatagrams has the host's device not take trains of datagrams: the kernel then
// cuts them before.
func cutDatagrams() error {
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return err
	}
	defer tool.Close()
	const feature = "tx-udp-segmentation" // Linux 4.18 and later have it, and the trains
	all, err := tool.Features("eth0")
	if on := all[feature]; err != nil || !on {
		return err
	}
	return tool.Change("eth0", map[string]bool{feature: false})
}

// up sets a device up, without addresses that nobody asked for.
func up(handle *netlink.Handle, l netlink.Link) error {
	if handle == nil {
		handle = &netlink.Handle{}
	}
	// Without IPv6 there is nothing to set.
	_ = handle.LinkSetIP6AddrGenMode(l, 1) // IN6_ADDR_GEN_MODE_NONE
	if err := handle.LinkSetUp(l); err != nil {
		return fmt.Errorf("%s up: %w", l.Attrs().Name, err)
	}
	return nil
}

func furnish(handle *netlink.Handle, h Host, next net.HardwareAddr) error {
	lo, err := handle.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := handle.LinkSetUp(lo); err != nil {
		return err
	}
	eth, err := handle.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := up(handle, eth); err != nil {
		return err
	}
	for _, family := range []struct {
		own, other net.IP
		mask       net.IPMask
	}{
		{h.Addr().AsSlice(), h.other().Addr().AsSlice(), net.CIDRMask(24, 32)},
		{h.Addr6().AsSlice(), h.other().Addr6().AsSlice(), net.CIDRMask(64, 128)},
	} {
		address := &netlink.Addr{IPNet: &net.IPNet{IP: family.own, Mask: family.mask}, Flags: unix.IFA_F_NODAD}
		neighbour := &netlink.Neigh{
			LinkIndex: eth.Attrs().Index, IP: family.other, HardwareAddr: next, State: netlink.NUD_PERMANENT,
		}
		err := handle.AddrAdd(eth, address)
		if err == nil {
			err = handle.NeighAdd(neighbour)
		}
		if err != nil && len(family.own) == net.IPv4len {
			return fmt.Errorf("address %v: %w", family.own, err)
		}
		// A kernel without IPv6 has a lab without it.
	}
	return nil
}

// listening says whether the host has a listening TCP socket or a UDP socket
// that is bound to a port (proc(5), /proc/net/tcp: state 0A is LISTEN, 07 is
// what an unconnected UDP socket shows).
func (t *hostThread) listening() (found bool, err error) {
	err = t.do(func() error {
		for name, state := range map[string]string{"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"} {
			f, err := os.Open("/proc/thread-self/net/" + name)
			if err != nil {
				continue // no IPv6
			}
			lines := bufio.NewScanner(f)
			for lines.Scan() {
				if fields := strings.Fields(lines.Text()); len(fields) > 3 && fields[3] == state {
					found = true
				}
			}
			f.Close()
		}
		return nil
	})
	return found, err
}
