package tc

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrForeign says that a device has a queueing discipline of somebody else's.
var ErrForeign = errors.New("somebody else's")

// ErrApplied says that a device has netcmp's netem already.
var ErrApplied = errors.New("netcmp's netem is there already")

// ErrNoSeed says that a seed is asked for which the kernel does not take.
var ErrNoSeed = errors.New("this kernel's netem takes no seed (Linux 6.6 and later do): leave it out")

// ErrNoDevice says that there is no such device.
var ErrNoDevice = errors.New("no such device")

// Options are how a Setup is applied.
type Options struct {
	// Replace takes away what is there: netcmp's own, or somebody else's, which
	// Clear then puts back.
	Replace bool
	// For is after how long it ends by itself; 0 for never. It needs a Guard.
	For   time.Duration
	Guard Guard
}

// Apply puts a setup on its device. If that fails, the device is as it was.
// Until is when it ends by itself.
func Apply(s Setup, o Options) (until time.Time, err error) {
	r, g, err := place(s, o)
	if err != nil || g == nil {
		return r.Until, err
	}
	if err := g.confirm(); err != nil {
		return until, errors.Join(err, undoIfSame(r))
	}
	return r.Until, nil
}

// place does it, and gives what it has done and its guard, not yet confirmed; nil
// where none is needed.
func place(s Setup, o Options) (r record, g *guarding, err error) {
	if err := s.Validate(); err != nil {
		return r, nil, err
	}
	st, link, unlock, err := enter(s.Device)
	if err != nil {
		return r, nil, err
	}
	defer unlock()
	index := link.Attrs().Index
	if ours, err := st.read(index); err != nil {
		return r, nil, err
	} else if ours != nil {
		if !o.Replace {
			return r, nil, fmt.Errorf("%s: %w: netcmp netem clear --dev %s, or --replace", s.Device, ErrApplied, s.Device)
		}
		if err := st.undo(*ours); err != nil {
			return r, nil, err
		}
	}
	r = record{Device: s.Device, Index: index, Out: s.Out.String(), Filter: s.Filter.String(), ID: rand.Text()}
	if r.Previous, err = displaced(s, index, o.Replace); err != nil {
		return r, nil, err
	}
	if s.In != nil {
		r.In, r.IFB = new(s.In.String()), s.ifb()
		if _, err := netlink.LinkByName(r.IFB); err == nil {
			return r, nil, fmt.Errorf("%s: the device %s is there already: ip link del %s", s.Device, r.IFB, r.IFB)
		}
	}
	if !s.KeepOffloads {
		before, err := readOffloads(s.Device)
		if err != nil {
			return r, nil, err
		}
		r.Offloads = &before
	}
	if o.For > 0 {
		r.Until = time.Now().Add(o.For)
	}
	// The guard before the record and the record before the device: whoever is
	// killed in between, what there is to undo is known to somebody.
	if o.For > 0 {
		if g, err = o.Guard.start(r); err != nil {
			return r, nil, err
		}
		r.Guard = g.cmd.Process.Pid
	}
	if err = st.write(r); err != nil {
		g.end()
		return r, nil, err
	}
	if err = s.install(index); err == nil {
		err = s.seedsTaken(index)
	}
	if err != nil {
		failed := st.undo(r)
		if failed == nil {
			g.end()
		}
		return r, nil, errors.Join(err, failed)
	}
	return r, g, nil
}

// Hold is a setup that is there until it is released, and for no longer than the
// process that has it.
type Hold struct {
	record record
	guard  *guarding
}

// Take puts a setup on its device as Apply does, for o.For at the most.
func Take(s Setup, o Options) (*Hold, error) {
	r, g, err := place(s, o)
	if err != nil {
		return nil, err
	}
	return &Hold{r, g}, nil
}

// Release makes the device what it was.
func (h *Hold) Release() error {
	err := undoIfSame(h.record)
	if err == nil {
		h.guard.end()
	} // otherwise the guard goes on trying, once this process has gone
	return err
}

// seedsTaken says whether the kernel has the seeds that are asked for: one before
// 6.6 passes over them without a word.
func (s Setup) seedsTaken(index int) error {
	look := func(index int) error {
		all, err := List(index)
		if err != nil {
			return err
		}
		for _, q := range all {
			if q.Kind != "netem" {
				continue
			}
			if i, err := Decode(q.Options); err != nil || i.Seed == 0 {
				return cmp.Or(err, fmt.Errorf("%s: %w", s.Device, ErrNoSeed))
			}
		}
		return nil
	}
	if s.Out.Seed != 0 {
		if err := look(index); err != nil {
			return err
		}
	}
	if s.In == nil || s.In.Seed == 0 {
		return nil
	}
	link, err := netlink.LinkByName(s.ifb())
	if err != nil {
		return err
	}
	return look(link.Attrs().Index)
}

// enter finds a device and its record's store, locked, and undoes what is
// overdue.
func enter(device string) (st store, link netlink.Link, unlock func(), err error) {
	link, err = netlink.LinkByName(device)
	if err != nil {
		return st, nil, nil, fmt.Errorf("%s: %w (ip link lists them)", device, ErrNoDevice)
	}
	if st, err = openStore(); err != nil {
		return st, nil, nil, err
	}
	if unlock, err = st.lock(); err != nil {
		return st, nil, nil, err
	}
	r, err := st.read(link.Attrs().Index)
	if err == nil && r != nil && !r.Until.IsZero() && time.Now().After(r.Until) {
		err = st.undo(*r)
	}
	if err != nil {
		unlock()
		return st, nil, nil, err
	}
	return st, link, unlock, nil
}

// restorable are the queueing disciplines that their options make again.
var restorable = []string{"pfifo", "bfifo", "pfifo_fast", "fq_codel", "fq", "codel", "cake", "sfq", "tbf", "netem", "noqueue", "pie", "fq_pie", "sfb", "red"}

// displaced is the root queueing discipline that has to be put back; nil where
// it is the kernel's default, which comes back by itself.
func displaced(s Setup, index int, replace bool) (*previous, error) {
	all, err := List(index)
	if err != nil {
		return nil, err
	}
	var found *previous
	for _, q := range all {
		switch {
		case q.Kind == "ingress" || q.Kind == "clsact":
			if s.In != nil {
				return nil, fmt.Errorf("%s has the qdisc %s, %w: --ingress needs its place, and its filters could not be put back", s.Device, q.Kind, ErrForeign)
			}
		case !s.leaving():
		case q.Parent == root && q.Handle == Handle<<16:
			return nil, fmt.Errorf("%s: %w, from a script: run that with stop", s.Device, ErrApplied)
		case q.Parent == root && q.Handle != 0:
			if !slices.Contains(restorable, q.Kind) {
				return nil, fmt.Errorf("%s has a qdisc %s %x:, %w, which could not be put back as it is: remove it yourself", s.Device, q.Kind, q.Handle>>16, ErrForeign)
			}
			if i, err := Decode(q.Options); q.Kind == "netem" && (err != nil || i.Jitter != 0 || i.Slot.Jitter != 0) {
				return nil, fmt.Errorf("%s has a netem %x:, %w, with a jitter: the kernel does not tell its distribution, so it could not be put back: remove it yourself", s.Device, q.Handle>>16, ErrForeign)
			}
			found = &previous{Kind: q.Kind, Handle: q.Handle, Options: q.Options}
		}
	}
	for _, q := range all {
		if found != nil && q.Parent != root && q.Parent>>16 == found.Handle>>16 {
			return nil, fmt.Errorf("%s has a qdisc %s %x: with others below it, %w: it could not be put back as it is: remove it yourself", s.Device, found.Kind, found.Handle>>16, ErrForeign)
		}
	}
	if found != nil && !replace {
		return nil, fmt.Errorf("%s has a qdisc %s %x:, %w: --replace puts it back at the end", s.Device, found.Kind, found.Handle>>16, ErrForeign)
	}
	return found, nil
}

// install does what the script's start does.
func (s Setup) install(index int) error {
	if !s.KeepOffloads {
		if _, err := SetOffloads(s.Device, Offloads{}); err != nil {
			return err
		}
	}
	if s.leaving() {
		if err := s.installLeaving(index); err != nil {
			return err
		}
	}
	if s.In == nil {
		return nil
	}
	ifb := &netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: s.ifb(), TxQLen: 32}}
	if err := netlink.LinkAdd(ifb); err != nil {
		return fmt.Errorf("an ifb device (modprobe ifb): %w", privilege(err))
	}
	if err := netlink.LinkSetUp(ifb); err != nil {
		return err
	}
	if err := Install(ifb.Index, *s.In); err != nil {
		return err
	}
	ingress := netlink.MakeHandle(0xffff, 0)
	if err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: ingress, Parent: netlink.HANDLE_INGRESS}}); err != nil {
		return fmt.Errorf("an ingress qdisc (modprobe sch_ingress): %w", privilege(err))
	}
	redirect := []netlink.Action{netlink.NewMirredAction(ifb.Index)}
	if s.Filter.All() {
		err := netlink.FilterAdd(&netlink.MatchAll{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: ingress, Priority: 1, Protocol: unix.ETH_P_ALL}, Actions: redirect,
		})
		if err != nil {
			return fmt.Errorf("a redirect (modprobe cls_matchall act_mirred): %w", privilege(err))
		}
		return nil
	}
	for n, r := range s.Filter.rules() {
		f := s.Filter.flower(r, index, ingress, n+1)
		f.Actions = redirect
		if err := netlink.FilterAdd(f); err != nil {
			return fmt.Errorf("a redirect (modprobe cls_flower act_mirred): %w", privilege(err))
		}
	}
	return nil
}

func (s Setup) installLeaving(index int) error {
	if s.Filter.All() {
		return Install(index, s.Out)
	}
	return s.installPicked(index)
}

// installPicked puts netem under a band that only picked packets reach.
func (s Setup) installPicked(index int) error {
	prio := netlink.NewPrio(netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(Handle, 0), Parent: netlink.HANDLE_ROOT})
	prio.Bands = pickedBand
	if err := netlink.QdiscAdd(prio); err != nil {
		return fmt.Errorf("a qdisc prio (modprobe sch_prio): %w", privilege(err))
	}
	options, err := Encode(s.Out, false)
	if err != nil {
		return err
	}
	if err := put(index, Handle<<16|pickedBand, childHandle<<16, "netem", options, unix.NLM_F_CREATE|unix.NLM_F_EXCL); err != nil {
		return err
	}
	for n, r := range s.Filter.rules() {
		f := s.Filter.flower(r, index, netlink.MakeHandle(Handle, 0), n+1)
		f.ClassId = netlink.MakeHandle(Handle, pickedBand)
		if err := netlink.FilterAdd(f); err != nil {
			return fmt.Errorf("a filter (modprobe cls_flower): %w", privilege(err))
		}
	}
	return nil
}

func (f Filter) flower(r rule, index int, parent uint32, priority int) *netlink.Flower {
	x := &netlink.Flower{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: parent, Priority: uint16(priority), Protocol: unix.ETH_P_IP},
		EthType:     unix.ETH_P_IP, SrcPort: r.source, DestPort: r.destination,
	}
	if r.ipv6 {
		x.Protocol, x.EthType = unix.ETH_P_IPV6, unix.ETH_P_IPV6
	}
	if r.protocol != 0 {
		p := nl.IPProto(r.protocol)
		x.IPProto = &p
	}
	if p := f.Source; p.IsValid() {
		x.SrcIP, x.SrcIPMask = p.Addr().AsSlice(), net.CIDRMask(p.Bits(), p.Addr().BitLen())
	}
	if p := f.Destination; p.IsValid() {
		x.DestIP, x.DestIPMask = p.Addr().AsSlice(), net.CIDRMask(p.Bits(), p.Addr().BitLen())
	}
	return x
}

func privilege(err error) error {
	if errors.Is(err, unix.EPERM) {
		return ErrPrivilege
	}
	return err
}

// Clear takes away what netcmp has put on a device, and nothing else, and puts
// back what was there. It says false if there was nothing.
func Clear(device string) (bool, error) {
	st, link, unlock, err := enter(device)
	if err != nil {
		return false, err
	}
	defer unlock()
	r, err := st.read(link.Attrs().Index)
	if err != nil || r == nil {
		return false, err
	}
	return true, st.undo(*r)
}

// undo makes the device what it was before the record. It goes on when a part
// of it fails, and keeps the record then.
func (s store) undo(r record) error {
	var failed []error
	note := func(err error) {
		if err != nil && !errors.Is(err, unix.ENODEV) {
			failed = append(failed, err)
		}
	}
	if r.IFB != "" {
		all, err := List(r.Index)
		note(err)
		if ifb, err := netlink.LinkByName(r.IFB); err == nil && ifb.Type() == "ifb" {
			for _, q := range all {
				if q.Kind == "ingress" {
					note(netlink.QdiscDel(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: r.Index, Handle: q.Handle, Parent: netlink.HANDLE_INGRESS}}))
				}
			}
			note(netlink.LinkDel(ifb))
		}
	}
	if q, err := Root(r.Index); err == nil && q.Handle == Handle<<16 {
		note(Remove(r.Index))
	}
	if p := r.Previous; p != nil {
		if q, err := Root(r.Index); err == nil && q.Handle != p.Handle {
			note(p.putBack(r.Index))
		}
	}
	if r.Offloads != nil {
		_, err := SetOffloads(r.Device, *r.Offloads)
		note(err)
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	endGuard(r)
	return s.remove(r)
}

// putBack makes the queueing discipline what it was.
func (p *previous) putBack(index int) error {
	options := bytes.Clone(p.Options)
	for again := range 2 {
		if again > 0 { // some options can only be given at the beginning
			if err := Remove(index); err != nil {
				return err
			}
		}
		if err := put(index, root, p.Handle, p.Kind, options, unix.NLM_F_CREATE|unix.NLM_F_REPLACE); err != nil {
			return err
		}
		q, err := Root(index)
		if err != nil || bytes.Equal(q.Options, p.Options) {
			return err
		}
		if len(q.Options) != len(options) {
			break
		}
		// Some kinds keep a time in units of their own and tell it rounded down
		// (codel_time_t): told a little more, they tell what they told before.
		for at := 0; at+4 <= len(options); at += 4 {
			want, got := binary.NativeEndian.Uint32(p.Options[at:]), binary.NativeEndian.Uint32(q.Options[at:])
			if got < want && want-got <= 2 {
				binary.NativeEndian.PutUint32(options[at:], want+want-got)
			}
		}
	}
	return fmt.Errorf("qdisc %s %x: is back, but not as it was", p.Kind, p.Handle>>16)
}
