package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vishvananda/netlink"

	"netcmp/netem"
	"netcmp/netem/emulator"
	"netcmp/netem/tc"
	"netcmp/result"
)

// Engine is what makes the lab's path.
type Engine string

// The engines. The zero value is the emulator.
const (
	Emulator Engine = "emulator" // user space
	Kernel   Engine = "kernel"   // sch_netem, on a router between the hosts
	Auto     Engine = "auto"     // the kernel where it can make the path, otherwise the emulator
)

// path is what lies between the hosts.
type path interface {
	Link(context.Context) (result.Link, error)
	Run(context.Context) error
}

// router is a path of the kernel's: the path process's namespace forwards IP
// between its two devices, and netem is the queueing discipline of each. netem
// stands on a router and not on a host, since TCP behaves differently where its
// own host queues or drops what it sends (net/ipv4/tcp_output.c, TSQ).
type router struct {
	index   [2]int // of the devices at the client and at the server
	path    netem.Path
	changes []netem.Change
	witness *emulator.Witness
}

// toward is the side whose device a direction leaves by.
func toward(up bool) Host {
	if up {
		return Server
	}
	return Client
}

// kernelNetem finds out whether the kernel has netem, and whether it can be
// given a seed (since 6.6), on a device that nothing uses.
func kernelNetem() (seeds bool, err error) {
	const loopback = 1
	if err := tc.Install(loopback, netem.Impairment{Seed: 1}); err != nil {
		return false, netemMissing(err)
	}
	return tc.Seeded(loopback)
}

// netemMissing tells the owner of a kernel without netem.
func netemMissing(err error) error {
	if !errors.Is(err, tc.ErrNoNetem) {
		return err
	}
	return &UnsupportedError{
		Missing: "the kernel has no sch_netem",
		Mend:    "load it (modprobe sch_netem) or use a kernel with CONFIG_NET_SCH_NETEM; or use --engine emulator, which needs none",
	}
}

// kernelCan says why the kernel's netem cannot make a path, if it cannot.
func kernelCan(c emulator.Config) error {
	if c.Fate == netem.FateByTime {
		return errors.New("--fate time is the emulator's: the kernel's netem draws by packet; use --engine emulator")
	}
	paths := []netem.Path{c.Path}
	for _, x := range c.Changes {
		paths = append(paths, x.Path)
	}
	for _, p := range paths {
		for _, i := range []netem.Impairment{p.Up, p.Down} {
			if err := tc.Refuse(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// forward makes the namespace a router between the two devices.
func forward(index [2]int) error {
	for _, setting := range []struct {
		file string
		must bool
	}{
		{"/proc/sys/net/ipv4/ip_forward", true},
		{"/proc/sys/net/ipv6/conf/all/forwarding", false}, // a kernel without IPv6 has a lab without it
	} {
		if err := os.WriteFile(setting.file, []byte("1\n"), 0); err != nil && setting.must {
			return fmt.Errorf("router: %w", err)
		}
	}
	for h := range Host(2) {
		if err := route(index[h], h); err != nil {
			return err
		}
	}
	return nil
}

// newRouter makes a path of the kernel's between the two devices of a router.
func newRouter(index [2]int, c emulator.Config) (*router, error) {
	r := &router{index: index, path: seeded(c.Path, c.Seed)}
	for _, x := range c.Changes {
		r.changes = append(r.changes, netem.Change{At: x.At, Path: seeded(x.Path, c.Seed)})
	}
	w := emulator.WitnessConfig{Index: index, Path: c.Path}
	for h := range Host(2) {
		w.Near[h], w.Far[h] = h.gate(), h.mac()
	}
	var err error
	if r.witness, err = emulator.NewWitness(w); err != nil {
		return nil, err
	}
	return r, r.set(r.path, tc.Install)
}

// seeded is p with a seed for each direction that has none.
func seeded(p netem.Path, seed uint64) netem.Path {
	for _, way := range []struct {
		i  *netem.Impairment
		up bool
	}{{&p.Up, true}, {&p.Down, false}} {
		if way.i.Seed == 0 {
			way.i.Seed = netem.DirectionSeed(seed, way.up)
		}
	}
	return p
}

// set gives each device its netem.
func (r *router) set(p netem.Path, do func(int, netem.Impairment) error) error {
	if err := do(r.index[toward(true)], p.Up); err != nil {
		return netemMissing(err)
	}
	return do(r.index[toward(false)], p.Down)
}

// route makes the device the way to the host behind it.
func route(index int, h Host) error {
	for _, family := range []struct {
		address net.IP
		bits    int
	}{{h.Addr().AsSlice(), 32}, {h.Addr6().AsSlice(), 128}} {
		err := netlink.RouteAdd(&netlink.Route{
			LinkIndex: index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: family.address, Mask: net.CIDRMask(family.bits, family.bits)},
		})
		if err == nil {
			err = netlink.NeighAdd(&netlink.Neigh{
				LinkIndex: index, IP: family.address, HardwareAddr: h.mac(), State: netlink.NUD_PERMANENT,
			})
		}
		if err != nil && family.bits == 32 {
			return fmt.Errorf("router: route to %v: %w", family.address, err)
		}
	}
	return nil
}

// Run changes the path when it is time to, and ends with ctx.
func (r *router) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- r.witness.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-r.witness.First():
	}
	first := time.Now()
	for _, x := range r.changes {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Until(first.Add(x.At))):
		}
		if err := r.set(x.Path, tc.Change); err != nil {
			return err
		}
	}
	return <-ended
}

// Link is the account of both directions: what netem counts, and what the
// witness saw.
func (r *router) Link(context.Context) (result.Link, error) {
	up, down := r.witness.Account()
	var link result.Link
	var err error
	if link.Up, err = r.direction(true, up); err == nil {
		link.Down, err = r.direction(false, down)
	}
	return link, err
}

func (r *router) direction(up bool, seen emulator.Passage) (l result.LinkDirection, err error) {
	q, err := tc.ReadCounters(r.index[toward(up)])
	if err != nil {
		return l, err
	}
	loses, doubles, reorders := false, false, false
	for _, p := range append([]netem.Change{{Path: r.path}}, r.changes...) {
		i := p.Path.Down
		if up {
			i = p.Path.Up
		}
		loses = loses || i.Loss != nil
		doubles = doubles || i.Duplicate != 0
		reorders = reorders || i.Reorder != 0
	}
	l = result.LinkDirection{
		Packets: seen.Packets, Bytes: seen.Bytes, Corrupted: seen.Corrupted, Marked: seen.Marked, Strays: seen.Strays,
		Overrun: seen.Overrun, Delivered: max(q.Packets-seen.Own, 0), InFlight: q.QueueLength, Datagrams: seen.Datagrams,
	}
	// The router's own packets (group membership) may be among what netem lost,
	// and it counts a marked packet as dropped (netem_enqueue). So where none is
	// doubled, what has not come out is what was lost.
	gone := max(q.Drops-seen.Marked, 0)
	if !doubles {
		gone = max(l.Packets-l.Delivered-l.InFlight, 0)
	}
	switch {
	case !loses: // then it found the queue full
		l.QueueDropped, l.Datagrams.QueueDropped = new(gone), new(l.Datagrams.Lost)
		l.Datagrams.Lost = 0
	case gone == 0, seen.NeverFull && len(r.changes) == 0:
		l.Lost, l.QueueDropped, l.Datagrams.QueueDropped = gone, new(int64), new(int64)
	default:
		l.Lost = gone
	}
	if !reorders {
		l.Reordered = new(int64)
	}
	if doubles {
		// One that netem doubles and loses at once leaves no trace in its counters:
		// this is without those.
		l.Duplicated = max(gone+l.Delivered+l.InFlight-l.Packets, 0)
	}
	return l, nil
}

// plain turns the device's offloads off, so that every packet meets netem by
// itself: netem draws once for a train of 64 KiB. What a program sends in trains of
// its own (UDP_SEGMENT) the device may cut whatever these say, so it is told to take
// none (gso_features_check in net/core/dev.c).
func plain(name string) error {
	if _, err := tc.SetOffloads(name, tc.Offloads{}); err != nil {
		return fmt.Errorf("%s: offloads: %w", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetGSOMaxSegs(link, 1)
	}
	if err != nil {
		return fmt.Errorf("%s: packets of a train: %w", name, err)
	}
	return nil
}

// gate is the Ethernet address of the router's device at the host.
func (h Host) gate() net.HardwareAddr { return net.HardwareAddr{0x02, 'n', 'c', 0, 1, byte(h) + 1} }
