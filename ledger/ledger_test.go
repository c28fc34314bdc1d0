package ledger

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"netcmp/result"
)

func TestNothingArrived(t *testing.T) {
	l := New(Config{Ordered: true})
	m := l.Report(Sent{})
	if m.Delivery.Ratio != nil || m.Loss != nil || m.Order != nil || m.Stall.Held != nil || m.Deadline[0].InTimeRatio != nil {
		t.Errorf("something was measured: %+v", m)
	}
	if !reflect.DeepEqual(*m.Delay, result.Delay{}) {
		t.Errorf("delay: %+v", *m.Delay)
	}
	equal(t, "delivered", *m.Delivery.Delivered, 0)
	equal(t, "progress", l.Progress(), Progress{Highest: -1})

	m = l.Report(Sent{Scheduled: 5, Sent: 4, PerInterval: []int64{3, 1}})
	equal(t, "lost", *m.Delivery.Lost, 4)
	near(t, "ratio", *m.Delivery.Ratio, 0, 0)
	near(t, "in time", *m.Deadline[7].InTimeRatio, 0, 0)
	equal(t, "periods", m.Loss.Periods, 1)
	equal(t, "lost in the second interval", *m.Intervals[1].Lost, 1)
	if m.Account != nil || m.Instrument != (result.Instrument{}) {
		t.Error("Account and Instrument are for others to fill")
	}
}

// With 2 of 100 lost the 98th is the last percentile there is.
func TestPercentilesCountTheLost(t *testing.T) {
	l := New(Config{})
	for n := range int64(100) {
		if n != 40 && n != 70 {
			l.Arrive(uint64(n), n*ms, n*ms, n*ms+25*ms, 100)
		}
	}
	d := l.Report(Sent{Sent: 100}).Delay
	equal(t, "p50", *d.P50NS, 25*ms)
	equal(t, "p90", *d.P90NS, 25*ms)
	if d.P99NS != nil || d.P999NS != nil {
		t.Error("p99 and p99.9 are among the lost and must be null")
	}
	equal(t, "max of the delivered", *d.MaxNS, 25*ms)
	equal(t, "stddev", *d.StddevNS, 0)
	equal(t, "jitter", *d.JitterNS, 0)
}

func TestMomentsAreExact(t *testing.T) {
	var m moments
	for range 1000 {
		m.add(maxDelay)
		m.add(-maxDelay)
	}
	equal(t, "mean", m.mean(), 0)
	equal(t, "deviation", m.deviation(), maxDelay)
	m = moments{}
	for _, v := range []int64{-3, -4} {
		m.add(v)
	}
	equal(t, "mean of −3 and −4", m.mean(), -3) // halves go up
}

// In mid-run the sender's count may lag behind the arrivals.
func TestSenderLags(t *testing.T) {
	l := New(Config{})
	enter(l, ms, 1, 2, 3, 4, 5)
	m := l.Report(Sent{Sent: 3, PerInterval: []int64{3}})
	equal(t, "lost", *m.Delivery.Lost, 0)
	near(t, "ratio", *m.Delivery.Ratio, 1, 0)
	near(t, "in time", *m.Deadline[0].InTimeRatio, 1, 0)
	equal(t, "lost in the interval", *m.Intervals[0].Lost, 0)
}

func TestReportChangesNothing(t *testing.T) {
	l, quiet := New(Config{Ordered: true}), New(Config{Ordered: true})
	draws := rand.New(rand.NewPCG(1, 2))
	at := int64(0)
	for n := range int64(20_000) {
		at += draws.Int64N(2 * ms)
		number := uint64(max(0, n-draws.Int64N(30)))
		l.Arrive(number, n*ms, n*ms, at, 100)
		quiet.Arrive(number, n*ms, n*ms, at, 100)
		if n%999 == 0 {
			a := l.Report(Sent{Sent: n + 1})
			l.Progress()
			if b := l.Report(Sent{Sent: n + 1}); !reflect.DeepEqual(a, b) {
				t.Fatalf("the second of two reports differs at %d", n)
			}
		}
	}
	if a, b := l.Report(Sent{Sent: 20_000}), quiet.Report(Sent{Sent: 20_000}); !reflect.DeepEqual(a, b) {
		t.Error("reports in mid-run changed the last one")
	}
}

func TestReportIsJSON(t *testing.T) {
	l := New(Config{Ordered: true})
	if _, err := json.Marshal(l.Report(Sent{})); err != nil {
		t.Error(err)
	}
	enter(l, ms, 1, 2, 5, 3)
	if _, err := json.Marshal(l.Report(Sent{Sent: 9})); err != nil { // no NaN, no infinity
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	l := New(Config{})
	enter(l, ms, 1, 2, 5, 5, 3)
	l.Damaged(0, 100)
	p := l.Progress()
	equal(t, "delivered", p.Delivered, 4)
	equal(t, "highest", p.Highest, 4)
	equal(t, "holes", p.Holes, 1)
	equal(t, "duplicates", p.Duplicates, 1)
	equal(t, "damaged", p.Damaged, 1)
	equal(t, "bytes", p.Bytes, 400)
	near(t, "p50", float64(p.DelayP50), float64(5*ms), 5e3)
	near(t, "p99", float64(p.DelayP99), float64(7*ms), 7e3)
}

func TestDeadlines(t *testing.T) {
	l := New(Config{Deadlines: []time.Duration{50 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond}})
	for n, d := range []int64{10 * ms, 10*ms + 1, 50 * ms, 50*ms + 1} {
		l.Arrive(uint64(n), 0, 0, d, 1)
	}
	m := l.Report(Sent{Sent: 5})
	equal(t, "deadlines", len(m.Deadline), 2)
	near(t, "within 10 ms", *m.Deadline[0].InTimeRatio, 1./5, 0)
	near(t, "within 50 ms", *m.Deadline[1].InTimeRatio, 3./5, 0)
	equal(t, "late", *m.Delivery.Late, 1)
}

// Clocks may start anywhere.
func TestStartBelowZero(t *testing.T) {
	const start = -10 * int64(time.Second)
	l := New(Config{Start: start})
	c := NewDueCount(start, 0)
	for n := range int64(4) {
		at := start + n*int64(time.Second) + 5*ms
		l.Arrive(uint64(n), at, at, at, 125)
		c.Add(at)
	}
	m := l.Report(Sent{Sent: 4, PerInterval: c.PerInterval(), Span: 4 * int64(time.Second)})
	equal(t, "rows", len(m.Intervals), 4)
	for _, i := range m.Intervals {
		equal(t, "delivered", i.Delivered, 1)
		equal(t, "lost", *i.Lost, 0)
		near(t, "goodput", i.GoodputBPS, 1000, 0)
	}
	equal(t, "duration", *m.Speed.DurationNS, 4*int64(time.Second))
}

// A run that outlasts the rows puts the rest into the last one.
func TestIntervalsAreBounded(t *testing.T) {
	l := New(Config{Interval: time.Millisecond})
	c := NewDueCount(0, time.Millisecond)
	end := (maxIntervals + 10) * ms
	for n, at := range []int64{-5 * ms, 0, (maxIntervals - 1) * ms, end} {
		l.Arrive(uint64(n), at, at, at, 125)
		c.Add(at)
	}
	c.Add(end)
	m := l.Report(Sent{Sent: 5, PerInterval: append(c.PerInterval(), 1, 1)})
	equal(t, "rows", len(m.Intervals), maxIntervals)
	equal(t, "in the first", m.Intervals[0].Delivered, 2)
	last := m.Intervals[maxIntervals-1]
	equal(t, "in the last", last.Delivered, 2)
	equal(t, "lost in the last", *last.Lost, 3)
	near(t, "goodput of the last", last.GoodputBPS, 2000/0.011, 1e-6)
	if m.Intervals[1].DelayP50NS != nil || *m.Intervals[1].Lost != 0 {
		t.Error("nothing was sent or delivered in the second interval")
	}

	var zero DueCount
	zero.Add(1500 * ms)
	if got := zero.PerInterval(); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("zero DueCount: %v", got)
	}
}

// Runs of loss beyond what the document lists are counted all the same.
func TestLossIsBounded(t *testing.T) {
	const n = 3 * result.MaxLossRuns
	l := New(Config{})
	for i := uint64(0); i < n; i += 2 {
		l.Arrive(i, 0, 0, 0, 1)
	}
	r := l.Report(Sent{Sent: n + 5000}).Loss
	equal(t, "listed", len(r.Numbers), result.MaxLossRuns)
	equal(t, "truncated", r.Truncated, true)
	equal(t, "periods", r.Periods, n/2)
	equal(t, "longest", r.PeriodMax, 5001)
	equal(t, "over 1000", r.Lengths[lengthMax], 1)
}

// Uniform jitter of ±J around a delay, period T = J: 12.5 % are reordered, and
// neighbours differ by 2J/3 in the mean (of a triangle; its median is
// 2J·(1 − 1/√2)).
func TestUniformJitter(t *testing.T) {
	const n, j = 200_000, 10 * ms
	draws := rand.New(rand.NewPCG(4737, 0))
	arrivals := make([]message, n)
	for i := range arrivals {
		planned := int64(i) * j
		arrivals[i] = message{uint64(i), planned, planned, planned + 20*ms + draws.Int64N(2*j) - j, 1}
	}
	slices.SortFunc(arrivals, func(a, b message) int { return int(a.at - b.at) })
	l := New(Config{Interval: time.Hour})
	for _, m := range arrivals {
		l.Arrive(m.number, m.planned, m.sent, m.at, m.size)
	}
	m := l.Report(Sent{Sent: n})
	near(t, "reordered", *m.Order.ReorderedRatio, 0.125, 0.003)
	near(t, "median IPDV", float64(*m.Delay.IPDVP50NS), 2*float64(j)*(1-1/math.Sqrt2), 0.01*float64(j))
	near(t, "median delay", float64(*m.Delay.P50NS), float64(20*ms), 0.01*float64(j))
	near(t, "deviation", float64(*m.Delay.StddevNS), float64(j)/math.Sqrt(3), 0.01*float64(j))
}

// netem's reorder r with delay D: (1−r)(1−(1−r)^m), m = ⌈D/T⌉ − 1.
func TestNetemReorder(t *testing.T) {
	const n, r, delay = 200_000, 0.25, 10*ms - 1 // below 10 ms: no ties
	draws := rand.New(rand.NewPCG(5236, 0))
	arrivals := make([]message, n)
	for i := range arrivals {
		sent := int64(i) * ms
		arrivals[i] = message{uint64(i), sent, sent, sent, 1}
		if draws.Float64() >= r {
			arrivals[i].at += delay
		}
	}
	slices.SortFunc(arrivals, func(a, b message) int { return int(a.at - b.at) })
	l := New(Config{})
	for _, m := range arrivals {
		l.Arrive(m.number, m.planned, m.sent, m.at, m.size)
	}
	o := l.Report(Sent{Sent: n}).Order
	near(t, "reordered", *o.ReorderedRatio, (1-r)*(1-math.Pow(1-r, 9)), 0.005)
	if o.ExtentMax > 2*9 { // nine overtake it, and of those before it nine more come in the time
		t.Errorf("extent max = %d", o.ExtentMax)
	}
	var sum float64
	for _, share := range o.Density {
		sum += share
	}
	near(t, "density", sum, 1, 1e-9)
}

// A copy is found whatever its distance.
func TestDistantDuplicate(t *testing.T) {
	const n = 1 << 20
	l := New(Config{})
	for i := range uint64(n) {
		l.Arrive(i, int64(i), int64(i), int64(i), 1)
	}
	l.Arrive(0, 0, 0, n, 1)
	m := l.Report(Sent{Sent: n})
	equal(t, "duplicated", *m.Delivery.Duplicated, 1)
	equal(t, "reordered", m.Order.Reordered, 0)
	equal(t, "lost", *m.Delivery.Lost, 0)
}
