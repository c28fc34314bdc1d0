package ledger

import "time"

// Progress is what a live line shows.
type Progress struct {
	Delivered  int64 // distinct numbers
	Highest    int64 // the highest number delivered; −1 before the first
	Holes      int64 // numbers below Highest that have not come: lost or on their way
	Duplicates int64
	Damaged    int64
	Bytes      int64 // of first copies
	// Delay of what was delivered so far, the lost left out; zero before the
	// first.
	DelayP50, DelayP99 time.Duration
}

// Progress is a snapshot that costs some microseconds, whatever the length of
// the run.
func (l *Ledger) Progress() Progress {
	p := Progress{
		Delivered:  l.delivered,
		Highest:    int64(l.next) - 1,
		Holes:      int64(l.next) - l.delivered,
		Duplicates: l.duplicated,
		Damaged:    l.damaged,
		Bytes:      l.bytes,
	}
	if q := l.delay.spread.quantiles(); q != nil {
		p.DelayP50, p.DelayP99 = time.Duration(q.P50), time.Duration(q.P99)
	}
	return p
}

// Delivered is how many distinct numbers have come.
func (l *Ledger) Delivered() int64 { return l.delivered }
