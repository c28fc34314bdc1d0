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

// Dissect splits the delay of each message of m, and enters the parts into m:
//
//	planned ── waiting ── sent ── crossing ── door ── blocked ── released ── read late ── read
//
// The door is the receiver's device, at the instant when the last missing byte of the
// message came in for the first time. released is when the same was true of every
// message before it, too: the running maximum of the door instants in stream order. Until
// then the message is head-of-line blocked; from then on only the reading process is
// late. Datagrams wait for none before them, so their blocked part is 0. held is blocked
// and read late together.
//
// The parts add up to the delay to the nanosecond, since each begins where the one
// before it ends. start is when m's times count from. A message that was not seen on its
// whole way has no parts. Dissect returns nil if none has.
func (p *Passage) Dissect(m *result.Messages, start int64, c Clock) *result.Anatomy {
	n := len(m.DelayNS)
	parts := []*[]int64{&m.WaitingNS, &m.CrossingNS, &m.HeldNS, &m.BlockedNS, &m.ReadLateNS}
	for _, part := range parts {
		*part = slices.Repeat([]int64{unknown}, n)
	}
	ordered := p.framing.Proto == "tcp"
	var whole []int
	last := int64(0) // the latest door instant so far, as stamped
	for i, delay := range m.DelayNS {
		if i < len(p.in.times) {
			last = max(last, p.in.times[i])
		}
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
		released := door
		if ordered {
			released = min(max(last-c.Ahead-planned, door), delay)
		}
		m.WaitingNS[i], m.CrossingNS[i], m.HeldNS[i] = sent, door-sent, delay-door
		m.BlockedNS[i], m.ReadLateNS[i] = released-door, delay-released
		whole = append(whole, i)
	}
	if len(whole) == 0 {
		return nil
	}
	a := &result.Anatomy{
		Messages:  int64(len(whole)),
		WaitingNS: quantiles(m.WaitingNS), CrossingNS: quantiles(m.CrossingNS), HeldNS: quantiles(m.HeldNS),
		BlockedNS: quantiles(m.BlockedNS), ReadLateNS: quantiles(m.ReadLateNS),
		ClockErrorNS: c.Error,
	}
	slices.SortStableFunc(whole, func(i, j int) int { return cmp.Compare(m.DelayNS[j], m.DelayNS[i]) })
	for _, i := range whole[:min(slowest, len(whole))] {
		a.Slowest = append(a.Slowest, result.Dissected{
			Number: int64(i), WaitingNS: m.WaitingNS[i], CrossingNS: m.CrossingNS[i], HeldNS: m.HeldNS[i],
			BlockedNS: m.BlockedNS[i], ReadLateNS: m.ReadLateNS[i],
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

// Stall replaces the estimate of an ordered transport's head-of-line blocking, in s and
// in m, where the parts of every delivered message are known. It counts the messages that
// were blocked for longer than ledger.HeldMin. It reports whether it could.
func Stall(s *result.Stall, m *result.Messages, a *result.Anatomy, delivered int64) bool {
	if s == nil || s.Held == nil || a == nil || a.Messages != delivered {
		return false
	}
	held := make([]int64, 0, len(m.BlockedNS))
	m.Held = nil
	var most, group, first int64 // messages released together: the late one, and those behind it
	for i, b := range m.BlockedNS {
		if b == unknown {
			continue
		}
		released := m.PlannedNS[i] + m.DelayNS[i] - m.ReadLateNS[i]
		if b <= ledger.HeldMin {
			group, first = 1, released
			continue
		}
		held = append(held, b)
		m.Held.Add(int64(i))
		if group == 0 || released-first > ledger.HeldMin {
			group, first = 0, released
		}
		group++
		most = max(most, group)
	}
	s.Held, s.HeldNS, s.ReleasedMax, s.Exact = new(int64(len(held))), quantiles(held), &most, true
	return true
}

// ReadLate counts the messages that the receiving process read more than ledger.HeldMin
// after they were released. It returns nil unless the parts of every delivered message
// are known.
func ReadLate(m *result.Messages, a *result.Anatomy, delivered int64) *result.ReadLate {
	if a == nil || a.Messages != delivered {
		return nil
	}
	var late []int64
	for _, v := range m.ReadLateNS {
		if v > ledger.HeldMin {
			late = append(late, v)
		}
	}
	return &result.ReadLate{Messages: int64(len(late)), NS: quantiles(late)}
}
