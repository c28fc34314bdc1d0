package ledger

import (
	"slices"
	"time"

	"netcmp/result"
)

// defaultDeadlines spans a game, a call, a page, and patience.
var defaultDeadlines = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second,
}

// deadlines counts exactly what came in time. A lost message is never in
// time.
type deadlines struct {
	within []int64 // ascending, distinct
	counts []int64 // [i]: met within[i] and none shorter; the last: met none
}

func newDeadlines(d []time.Duration) deadlines {
	if len(d) == 0 {
		d = defaultDeadlines
	}
	within := make([]int64, len(d))
	for i, v := range d {
		within[i] = int64(v)
	}
	slices.Sort(within)
	within = slices.Compact(within)
	return deadlines{within, make([]int64, len(within)+1)}
}

func (d *deadlines) arrive(delay int64) {
	i := 0
	for i < len(d.within) && delay > d.within[i] {
		i++
	}
	d.counts[i]++
}

// late counts what was delivered after the longest deadline.
func (d *deadlines) late() int64 { return d.counts[len(d.within)] }

// report gives shares of the due messages, shortest deadline first; they are
// null when none was due.
func (d *deadlines) report(due int64) []result.Deadline {
	r := make([]result.Deadline, len(d.within))
	var inTime int64
	for i, w := range d.within {
		inTime += d.counts[i]
		r[i].WithinNS = w
		if due > 0 {
			r[i].InTimeRatio = new(float64(inTime) / float64(due))
		}
	}
	return r
}
