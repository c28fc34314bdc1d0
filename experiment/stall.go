package experiment

import (
	"netcmp/netem"
	"netcmp/result"
)

// unblock replaces the estimate of head-of-line blocking by 0 where nothing can have been
// missing at the receiver's device. The estimate is made from arrival times and takes
// some of the receiving process's own lateness for blocking (ledger/stall.go).
func (a *assembly) unblock(m *result.Measured, s stream, up bool) {
	if m.Stall == nil || m.Stall.Held == nil || !a.keptOrder(s, up) {
		return
	}
	m.Stall.Held, m.Stall.HeldNS, m.Stall.ReleasedMax = new(int64), nil, new(int64)
	if m.Messages != nil {
		m.Messages.Held = nil
	}
}

// keptOrder reports whether every packet of a stream's directions reached the
// receiver's transport, whole and in the order of sending. Unknown counts as false.
func (a *assembly) keptOrder(s stream, up bool) bool {
	for _, leg := range a.legs(s, up) {
		from := leg[0]
		if from == nil {
			return false
		}
		// A retransmission means a loss only where the receiver's own queues can drop
		// packets of a path that does not: QUIC's, and those of loopback.
		n := from.Stats.Retransmitted
		if n != nil && *n > 0 && (from.Stats.QUIC != nil || a.engine == None) {
			return false
		}
	}
	if a.engine == None {
		return true
	}
	if a.link == nil {
		return false
	}
	zero := func(n *int64) bool { return n != nil && *n == 0 }
	for _, l := range a.directions(up, s.there) {
		if l.Lost+l.Corrupted+l.Overrun+l.Oversize+l.Refused > 0 || !zero(l.QueueDropped) || !zero(l.Reordered) {
			return false
		}
	}
	return !overtaken(a.config.paths())
}

// overtaken reports whether a packet may overtake another one on such a path, which
// changes from each condition to the next. link.reordered does not count these.
func overtaken(paths []netem.Path) bool {
	for i, p := range paths {
		if p.Up.Jitter > 0 && !p.Up.NoReorder || p.Down.Jitter > 0 && !p.Down.NoReorder {
			return true
		}
		if timing(p.Up) != timing(paths[0].Up) || timing(p.Down) != timing(paths[0].Down) {
			return i > 0
		}
	}
	return false
}

// timing returns the part of an impairment that says when packets leave, without what it
// loses, doubles and damages.
func timing(i netem.Impairment) netem.Impairment {
	i.Loss, i.ECN, i.Limit, i.Seed = nil, false, 0, 0
	i.Duplicate, i.DuplicateCorrelation, i.Corrupt, i.CorruptCorrelation = 0, 0, 0, 0
	return i
}
