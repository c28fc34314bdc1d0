package tc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"netcmp/netem"
)

// Handle is the major number of netcmp's own queueing disciplines, by which
// they are known again: "NC".
const Handle = 0x4e43

const root = 0xffffffff // TC_H_ROOT

// ErrNoNetem says that the kernel has no sch_netem.
var ErrNoNetem = errors.New("this kernel has no sch_netem (Specified qdisc kind is unknown); modprobe sch_netem, or a kernel with CONFIG_NET_SCH_NETEM")

// ErrPrivilege says that queueing disciplines may not be changed.
var ErrPrivilege = errors.New("queueing disciplines may not be changed here: it takes root (CAP_NET_ADMIN)")

// Privileged says whether this process may change queueing disciplines: ErrPrivilege if
// it lacks CAP_NET_ADMIN (capabilities(7)).
func Privileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 64 capabilities, and thus two
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return ErrPrivilege
	}
	return nil
}

// ErrNotNetem says that the root of an interface is no netem.
var ErrNotNetem = errors.New("the interface has no netem")

// Qdisc is a queueing discipline as the kernel tells of it.
type Qdisc struct {
	Kind     string
	Handle   uint32
	Parent   uint32
	Options  []byte
	Counters Counters
}

// Counters are those of a queueing discipline (struct gnet_stats_basic,
// gnet_stats_queue).
type Counters struct {
	Packets     int64 `json:"packets"` // that it has sent on
	Bytes       int64 `json:"bytes"`   // of those
	Drops       int64 `json:"drops"`   // lost, dropped by a full queue, or (netem with ecn) marked
	Overlimits  int64 `json:"overlimits"`
	QueueLength int64 `json:"queue_length"` // packets that are in it now
	Backlog     int64 `json:"backlog"`      // bytes of those
}

// Install makes the impairment the root queueing discipline of the interface of
// that index, in place of what is there. It works in the network namespace of
// the calling thread, as all functions here do.
func Install(index int, i netem.Impairment) error {
	options, err := Encode(i, false)
	if err != nil {
		return err
	}
	return put(index, root, Handle<<16, "netem", options, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
}

// Change changes the netem at the root, which keeps the packets that it holds.
func Change(index int, i netem.Impairment) error {
	options, err := Encode(i, true)
	if err != nil {
		return err
	}
	return put(index, root, Handle<<16, "netem", options, 0)
}

func put(index int, parent, handle uint32, kind string, options []byte, flags int) error {
	r := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, flags|unix.NLM_F_ACK)
	r.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index), Handle: handle, Parent: parent})
	r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)))
	if options != nil {
		r.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, options))
	}
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return refusal(kind, err)
}

// Remove takes the root queueing discipline of the interface away; the kernel
// puts its default there.
func Remove(index int) error {
	r := nl.NewNetlinkRequest(unix.RTM_DELQDISC, unix.NLM_F_ACK)
	r.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index), Parent: root})
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return refusal("root", err)
}

func refusal(kind string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT) && kind == "netem":
		return ErrNoNetem
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return ErrPrivilege
	}
	return fmt.Errorf("qdisc %s: %w", kind, err)
}

// List gives all queueing disciplines of the interface.
func List(index int) ([]Qdisc, error) {
	r := nl.NewNetlinkRequest(unix.RTM_GETQDISC, unix.NLM_F_DUMP)
	r.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index)})
	messages, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	if err != nil {
		return nil, fmt.Errorf("qdiscs: %w", err)
	}
	var all []Qdisc
	for _, m := range messages {
		if len(m) < nl.SizeofTcMsg {
			continue
		}
		head := nl.DeserializeTcMsg(m)
		if int(head.Ifindex) != index {
			continue
		}
		q := Qdisc{Handle: head.Handle, Parent: head.Parent}
		attributes, err := nl.ParseRouteAttr(m[nl.SizeofTcMsg:])
		if err != nil {
			return nil, fmt.Errorf("qdiscs: %w", err)
		}
		for _, a := range attributes {
			switch a.Attr.Type &^ nested {
			case nl.TCA_KIND:
				q.Kind = nl.BytesToString(a.Value)
			case nl.TCA_OPTIONS:
				q.Options = a.Value
			case nl.TCA_STATS2:
				q.Counters.read(a.Value)
			}
		}
		all = append(all, q)
	}
	return all, nil
}

// read takes in TCA_STATS2 (include/uapi/linux/gen_stats.h).
func (c *Counters) read(b []byte) {
	const basic, queue, packets64 = 1, 3, 8
	attributes, err := nl.ParseRouteAttr(b)
	if err != nil {
		return
	}
	for _, a := range attributes {
		v := a.Value
		switch kind := a.Attr.Type &^ nested; {
		case kind == basic && len(v) >= 12:
			c.Bytes = int64(binary.NativeEndian.Uint64(v))
			if c.Packets == 0 {
				c.Packets = int64(binary.NativeEndian.Uint32(v[8:]))
			}
		case kind == packets64 && len(v) >= 8: // where 32 bits do not suffice
			c.Packets = int64(binary.NativeEndian.Uint64(v))
		case kind == queue && len(v) >= 20:
			at := func(n int) int64 { return int64(binary.NativeEndian.Uint32(v[4*n:])) }
			c.QueueLength, c.Backlog, c.Drops, c.Overlimits = at(0), at(1), at(2), at(4)
		}
	}
}

// Root is the root queueing discipline of the interface.
func Root(index int) (Qdisc, error) {
	all, err := List(index)
	if err != nil {
		return Qdisc{}, err
	}
	for _, q := range all {
		if q.Parent == root {
			return q, nil
		}
	}
	return Qdisc{}, errors.New("the interface has no root queueing discipline")
}

func rootNetem(index int) (Qdisc, error) {
	q, err := Root(index)
	if err == nil && q.Kind != "netem" {
		err = fmt.Errorf("%w at its root but %s", ErrNotNetem, q.Kind)
	}
	return q, err
}

// ReadCounters gives the counters of the netem at the root.
func ReadCounters(index int) (Counters, error) {
	q, err := rootNetem(index)
	return q.Counters, err
}

// Read gives the impairment at the root.
func Read(index int) (netem.Impairment, error) {
	q, err := rootNetem(index)
	if err != nil {
		return netem.Impairment{}, err
	}
	return Decode(q.Options)
}

// Seeded says whether the netem at the root has taken its seed, which kernels
// before 6.6 pass over without a word.
func Seeded(index int) (bool, error) {
	i, err := Read(index)
	return i.Seed != 0, err
}
