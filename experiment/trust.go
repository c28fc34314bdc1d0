package experiment

import (
	"fmt"
	"time"

	"netcmp/lateness"
	"netcmp/peer"
	"netcmp/result"
)

// A run is disturbed when this machine's own lateness may have moved what is reported
// of it. The rule, for each direction:
//
//   - Of a paced or ping-pong plan: for a percentile of the delay (p50, p90, p99 and
//     p99.9), the lateness of sender, path and receiver at that percentile, taken
//     together, is more than movedShare of what the delay is without it, and more than
//     that percentile's floor. So many messages may have been late by as much that the
//     percentile is another one. A percentile that falls among the missing messages is
//     held against the greatest delay: figures such as the share within a deadline
//     still depend on it.
//   - Of a saturating plan, whose delays are those of its own queues: a process was not
//     run for more than lostShare of the run at a stretch, and for more than lostLeast:
//     a process that is busy all the time also keeps its own samples waiting.
//
// Lateness at a percentile is taken from each part's own distribution. Parts that are
// late at different times count together: the rule errs on the side of disturbed. Where
// so few messages were due that a percentile is the slowest of them, the greatest
// lateness of any part counts: it may have met that one.
const (
	movedShare = 0.05
	lostShare  = 0.1
	lostLeast  = 500 * time.Millisecond
)

// floors are the latenesses that are let pass, by percentile, ns: waking up a thread
// takes that long now and then on a quiet virtual machine of two processors.
var floors = [4]int64{200_000, 500_000, 2_000_000, 5_000_000}

// slowest are the numbers of messages below which a percentile is the slowest of them.
var slowest = [4]int64{2, 10, 100, 1000}

// percentileNames are those of the rule.
var percentileNames = [4]string{"p50", "p90", "p99", "p99.9"}

// lateness returns how late the parts of the instrument were in one direction.
func (a *assembly) lateness(s stream, up bool) *result.Lateness {
	x := &result.Lateness{}
	if s.from != nil {
		x.Sender = s.from.LateNS
		if s.from.Sent != nil {
			x.Sender = lateness.Worse(x.Sender, s.from.Sent.PacingLateNS)
		}
	}
	if s.to != nil {
		x.Receiver = lateness.Worse(s.to.LateNS, s.to.ReadLateNS)
	}
	if s.there && s.to != nil { // the client is both: what it ran late is the sender's
		x.Receiver = s.to.ReadLateNS
	}
	if s.there && a.out.Server != nil { // which answers
		x.Receiver = lateness.Worse(x.Receiver, lateness.Worse(a.out.Server.LateNS, a.out.Server.ReadLateNS))
	}
	if a.link != nil {
		for _, l := range a.directions(up, s.there) {
			x.Path = lateness.Worse(x.Path, l.LatenessNS)
		}
	}
	if x.Sender == nil && x.Path == nil && x.Receiver == nil {
		return nil
	}
	return x
}

// component is a part of the instrument and its lateness.
type component struct {
	name string
	tail *result.Tail
}

func partsOf(x *result.Lateness) []component {
	if x == nil {
		return nil
	}
	return []component{{"sender", x.Sender}, {"path", x.Path}, {"receiver", x.Receiver}}
}

// trust judges a document by its own figures; nil where no lateness was measured.
func trust(d *result.Document) *result.Trust {
	t := &result.Trust{Verdict: result.Good, Reasons: []string{}}
	measured := false
	for _, s := range []struct {
		name string
		m    *result.Measured
	}{{"", &d.Measured}, {" (down)", d.Reverse}} {
		if s.m == nil {
			continue
		}
		parts := partsOf(s.m.Instrument.LatenessNS)
		for _, p := range parts {
			if p.tail != nil {
				measured = true
				t.WorstNS = max(t.WorstNS, p.tail.Max)
			}
		}
		for _, p := range disturbing(d, s.m, parts) {
			t.Reasons = append(t.Reasons, p+s.name)
		}
	}
	if !measured {
		return nil
	}
	if len(t.Reasons) > 0 {
		t.Verdict = result.Disturbed
	}
	return t
}

// disturbing returns a reason for each part that moved a figure of m.
func disturbing(d *result.Document, m *result.Measured, parts []component) []string {
	if d.Plan.Saturate && d.Plan.Pattern != string(peer.RequestResponse) {
		return stopped(m, parts)
	}
	if m.Delay == nil || m.Delay.MaxNS == nil {
		return stopped(m, parts)
	}
	for i, v := range []*int64{m.Delay.P999NS, m.Delay.P99NS, m.Delay.P90NS, m.Delay.P50NS} {
		q := 3 - i
		if v == nil {
			v = m.Delay.MaxNS
		}
		n := m.Delivery.Planned()
		var sum int64
		for _, p := range parts {
			if late := at(p.tail, q, n); n < slowest[q] {
				sum = max(sum, late)
			} else {
				sum += late
			}
		}
		bound := max(int64(movedShare*float64(*v-sum)), floors[q])
		if sum <= bound {
			continue
		}
		var reasons []string
		for _, p := range parts {
			late := at(p.tail, q, n)
			if 4*late < sum {
				continue // others did it
			}
			reasons = append(reasons, fmt.Sprintf("the %s ran late: by up to %v, and by %v at %s, where the delay is %v",
				p.name, rounded(p.tail.Max), rounded(late), percentileNames[q], rounded(*v)))
		}
		return reasons
	}
	return nil
}

// stopped returns a reason for each part that did not run for too great a share of the
// run.
func stopped(m *result.Measured, parts []component) []string {
	var reasons []string
	if m.Speed.DurationNS == nil {
		return nil
	}
	for _, p := range parts {
		if p.tail != nil && float64(p.tail.Max) > max(lostShare*float64(*m.Speed.DurationNS), float64(lostLeast)) {
			reasons = append(reasons, fmt.Sprintf("the %s did not run for up to %v of %v", p.name, rounded(p.tail.Max), rounded(*m.Speed.DurationNS)))
		}
	}
	return reasons
}

// at returns a tail's percentile of n messages by its place in percentileNames; 0 for no
// tail.
func at(t *result.Tail, q int, n int64) int64 {
	switch {
	case t == nil:
		return 0
	case n < slowest[q]:
		return t.Max
	}
	return [4]int64{t.P50, t.P90, t.P99, t.P999}[q]
}

// rounded returns ns for people: three digits.
func rounded(ns int64) time.Duration {
	d := time.Duration(ns)
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
