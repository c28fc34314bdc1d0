package ledger

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"netcmp/result"
)

const ms = int64(time.Millisecond)

// enter feeds numbers that an RFC counts from one, all times a period apart.
func enter(l *Ledger, period int64, numbers ...uint64) {
	for i, n := range numbers {
		sent := int64(n-1) * period
		l.Arrive(n-1, sent, sent, int64(i+len(numbers))*period, 100)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// RFC 4737 §7.1 with the timing of its table: a message every 20 ms, delayed
// 68 ms; the fourth is delayed 150 ms. Late time is 210 − 148 ms.
func TestRFC4737OneLate(t *testing.T) {
	l := New(Config{})
	for _, n := range []uint64{1, 2, 3, 5, 6, 7, 8, 4, 9, 10} {
		sent := int64(n-1) * 20 * ms
		at := sent + 68*ms
		if n == 4 {
			at = sent + 150*ms
		}
		l.Arrive(n-1, sent, sent, at, 100)
	}
	o := l.Report(Sent{Sent: 10}).Order
	equal(t, "reordered", o.Reordered, 1)
	near(t, "ratio", *o.ReorderedRatio, 0.1, 0)
	equal(t, "extent max", o.ExtentMax, 4) // 4 messages of 100 B: the byte offset of 400 B
	near(t, "extent mean", *o.ExtentMean, 4, 0)
	equal(t, "late time", *o.LateTimeNS, result.Quantiles{P50: 62 * ms, P99: 62 * ms, Max: 62 * ms})
	if want := []float64{0.1, 0.1, 0.1, 0.1}; !slices.Equal(o.NReordering, want) {
		t.Errorf("n-reordering = %v, want %v", o.NReordering, want)
	}
	// Neighbours differ by 82 ms twice, and else not at all.
	d := l.Report(Sent{Sent: 10}).Delay
	equal(t, "IPDV p50", *d.IPDVP50NS, 0)
	near(t, "IPDV p99", float64(*d.IPDVP99NS), float64(82*ms), 0)
}

// RFC 4737 §7.2: 5 and 6 are both late behind 7, only 5 is 1-reordered.
func TestRFC4737TwoLate(t *testing.T) {
	l := New(Config{})
	enter(l, ms, 1, 2, 3, 4, 7)
	extents := []int64{1, 2} // of 5, of 6
	for i, n := range []uint64{5, 6} {
		before := l.order.extentSum
		l.Arrive(n-1, 0, 0, 10*ms, 100)
		equal(t, "extent", l.order.extentSum-before, extents[i])
	}
	for _, n := range []uint64{8, 9, 10} {
		l.Arrive(n-1, 0, 0, 10*ms, 100)
	}
	o := l.Report(Sent{Sent: 10}).Order
	equal(t, "reordered", o.Reordered, 2)
	equal(t, "extent max", o.ExtentMax, 2)
	if want := []float64{0.1}; !slices.Equal(o.NReordering, want) {
		t.Errorf("n-reordering = %v, want %v", o.NReordering, want)
	}
	// A run of five ended at 5, an empty one at 6, and one of three goes on.
	equal(t, "runs", o.FreeRuns.Count, 2)
	near(t, "a/n", *o.FreeRuns.Mean, 2.5, 0)
	near(t, "q/a", *o.FreeRuns.QuadraticMean, 5, 0)
	equal(t, "longest", o.FreeRuns.Max, 5)
}

// RFC 4737's runs of 1, 1 and 31 messages.
func TestRFC4737Runs(t *testing.T) {
	l := New(Config{})
	arrivals := []uint64{4, 1, 5, 2}
	for n := uint64(6); n <= 36; n++ {
		arrivals = append(arrivals, n)
	}
	enter(l, ms, append(arrivals, 3)...)
	r := l.Report(Sent{Sent: 36}).Order.FreeRuns
	equal(t, "runs", r.Count, 3)
	near(t, "a/n", *r.Mean, 11, 0)
	near(t, "q/a", *r.QuadraticMean, 29.18, 0.005)
	equal(t, "longest", r.Max, 31)
}

// RFC 5236: D = 0 −1 1 0 – −2 0 2; number 2 never comes, the second 3 is a
// duplicate.
func TestRFC5236(t *testing.T) {
	l := New(Config{})
	enter(l, ms, 1, 4, 3, 5, 3, 8, 7, 6)
	m := l.Report(Sent{Sent: 8})
	want := map[string]float64{"-2": 1. / 7, "-1": 1. / 7, "0": 3. / 7, "1": 1. / 7, "2": 1. / 7}
	if !maps.Equal(m.Order.Density, want) {
		t.Errorf("density = %v, want %v", m.Order.Density, want)
	}
	equal(t, "duplicated", *m.Delivery.Duplicated, 1)
	equal(t, "received", *m.Delivery.Received, 8)
}

// RFC 3357: of ten messages 2, 5, 7, 9 and 10 are lost.
func TestRFC3357(t *testing.T) {
	l := New(Config{})
	enter(l, ms, 1, 3, 4, 6, 8)
	r := l.Report(Sent{Sent: 10}).Loss
	var distances []int64
	last := int64(-1)
	for _, run := range r.Numbers {
		for n := run[0]; n <= run[1]; n++ {
			if last < 0 {
				last = n
			}
			distances = append(distances, n-last)
			last = n
		}
	}
	if want := []int64{0, 3, 2, 2, 1}; !slices.Equal(distances, want) {
		t.Errorf("distances = %v, want %v", distances, want)
	}
	noticeable := 0
	for _, d := range distances[1:] {
		if d <= 2 {
			noticeable++
		}
	}
	near(t, "noticeable rate", float64(noticeable)/float64(len(distances)), 3./5, 0)
	equal(t, "periods", r.Periods, 4)
	if want := map[int64]int64{1: 3, 2: 1}; !maps.Equal(r.Lengths, want) {
		t.Errorf("lengths = %v, want %v", r.Lengths, want)
	}
	equal(t, "longest", r.PeriodMax, 2)
	near(t, "mean period", *r.PeriodMean, 5./4, 0)
	equal(t, "least distance", *r.DistanceMin, 1)
	near(t, "mean distance", *r.DistanceMean, 2, 0)
}
