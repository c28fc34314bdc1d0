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
	b := bottleneck{bytesPerSecond: int64(i.Rate / bitsPerByte), framing: i.Framing}
	longest = later(longest, b.transmission(length))
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
