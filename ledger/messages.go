package ledger

import (
	"slices"

	"netcmp/result"
)

// messages keeps each message's times, for who wants to see them one by one.
type messages struct {
	wanted         bool
	start          int64
	planned, delay []int64
	held           result.NumberRuns // one that is held comes in order
}

// unknownTime is what stands for a message that has not come.
const unknownTime = -1

func (m *messages) arrive(number uint64, planned, delay int64, held bool) {
	if !m.wanted || number >= result.MaxMessages {
		return
	}
	for uint64(len(m.delay)) <= number {
		m.planned, m.delay = append(m.planned, unknownTime), append(m.delay, unknownTime)
	}
	// A message that comes before its time has a broken clock, and no delay.
	m.planned[number], m.delay[number] = planned-m.start, max(delay, 0)
	if held {
		m.held.Add(int64(number))
	}
}

// report tells of all numbers below sent; it is nil where nobody wants it.
func (m *messages) report(sent int64) *result.Messages {
	if !m.wanted {
		return nil
	}
	n := min(sent, result.MaxMessages)
	r := &result.Messages{PlannedNS: make([]int64, n), DelayNS: make([]int64, n), Held: slices.Clone(m.held)}
	for i := range n {
		r.PlannedNS[i], r.DelayNS[i] = unknownTime, unknownTime
	}
	copy(r.PlannedNS, m.planned)
	copy(r.DelayNS, m.delay)
	return r
}
