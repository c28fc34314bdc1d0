package ledger

import (
	"time"

	"netcmp/result"
)

// HeldMin is the least wait that counts as being held; less is the pace of
// wake-ups and reads.
const HeldMin = int64(time.Millisecond)

// stall measures waiting: the longest silence between deliveries, and, where
// the transport keeps order, messages that had arrived and had to wait for a
// late one before them (head-of-line blocking).
//
// A receiver of an ordered transport cannot see a message wait, so this is an
// estimate from times. With transit = at − sent:
//
//   - usual is the transit of messages that came on their own lately: it
//     follows them down at once, and up by an eighth of the difference;
//   - a message whose transit is more than HeldMin above that of the message
//     before it is late: it came that much later than it should have, by
//     itself. It is not held; it may hold others;
//   - a message after it is held when its transit is more than HeldMin above
//     usual, and it came with the late one though it was sent later: the
//     time between the two arrivals is under half of that between the two
//     sends. What it waited is transit − usual;
//   - the first that does not fit ends the group. Within HeldMin of the late
//     one's arrival the group goes on, however, since several reads may be
//     needed to empty the transport.
//
// With one loss, period T, and the lost message delivered after L0 where the
// usual is OWD, follower j comes after max(OWD, L0 − j·T): it was held for
// L0 − j·T − OWD, and ⌈(L0 − OWD)/T⌉ messages, the late one among them, were
// released together. ReleasedMax counts the late one.
//
// Where the packets are looked at, package capture knows better, and its account
// takes the place of this one. Where the path's own account says that it kept every
// packet and their order, package experiment replaces the estimate by 0.
//
// A receiver that was not scheduled for some milliseconds looks the same as a
// stream that was held, and behind a very first message that is late nothing
// counts as held, since no usual transit is known.
type stall struct {
	ordered bool
	arrived bool
	first   int64 // the first delivery
	last    int64 // the latest delivery
	silence int64 // the longest between deliveries

	usual       int64
	transit     int64 // of the message before
	behind      bool  // a group goes on
	lateAt      int64 // of the late message
	lateSent    int64
	released    int64 // messages of the group
	releasedMax int64
	held        histogram
}

func newStall(ordered bool) stall {
	s := stall{ordered: ordered}
	if ordered {
		s.held = newHistogram()
	}
	return s
}

// arrive says whether the message was held.
func (s *stall) arrive(sent, at int64) (held bool) {
	if s.ordered {
		held = s.follow(sent, at)
	}
	if !s.arrived {
		s.arrived, s.first, s.last = true, at, at
		return held
	}
	s.silence = max(s.silence, at-s.last)
	s.last = max(s.last, at)
	return held
}

// follow tells late, held and free messages apart.
func (s *stall) follow(sent, at int64) (held bool) {
	transit := clamp(at-sent, maxDelay)
	if !s.arrived {
		s.usual, s.transit = transit, transit
		return false
	}
	above := transit - s.usual
	switch since := at - s.lateAt; {
	case transit-s.transit > HeldMin: // so above too: usual never exceeds the transit before
		s.behind, s.lateAt, s.lateSent, s.released = true, at, sent, 1
	case s.behind && above > HeldMin && since < (sent-s.lateSent)/2:
		s.held.record(above)
		held = true
		s.released++
		s.releasedMax = max(s.releasedMax, s.released)
	case s.behind && above > HeldMin && since < HeldMin:
	default:
		s.behind = false
		if above > 0 {
			above /= 8
		}
		s.usual += above
	}
	s.transit = transit
	return held
}

// report counts silence from when the first message could have arrived, earliest,
// to the end of the plan. A plan without an end ends with the last delivery.
func (s *stall) report(earliest, end int64) *result.Stall {
	r := &result.Stall{}
	silence := end - earliest
	if s.arrived {
		silence = max(s.silence, s.first-earliest, end-s.last)
	}
	if silence > 0 {
		r.LongestSilenceNS = &silence
	}
	if s.ordered && s.arrived {
		r.Held = new(s.held.n)
		r.HeldNS = s.held.quantiles()
		r.ReleasedMax = new(s.releasedMax)
	}
	return r
}
