package capture

import (
	"cmp"
	"slices"

	"netcmp/ledger"
	"netcmp/result"
)

const (
	// slowest is how many of the slowest messages a result tells of.
	slowest = 10
	// doubt is how far instants of one message may contradict each other, ns: the
	// clocks' error, and no more.
	doubt = 10_000
	// unknown stands for a part of a message's delay that nobody saw.
	unknown = -1
)

// Clock is how the kernel's timestamps stand to the clock of the messages.
type Clock struct {
	Ahead int64 // CLOCK_REALTIME less CLOCK_MONOTONIC, ns
	Error int64 // that Ahead is wrong by at the most
}

// Dissect splits the delay of each message of m in three, and enters the parts
// into m:
//
//	planned ── waiting ── sent ── crossing ── at the receiver's door ── held ── read
//
// They add up to the delay to the nanosecond, since each begins where the one
// before it ends. start is when m's times count from. A message that was not
// seen on its whole way has no parts. It is nil if there is none with parts.
func (p *Passage) Dissect(m *result.Messages, start int64, c Clock) *result.Anatomy {
	n := len(m.DelayNS)
	m.WaitingNS, m.CrossingNS, m.HeldNS = make([]int64, n), make([]int64, n), make([]int64, n)
	var whole []int
	for i, delay := range m.DelayNS {
		m.WaitingNS[i], m.CrossingNS[i], m.HeldNS[i] = unknown, unknown, unknown
		if delay < 0 || i >= len(p.out.times) || i >= len(p.in.times) || p.out.times[i] == 0 || p.in.times[i] == 0 {
			continue
		}
		planned := start + m.PlannedNS[i]
		sent, door := p.out.times[i]-c.Ahead-planned, p.in.times[i]-c.Ahead-planned // from planned
		if sent < -doubt || door < sent-doubt || delay < door-doubt {
			continue
		}
		sent = min(max(sent, 0), delay)
		door = min(max(door, sent), delay)
		m.WaitingNS[i], m.CrossingNS[i], m.HeldNS[i] = sent, door-sent, delay-door
		whole = append(whole, i)
	}
	if len(whole) == 0 {
		return nil
	}
	a := &result.Anatomy{
		Messages:  int64(len(whole)),
		WaitingNS: quantiles(m.WaitingNS), CrossingNS: quantiles(m.CrossingNS), HeldNS: quantiles(m.HeldNS),
		ClockErrorNS: c.Error,
	}
	slices.SortStableFunc(whole, func(i, j int) int { return cmp.Compare(m.DelayNS[j], m.DelayNS[i]) })
	for _, i := range whole[:min(slowest, len(whole))] {
		a.Slowest = append(a.Slowest, result.Dissected{
			Number: int64(i), WaitingNS: m.WaitingNS[i], CrossingNS: m.CrossingNS[i], HeldNS: m.HeldNS[i],
		})
	}
	return a
}

// quantiles are those of the known values; nil if there are none.
func quantiles(values []int64) *result.Quantiles {
	var known []int64
	for _, v := range values {
		if v != unknown {
			known = append(known, v)
		}
	}
	if len(known) == 0 {
		return nil
	}
	slices.Sort(known)
	rank := func(percent int) int64 { return known[max((len(known)*percent+99)/100, 1)-1] }
	return &result.Quantiles{P50: rank(50), P99: rank(99), Max: known[len(known)-1]}
}

// Stall makes the estimate of an ordered transport's waiting exact, in s and in m,
// where the parts of every message that came are known: held is who lay at the receiver's
// door for longer than ledger.HeldMin. It says whether it could.
func Stall(s *result.Stall, m *result.Messages, a *result.Anatomy, delivered int64) bool {
	if s == nil || s.Held == nil || a == nil || a.Messages != delivered {
		return false
	}
	held := make([]int64, 0, len(m.HeldNS))
	m.Held = nil
	var most, group, first int64 // messages let go together: the late one, and those behind it
	for i, h := range m.HeldNS {
		if h == unknown {
			continue
		}
		read := m.PlannedNS[i] + m.DelayNS[i]
		if h <= ledger.HeldMin {
			group, first = 1, read
			continue
		}
		held = append(held, h)
		m.Held.Add(int64(i))
		if group == 0 || read-first > ledger.HeldMin {
			group, first = 0, read
		}
		group++
		most = max(most, group)
	}
	s.Held, s.HeldNS, s.ReleasedMax, s.Exact = new(int64(len(held))), quantiles(held), &most, true
	return true
}
