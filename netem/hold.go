package netem

import (
	"math"
	"slices"
	"time"
)

// LongestHold returns how long the path can hold a packet of that many bytes
// that waits for no other: its delay with the most that the jitter adds, its
// transmission, and the longest wait for a slot or for an opportunity of a
// trace. A queue at the bottleneck, or a slot that is full, comes on top.
func (i Impairment) LongestHold(length int) time.Duration {
	i = i.canonical()
	longest := i.Delay.Nanoseconds() + i.Distribution.table().most(i.Jitter.Nanoseconds())
	longest = later(longest, newFramedLink(i).transmission(length))
	if i.Trace != "" {
		if t, err := traceFiles.get(i.Trace); err == nil {
			// A large packet takes several opportunities.
			for range 1 + max(0, length-ethernetHeader-1)/opportunity {
				longest = later(longest, t.longestGap())
			}
		}
	}
	if s := i.Slot; s.Distribution != Uniform {
		longest = later(longest, max(0, s.Delay.Nanoseconds()+s.Distribution.table().most(s.Jitter.Nanoseconds())))
	} else {
		longest = later(longest, s.Max.Nanoseconds())
	}
	return time.Duration(max(0, longest))
}

// most returns the most that a draw can make of sigma; that of a uniform draw is
// sigma.
func (t table) most(sigma int64) int64 {
	if t == nil || sigma == 0 {
		return sigma
	}
	return int64(math.Ceil(float64(slices.Max(t)) / tableScale * float64(sigma)))
}

// longestGap returns the longest time between two opportunities of the trace.
func (t *trace) longestGap() int64 {
	longest := t.at[0] // from its end on
	for k := 1; k < len(t.at); k++ {
		longest = max(longest, t.at[k]-t.at[k-1])
	}
	return longest
}

// LongestQueue returns how long a full queue of packets of that many bytes takes to
// leave: QueueLimit of them at the rate, or at the mean rate of the trace. It is 0
// without a bottleneck.
func (i Impairment) LongestQueue(length int) time.Duration {
	i = i.canonical()
	each := float64(newFramedLink(i).transmission(length))
	if i.Trace != "" {
		if t, err := traceFiles.get(i.Trace); err == nil {
			each = float64(length) * bitsPerByte * 1e9 / t.bitRate()
		}
	}
	return time.Duration(min(each*float64(i.QueueLimit()), math.MaxInt64/2))
}

// newFramedLink returns the rate of an impairment as a bottleneck, without a queue.
func newFramedLink(i Impairment) *bottleneck {
	return &bottleneck{bytesPerSecond: int64(i.Rate / bitsPerByte), framing: i.Framing}
}

// outage is the share of packets from which on a path that loses them counts as
// interrupted: a connection that retransmits gets next to nothing through.
const outage = 0.5

// LongestBlackout returns the longest time for which a path that begins as p and changes
// loses half of the packets of either direction, or more. A stretch that lasts to the end
// does not count: that path is dead.
func (p Path) LongestBlackout(changes []Change) time.Duration {
	var longest, since time.Duration
	interrupted := p.interrupted()
	for _, c := range changes {
		now := c.Path.interrupted()
		switch {
		case now && !interrupted:
			since = c.At
		case !now && interrupted:
			longest = max(longest, c.At-since)
		}
		interrupted = now
	}
	return longest
}

func (p Path) interrupted() bool {
	for _, i := range []Impairment{p.Up, p.Down} {
		if i.Loss != nil && i.Loss.Rate() >= outage {
			return true
		}
	}
	return false
}
