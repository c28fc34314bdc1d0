package ledger

import (
	"math"
	"time"

	"netcmp/result"
)

// maxIntervals bounds the rows of a run: 18 hours of seconds. What comes later
// is counted in the last one, whose goodput is over its real length. For
// longer runs choose a longer Config.Interval.
const maxIntervals = 1 << 16

const defaultInterval = time.Second

// slots finds the interval a time falls into, without a division while it is
// the one of the time before.
type slots struct {
	start, width int64
	low, high    int64 // bounds of the slot found last; none yet where they are equal
	slot         int
}

func newSlots(start int64, width time.Duration) slots {
	if width <= 0 {
		width = defaultInterval
	}
	return slots{start: start, width: min(int64(width), maxDelay)}
}

// of clamps times before the start to the first slot and those beyond
// maxIntervals to the last.
func (s *slots) of(t int64) int {
	if t < s.low || t >= s.high {
		if s.width == 0 { // the zero value
			s.width = int64(defaultInterval)
		}
		i := min(max(t-s.start, 0)/s.width, maxIntervals-1)
		s.slot, s.low, s.high = int(i), s.start+i*s.width, s.start+(i+1)*s.width
		if i == 0 {
			s.low = math.MinInt64
		}
		if i == maxIntervals-1 {
			s.high = math.MaxInt64
		}
	}
	return s.slot
}

// DueCount counts messages by the interval of their planned time: the
// sender's side of Sent.PerInterval. Its zero value starts at 0 and has
// intervals of a second. One goroutine owns it.
type DueCount struct {
	slots  slots
	counts []int64
}

// NewDueCount wants the Start and Interval of the ledger's Config.
func NewDueCount(start int64, interval time.Duration) *DueCount {
	return &DueCount{slots: newSlots(clamp(start, maxTime), interval)}
}

// Add enters a message that was due.
func (c *DueCount) Add(planned int64) {
	if planned < c.slots.low || planned >= c.slots.high {
		c.move(planned)
	}
	c.counts[c.slots.slot]++
}

// move makes the slot of planned the current one, and room for its count.
func (c *DueCount) move(planned int64) {
	i := c.slots.of(clamp(planned, maxTime))
	if i >= len(c.counts) {
		c.counts = append(c.counts, make([]int64, i+1-len(c.counts))...)
	}
}

// PerInterval is a copy of the counts so far, for Sent.PerInterval; never nil.
func (c *DueCount) PerInterval() []int64 { return append([]int64{}, c.counts...) }

// in is the count of interval i.
func (c *DueCount) in(i int) int64 {
	if i < len(c.counts) {
		return c.counts[i]
	}
	return 0
}

// row is an interval.
type row struct {
	delivered, bytes int64
	p50, p99         int64 // delay, where anything was delivered
}

// timeline cuts the run into intervals. Deliveries belong to the interval they
// arrive in, losses to the one they were planned in.
type timeline struct {
	start   int64
	last    int64 // the latest arrival
	arrived slots
	rows    []row     // the intervals before current
	current row       // percentiles not yet filled in
	delays  histogram // of current
	planned DueCount  // delivered messages by planned time
}

func newTimeline(start int64, width time.Duration) timeline {
	arrived := newSlots(start, width)
	arrived.high = math.MinInt64 // so that the first arrival asks
	return timeline{
		start:   start,
		last:    start,
		arrived: arrived,
		delays:  newHistogram(),
		planned: DueCount{slots: newSlots(start, width)},
	}
}

func (t *timeline) arrive(planned, at, delay int64, place, size int) {
	if at >= t.arrived.high {
		if i := t.arrived.of(at); i > len(t.rows) {
			t.advance(i)
		}
	}
	t.last = max(t.last, at)
	t.current.delivered++
	t.current.bytes += int64(size)
	t.delays.recordAt(place, delay)
	t.planned.Add(planned)
}

// advance closes the current interval and leaves those empty in which nothing
// came.
func (t *timeline) advance(to int) {
	t.rows = append(t.rows, t.closed())
	t.rows = append(t.rows, make([]row, to-len(t.rows))...)
	t.current = row{}
	t.delays.reset()
}

// closed is the current interval with its percentiles.
func (t *timeline) closed() row {
	r := t.current
	if q := t.delays.quantiles(); q != nil {
		r.p50, r.p99 = q.P50, q.P99
	}
	return r
}

// length returns the length of interval i in a run that ends at end: the last one is
// cut off there.
func (t *timeline) length(i int, end int64) int64 {
	left := end - t.start - int64(i)*t.arrived.width
	if left <= 0 { // it begins with the run's end, or no end is known
		return t.arrived.width
	}
	if i == maxIntervals-1 {
		return left
	}
	return min(left, t.arrived.width)
}

// report gives a row for each interval up to the end of the plan, or to the last
// arrival if that is later. Goodput is over the row's own length.
func (t *timeline) report(due []int64, end int64) []result.Interval {
	end = max(end, t.last)
	rows := t.rows
	if t.current.delivered > 0 {
		rows = append(rows[:len(rows):len(rows)], t.closed())
	}
	spanned := int((end - t.start + t.arrived.width - 1) / t.arrived.width)
	r := make([]result.Interval, min(max(len(rows), len(due), spanned), maxIntervals))
	for i := range r {
		r[i].AtNS = int64(i) * t.arrived.width
		r[i].LengthNS = t.length(i, end)
		if i < len(rows) && rows[i].delivered > 0 {
			r[i].Delivered = rows[i].delivered
			r[i].GoodputBPS = float64(rows[i].bytes) * 8 / time.Duration(r[i].LengthNS).Seconds()
			r[i].DelayP50NS, r[i].DelayP99NS = new(rows[i].p50), new(rows[i].p99)
		}
		if due != nil {
			r[i].Lost = new(max(0, dueIn(due, i)-t.planned.in(i)))
		}
	}
	return r
}

// dueIn is the count of interval i; the last one has what came after it too.
func dueIn(due []int64, i int) int64 {
	if i >= len(due) {
		return 0
	}
	n := due[i]
	if i == maxIntervals-1 {
		for _, more := range due[i+1:] {
			n += more
		}
	}
	return n
}
