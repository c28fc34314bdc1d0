package ledger

import (
	"time"

	"netcmp/result"
)

// maxTime and maxDelay keep arithmetic on a peer's claims from overflowing.
// A delay beyond maxDelay (39 hours) is no delay but a broken clock; it
// counts as maxDelay.
const (
	maxTime  = 1 << 61
	maxDelay = 1 << 47
)

// Config is what a ledger must know before the first arrival.
type Config struct {
	Start     int64           // planned time of the run's beginning, ns on the clock of the times below
	Ordered   bool            // the transport keeps order, so a message may be held behind a late one
	Deadlines []time.Duration // zero: 10, 20, 50, 100, 200, 500 ms, 1 s, 2 s
	Interval  time.Duration   // zero: 1 s
	// MaxNumber bounds the numbers: one at or beyond it counts as damaged.
	// Zero, or more, is 2^32. Where the schedule is known its length is the
	// right bound.
	MaxNumber uint64
	Messages  bool // keep what became of each message
}

// Sent is the sender's part of the account: without it no loss is known. The
// numbers sent are 0 … Sent−1. Due messages are those planned that the user did not
// cut off; where Due is below Sent, it counts as Sent.
type Sent struct {
	Scheduled, Due, Sent int64
	PerInterval          []int64 // due messages by interval of their planned time; may be nil
	// Span is the length of the plan from its start, ns: rates and silence refer to
	// it, or to the last arrival if that is later. 0: to the last arrival.
	Span int64
	// HostDiscarded are damaged messages that the receiver's host threw away
	// by its own checksums, counted elsewhere; they are added to
	// Delivery.Corrupted.
	HostDiscarded int64
}

// Ledger is the account of one stream of numbered messages. One goroutine
// owns it: none of its methods may be called while another runs.
type Ledger struct {
	seen       Numbers
	next       uint64 // the highest number delivered, plus one (NextExp of RFC 4737)
	received   int64
	delivered  int64
	duplicated int64
	damaged    int64
	bytes      int64 // of first copies

	places     places // of delays
	delay      delay
	order      order
	density    density
	neighbours neighbours
	stall      stall
	deadlines  deadlines
	timeline   timeline
	messages   messages
}

// New opens a ledger.
func New(c Config) *Ledger {
	start := clamp(c.Start, maxTime)
	return &Ledger{
		seen:       NewNumbers(c.MaxNumber),
		delay:      newDelay(),
		order:      newOrder(orderWindow, degreeMax),
		density:    newDensity(densityThreshold),
		neighbours: newNeighbours(neighbourWindow),
		stall:      newStall(c.Ordered),
		deadlines:  newDeadlines(c.Deadlines),
		timeline:   newTimeline(start, c.Interval),
		messages:   messages{wanted: c.Messages, start: start},
	}
}

// Arrive enters a whole message: its number, the times it was planned for,
// handed to the transport and received, in ns on one clock, and its size in
// bytes. Of copies the first counts for everything (RFC 7680); messages are
// entered in the order of their arrival.
func (l *Ledger) Arrive(number uint64, planned, sent, at int64, size int) {
	if number >= l.seen.limit {
		l.Damaged(at, size)
		return
	}
	l.received++
	if !l.seen.Add(number) {
		l.duplicated++
		return
	}
	l.delivered++
	planned, sent, at = clamp(planned, maxTime), clamp(sent, maxTime), clamp(at, maxTime)
	size = max(size, 0)
	l.bytes += int64(size)

	d := clamp(at-planned, maxDelay)
	where := l.places.of(d)
	l.delay.arrive(d, where, sent, at)
	l.order.arrive(number, at)
	l.next = max(l.next, number+1)
	if !l.density.inOrder(number) {
		l.density.arrive(number, l.next-1, &l.seen)
	}
	l.neighbours.arrive(number, d)
	held := l.stall.arrive(sent, at)
	l.deadlines.arrive(d)
	l.timeline.arrive(planned, at, d, where, size)
	l.messages.arrive(number, planned, d, held)
}

// Damaged enters a message whose checksum failed. It is lost (RFC 7680: a
// corrupted packet counts as a lost one), and its number cannot be trusted.
func (l *Ledger) Damaged(_ int64, _ int) { l.damaged++ }

// Report draws up the account. It may be called repeatedly, in mid-run too:
// what was sent and has not come then counts as lost. It fills Delivery, Loss,
// Order, Delay, Stall, Deadline, Speed and Intervals; Account and Instrument
// are known to others. Loss is nil when nothing was sent, Order when nothing
// was delivered.
func (l *Ledger) Report(s Sent) result.Measured {
	// A sender's count that is behind the arrivals, as it may be in mid-run,
	// must not make ratios exceed one.
	sent := max(s.Sent, 0)
	due := max(s.Due, sent, l.delivered)
	end := l.timeline.start + min(max(s.Span, 0), maxTime)
	return result.Measured{
		Delivery:  l.reportDelivery(s, sent, due),
		Loss:      reportLoss(&l.seen, uint64(sent)),
		Order:     l.reportOrder(),
		Delay:     l.reportDelay(due),
		Stall:     l.stall.report(l.earliest(), end),
		Deadline:  l.deadlines.report(due),
		Speed:     l.reportSpeed(due, end),
		Intervals: l.timeline.report(s.PerInterval, end),
		Messages:  l.messages.report(due),
	}
}

// earliest returns when the first message could have arrived: at the beginning of
// the run plus the least delay seen.
func (l *Ledger) earliest() int64 {
	if l.delivered == 0 {
		return l.timeline.start
	}
	return l.timeline.start + max(l.delay.spread.min, 0)
}

func (l *Ledger) reportDelivery(s Sent, sent, due int64) result.Delivery {
	d := result.Delivery{
		Scheduled:  s.Scheduled,
		Due:        due,
		Sent:       sent,
		Unsent:     max(due-max(sent, l.delivered), 0),
		Received:   new(l.received),
		Delivered:  new(l.delivered),
		Lost:       new(max(sent-l.delivered, 0)),
		Duplicated: new(l.duplicated),
		Corrupted:  new(l.damaged + max(s.HostDiscarded, 0)),
		Late:       new(l.deadlines.late()),
	}
	if due > 0 {
		d.Ratio = new(float64(l.delivered) / float64(due))
	}
	return d
}

func (l *Ledger) reportOrder() *result.Order {
	if l.delivered == 0 {
		return nil
	}
	r := l.order.report()
	r.Density = l.density.report(&l.seen)
	return r
}

func (l *Ledger) reportDelay(among int64) *result.Delay {
	r := l.delay.report(among)
	if q := l.neighbours.variation.quantiles(); q != nil {
		r.IPDVP50NS, r.IPDVP99NS = &q.P50, &q.P99
	}
	return r
}

// reportSpeed counts from the beginning of the run to the end of the plan or to the
// last delivery, whichever is later: an end that the survivors set would make a run
// that lost its second half twice as fast. One message has no rate. Goodput is RFC
// 5166's: data that arrived for the first time, per second.
func (l *Ledger) reportSpeed(due, end int64) result.Speed {
	if l.delivered > 0 {
		end = max(end, l.stall.last)
	}
	d := end - l.timeline.start
	if due < 2 || d <= 0 {
		return result.Speed{}
	}
	seconds := time.Duration(d).Seconds()
	return result.Speed{
		DurationNS: &d,
		GoodputBPS: new(float64(l.bytes) * 8 / seconds),
		MessagesPS: new(float64(l.delivered) / seconds),
	}
}

// clamp keeps v within ±limit.
func clamp(v, limit int64) int64 { return min(max(v, -limit), limit) }
