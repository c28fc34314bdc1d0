package tc

import (
	"errors"
	"time"

	"github.com/vishvananda/netlink"

	"netcmp/netem"
)

// State is what a device has.
type State struct {
	Device string     `json:"device"`
	Ours   bool       `json:"ours"` // netcmp put it there
	Until  *time.Time `json:"until"`
	Filter string     `json:"filter,omitempty"`
	Out    *Netem     `json:"out"` // null: no netem
	In     *Netem     `json:"in"`
	// Qdisc is the kind of the root queueing discipline.
	Qdisc string `json:"qdisc"`
}

// Netem is one as the kernel tells of it.
type Netem struct {
	Spec     string   `json:"netem"` // in tc's words
	Counters Counters `json:"counters"`
}

// Show reads what the kernel has on a device. The distribution of a jitter,
// which the kernel does not tell, is from netcmp's own record.
func Show(device string) (State, error) {
	s := State{Device: device}
	st, link, unlock, err := enter(device)
	if err != nil {
		return s, err
	}
	defer unlock()
	r, err := st.read(link.Attrs().Index)
	if err != nil {
		return s, err
	}
	var told Setup
	if r != nil {
		s.Ours, s.Filter = true, r.Filter
		if !r.Until.IsZero() {
			s.Until = &r.Until
		}
		if told, err = r.setup(); err != nil {
			return s, err
		}
	}
	all, err := List(link.Attrs().Index)
	if err != nil {
		return s, err
	}
	for _, q := range all {
		if q.Parent == root {
			s.Qdisc = q.Kind
		}
		ours := q.Handle == Handle<<16 || q.Handle == childHandle<<16
		if q.Kind == "netem" && (q.Parent == root || ours) {
			if s.Out, err = tell(q, ours && r != nil, told.Out); err != nil {
				return s, err
			}
			s.Ours = s.Ours || ours
		}
	}
	if r == nil || r.IFB == "" {
		return s, nil
	}
	ifb, err := netlink.LinkByName(r.IFB)
	if err != nil {
		return s, errors.New(r.IFB + " is gone: netcmp netem clear --dev " + device + " takes the rest away")
	}
	q, err := rootNetem(ifb.Attrs().Index)
	if err != nil {
		return s, err
	}
	s.In, err = tell(q, true, *told.In)
	return s, err
}

func tell(q Qdisc, recorded bool, told netem.Impairment) (*Netem, error) {
	i, err := Decode(q.Options)
	if err != nil {
		return nil, err
	}
	if recorded {
		if i.Jitter != 0 {
			i.Distribution = told.Distribution
		}
		if i.Slot.Jitter != 0 {
			i.Slot.Distribution = told.Slot.Distribution
		}
		if told.Seed == 0 {
			i.Seed = 0 // the kernel tells its own
		}
	}
	return &Netem{Spec: i.String(), Counters: q.Counters}, nil
}
