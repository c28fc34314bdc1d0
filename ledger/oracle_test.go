package ledger

import (
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/result"
)

// message is one arrival, as Arrive takes it.
type message struct {
	number            uint64
	planned, sent, at int64
	size              int
}

// path draws a stream of messages, one a period, through a path that loses,
// duplicates and reorders; it gives the arrivals in order.
func path(t *rapid.T) (arrivals []message, sent int, period int64) {
	sent = rapid.IntRange(1, 200).Draw(t, "sent")
	period = rapid.SampledFrom([]int64{0, 1, 1000, ms, 20 * ms}).Draw(t, "period")
	spread := rapid.SampledFrom([]int64{0, 1, ms, 5 * ms, 100 * ms, 3000 * ms}).Draw(t, "spread")
	loss := rapid.SampledFrom([]float64{0, 0.02, 0.1, 0.6, 1}).Draw(t, "loss")
	duplicate := rapid.SampledFrom([]float64{0, 0.02, 0.4}).Draw(t, "duplicate")
	draws := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	for n := range sent {
		m := message{number: uint64(n), planned: int64(n) * period, size: draws.IntN(1500)}
		m.sent = m.planned + draws.Int64N(spread+1)/4
		for copies := 1; copies > 0; copies-- {
			if draws.Float64() < duplicate {
				copies++
			}
			if draws.Float64() >= loss {
				m.at = m.sent + 5*ms + draws.Int64N(spread+1)
				arrivals = append(arrivals, m)
			}
		}
	}
	slices.SortStableFunc(arrivals, func(a, b message) int { return int(a.at - b.at) })
	return arrivals, sent, period
}

// firsts leaves out the copies.
func firsts(arrivals []message) []message {
	var r []message
	for i, m := range arrivals {
		if !slices.ContainsFunc(arrivals[:i], func(e message) bool { return e.number == m.number }) {
			r = append(r, m)
		}
	}
	return r
}

type failer interface {
	Helper()
	Errorf(string, ...any)
}

// about allows for the resolution of a histogram: never too small, and too
// great by no more than one part in 1024.
func about(t failer, what string, got *int64, want *int64) {
	t.Helper()
	switch {
	case got == nil && want == nil:
	case got == nil || want == nil:
		t.Errorf("%s: nil is %v, want nil %v", what, got == nil, want == nil)
	case *got < *want || float64(*got) > float64(*want)*(1+1./1024)+1:
		t.Errorf("%s = %d, want %d", what, *got, *want)
	}
}

func same(t failer, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func close64(t failer, what string, got *float64, want float64) {
	t.Helper()
	switch {
	case math.IsNaN(want):
		if got != nil {
			t.Errorf("%s = %v, want nil", what, *got)
		}
	case got == nil:
		t.Errorf("%s is nil, want %v", what, want)
	case math.Abs(*got-want) > 1e-9*math.Max(1, math.Abs(want)):
		t.Errorf("%s = %v, want %v", what, *got, want)
	}
}

// rank is the value that perMille thousandths of among do not exceed.
func rank(sorted []int64, perMille, among int) *int64 {
	if i := max(1, (among*perMille+999)/1000); i <= len(sorted) {
		return &sorted[i-1]
	}
	return nil
}

func quantilesMatch(t failer, what string, got *result.Quantiles, values []int64) {
	t.Helper()
	if len(values) == 0 {
		same(t, what, got, (*result.Quantiles)(nil))
		return
	}
	if got == nil {
		t.Errorf("%s is nil, want quantiles of %v", what, values)
		return
	}
	slices.Sort(values)
	about(t, what+" p50", &got.P50, rank(values, 500, len(values)))
	about(t, what+" p99", &got.P99, rank(values, 990, len(values)))
	same(t, what+" max", got.Max, values[len(values)-1])
}

// The oracle is every definition written down as it stands, over all messages
// at once.
func TestAgainstDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arrivals, sent, period := path(t)
		interval := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 50 * time.Millisecond}).Draw(t, "interval")
		l := New(Config{Interval: interval})
		count := NewDueCount(0, interval)
		for i, m := range arrivals {
			l.Arrive(m.number, m.planned, m.sent, m.at, m.size)
			if i == len(arrivals)/2 {
				l.Report(Sent{Sent: int64(sent)})
			}
		}
		width := int64(interval)
		if width == 0 {
			width = int64(time.Second)
		}
		due := sent + rapid.IntRange(0, 20).Draw(t, "unsent")
		span := rapid.SampledFrom([]int64{0, 1, 1000 * period, int64(due) * period}).Draw(t, "span")
		for n := range due {
			count.Add(int64(n) * period)
		}
		say := Sent{Scheduled: int64(due) + 1, Due: int64(due), Sent: int64(sent), PerInterval: count.PerInterval(), Span: span, HostDiscarded: 3}
		got := l.Report(say)
		same(t, "second report", l.Report(say), got)
		first := firsts(arrivals)

		same(t, "scheduled", got.Delivery.Scheduled, int64(due)+1)
		same(t, "due", got.Delivery.Due, int64(due))
		same(t, "unsent", got.Delivery.Unsent, int64(due-sent))
		same(t, "received", *got.Delivery.Received, int64(len(arrivals)))
		same(t, "delivered", *got.Delivery.Delivered, int64(len(first)))
		same(t, "duplicated", *got.Delivery.Duplicated, int64(len(arrivals)-len(first)))
		same(t, "lost", *got.Delivery.Lost, int64(sent-len(first)))
		same(t, "corrupted", *got.Delivery.Corrupted, int64(3))
		close64(t, "ratio", got.Delivery.Ratio, float64(len(first))/float64(due))

		checkLoss(t, got.Loss, first, sent)
		checkDelay(t, got, first, due)
		checkEnd(t, got, first, due, span)
		checkIntervals(t, got.Intervals, first, due, span, width, period)
		if len(first) == 0 {
			same(t, "order", got.Order, (*result.Order)(nil))
			return
		}
		checkOrder(t, got.Order, first, orderWindow)
		same(t, "n-reordering", got.Order.NReordering, degrees(first, degreeMax))
		same(t, "density", got.Order.Density, displacements(first, densityThreshold))
	})
}

func checkLoss(t failer, got *result.Loss, first []message, sent int) {
	came := make([]bool, sent)
	for _, m := range first {
		came[m.number] = true
	}
	var lost, distances, lengths []int64
	var runs [][2]int64
	for n := range came {
		if came[n] {
			continue
		}
		if len(lost) > 0 {
			distances = append(distances, int64(n)-lost[len(lost)-1])
		}
		lost = append(lost, int64(n))
		if n == 0 || came[n-1] {
			lengths = append(lengths, 0)
			runs = append(runs, [2]int64{int64(n), 0})
		}
		lengths[len(lengths)-1]++
		runs[len(runs)-1][1] = int64(n)
	}
	same(t, "periods", got.Periods, int64(len(lengths)))
	same(t, "runs", append([][2]int64(nil), got.Numbers...), runs)
	tally := map[int64]int64{}
	for _, v := range lengths {
		tally[v]++
	}
	same(t, "lengths", got.Lengths, tally)
	meanPeriod, meanDistance := math.NaN(), math.NaN()
	if len(lengths) > 0 {
		same(t, "longest period", got.PeriodMax, slices.Max(lengths))
		meanPeriod = float64(len(lost)) / float64(len(lengths))
	}
	if len(distances) > 0 {
		same(t, "least distance", *got.DistanceMin, slices.Min(distances))
		var sum int64
		for _, d := range distances {
			sum += d
		}
		meanDistance = float64(sum) / float64(len(distances))
	} else {
		same(t, "least distance", got.DistanceMin, (*int64)(nil))
	}
	close64(t, "mean period", got.PeriodMean, meanPeriod)
	close64(t, "mean distance", got.DistanceMean, meanDistance)
}

// checkOrder searches, for each message, all that came before it; of those
// that raised the highest number only the latest window count.
func checkOrder(t failer, got *result.Order, first []message, window int) {
	var reordered, extentMax, extentSum, n, a, q, r, longest int64
	var late []int64
	for i, m := range first {
		var records []int
		for j := range i {
			if !slices.ContainsFunc(first[:j], func(e message) bool { return e.number > first[j].number }) {
				records = append(records, j)
			}
		}
		records = records[max(0, len(records)-window):]
		j := slices.IndexFunc(records, func(j int) bool { return first[j].number > m.number })
		if j < 0 {
			r++
			longest = max(longest, r)
			continue
		}
		n, a, q, r = n+1, a+r, q+r*r, 0
		reordered++
		extent := int64(i - records[j])
		extentMax, extentSum = max(extentMax, extent), extentSum+extent
		late = append(late, m.at-first[records[j]].at)
	}
	same(t, "reordered", got.Reordered, reordered)
	close64(t, "reordered ratio", got.ReorderedRatio, float64(reordered)/float64(len(first)))
	same(t, "extent max", got.ExtentMax, extentMax)
	close64(t, "extent mean", got.ExtentMean, float64(extentSum)/float64(reordered)) // NaN without any
	quantilesMatch(t, "late time", got.LateTimeNS, late)
	same(t, "runs", got.FreeRuns.Count, n)
	same(t, "longest run", got.FreeRuns.Max, longest)
	close64(t, "a/n", got.FreeRuns.Mean, float64(a)/float64(n))
	close64(t, "q/a", got.FreeRuns.QuadraticMean, float64(q)/float64(a))
}

// degrees tests every n of every message.
func degrees(first []message, greatest int) []float64 {
	r := []float64{}
	for n := 1; n <= greatest; n++ {
		count := 0
		for i := n; i < len(first); i++ {
			if !slices.ContainsFunc(first[i-n:i], func(e message) bool { return e.number < first[i].number }) {
				count++
			}
		}
		if count == 0 {
			break
		}
		r = append(r, float64(count)/float64(len(first)))
	}
	return r
}

// displacements lays the arrivals beside their sorted selves, without those
// that came when a number more than threshold above them was there.
func displacements(first []message, threshold uint64) map[string]float64 {
	var order, sorted []uint64
	var highest uint64
	for _, m := range first {
		if m.number+threshold >= highest {
			order = append(order, m.number)
		}
		highest = max(highest, m.number)
	}
	sorted = slices.Clone(order)
	slices.Sort(sorted)
	counts := map[int]int{}
	for i := range order {
		counts[int(sorted[i])-int(order[i])]++
	}
	r := map[string]float64{}
	for d, n := range counts {
		r[strconv.Itoa(d)] = float64(n) / float64(len(order))
	}
	return r
}

// variations pairs each number with the one below it, unless, when the later
// of the two came, a number stood in the place of the earlier: one window or
// more above it, or one that the earlier found there itself.
func variations(first []message, window uint64) []int64 {
	var r []int64
	kept := map[uint64]message{} // by place
	for _, m := range first {
		for _, other := range []uint64{m.number - 1, m.number + 1} {
			if o, ok := kept[other%window]; ok && o.number == other {
				r = append(r, max(delayOf(m)-delayOf(o), delayOf(o)-delayOf(m)))
			}
		}
		if o, ok := kept[m.number%window]; !ok || o.number < m.number {
			kept[m.number%window] = m
		}
	}
	return r
}

func delayOf(m message) int64 { return m.at - m.planned }

func checkDelay(t failer, got result.Measured, first []message, sent int) {
	var delays, ipdv []int64
	var mean, square, jitter float64
	for i, m := range first {
		delays = append(delays, delayOf(m))
		mean += float64(delayOf(m)) / float64(len(first))
		if i > 0 {
			p := first[i-1]
			jitter += (math.Abs(float64((m.at-m.sent)-(p.at-p.sent))) - jitter) / 16
		}
		for _, o := range first {
			if o.number == m.number+1 {
				ipdv = append(ipdv, max(delayOf(o)-delayOf(m), delayOf(m)-delayOf(o)))
			}
		}
	}
	for _, d := range delays {
		square += (float64(d) - mean) * (float64(d) - mean)
	}
	slices.Sort(delays)
	d := got.Delay
	about(t, "p50", d.P50NS, rank(delays, 500, sent))
	about(t, "p90", d.P90NS, rank(delays, 900, sent))
	about(t, "p99", d.P99NS, rank(delays, 990, sent))
	about(t, "p999", d.P999NS, rank(delays, 999, sent))
	if len(first) == 0 {
		same(t, "delay", *d, result.Delay{})
		return
	}
	same(t, "min", *d.MinNS, delays[0])
	same(t, "max", *d.MaxNS, delays[len(delays)-1])
	if math.Abs(float64(*d.MeanNS)-mean) > 0.6 {
		t.Errorf("mean = %d, want %v", *d.MeanNS, mean)
	}
	if want := math.Sqrt(square / float64(len(first))); math.Abs(float64(*d.StddevNS)-want) > 1 {
		t.Errorf("stddev = %d, want %v", *d.StddevNS, want)
	}
	if len(first) > 1 {
		if math.Abs(float64(*d.JitterNS)-jitter) > 1 {
			t.Errorf("jitter = %d, want %v", *d.JitterNS, jitter)
		}
	} else {
		same(t, "jitter", d.JitterNS, (*int64)(nil))
	}
	slices.Sort(ipdv)
	about(t, "IPDV p50", d.IPDVP50NS, rank(ipdv, 500, len(ipdv)))
	about(t, "IPDV p99", d.IPDVP99NS, rank(ipdv, 990, len(ipdv)))

	late := 0
	for i, w := range defaultDeadlines {
		inTime := 0
		for _, d := range delays {
			if d <= int64(w) {
				inTime++
			}
		}
		late = len(delays) - inTime
		same(t, "deadline", got.Deadline[i].WithinNS, int64(w))
		close64(t, "in time", got.Deadline[i].InTimeRatio, float64(inTime)/float64(sent))
	}
	same(t, "late", *got.Delivery.Late, int64(late))
}

// checkEnd holds what depends on the run's end: the plan's or the last arrival.
func checkEnd(t failer, got result.Measured, first []message, due int, span int64) {
	end, bytes := span, 0
	for _, m := range first {
		end = max(end, m.at)
		bytes += m.size
	}
	if due < 2 || end == 0 {
		same(t, "speed", got.Speed, result.Speed{})
	} else {
		same(t, "duration", *got.Speed.DurationNS, end)
		close64(t, "goodput", got.Speed.GoodputBPS, float64(bytes)*8/(float64(end)/1e9))
		close64(t, "messages/s", got.Speed.MessagesPS, float64(len(first))/(float64(end)/1e9))
	}

	least := int64(0)
	for i, m := range first {
		if i == 0 || delayOf(m) < least {
			least = delayOf(m)
		}
	}
	// Whatever the deliveries and the two ends of the run leave silent.
	silence, before := int64(0), max(least, 0)
	for _, m := range first {
		silence, before = max(silence, m.at-before), m.at
	}
	silence = max(silence, end-before)
	if silence == 0 {
		same(t, "silence", got.Stall.LongestSilenceNS, (*int64)(nil))
	} else {
		same(t, "silence", *got.Stall.LongestSilenceNS, silence)
	}
}

func checkIntervals(t failer, got []result.Interval, first []message, due int, span, width, period int64) {
	n := max(int(int64(due-1)*period/width)+1, int((span+width-1)/width))
	end := span
	if len(first) > 0 {
		end = max(end, first[len(first)-1].at)
		n = max(n, int(first[len(first)-1].at/width)+1)
	}
	same(t, "intervals", len(got), n)
	for i := range min(n, len(got)) {
		var delays []int64
		lost, bytes := int64(0), 0
		for s := range due {
			if int64(s)*period/width == int64(i) {
				lost++
			}
		}
		for _, m := range first {
			if m.at/width == int64(i) {
				delays = append(delays, delayOf(m))
				bytes += m.size
			}
			if m.planned/width == int64(i) {
				lost--
			}
		}
		slices.Sort(delays)
		same(t, "interval at", got[i].AtNS, int64(i)*width)
		same(t, "interval delivered", got[i].Delivered, int64(len(delays)))
		same(t, "interval lost", *got[i].Lost, lost)
		length := min(end-int64(i)*width, width)
		if length <= 0 { // the run ends where the row begins
			length = width
		}
		same(t, "interval length", got[i].LengthNS, length)
		close64(t, "interval goodput", &got[i].GoodputBPS, float64(bytes)*8/(float64(length)/1e9))
		about(t, "interval p50", got[i].DelayP50NS, rank(delays, 500, len(delays)))
		about(t, "interval p99", got[i].DelayP99NS, rank(delays, 990, len(delays)))
	}
}

// Where a window is too small for what happens, the figures are those that its
// comment says.
func TestBeyondWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arrivals, _, _ := path(t)
		first := firsts(arrivals)
		if len(first) == 0 {
			return
		}
		window := 1 << rapid.IntRange(1, 4).Draw(t, "window")
		greatest := rapid.IntRange(1, 9).Draw(t, "degree")
		threshold := rapid.IntRange(1, 20).Draw(t, "threshold")

		seen := NewNumbers(0)
		var highest uint64
		o, d, p := newOrder(window, greatest), newDensity(threshold), newNeighbours(window)
		for _, m := range first {
			seen.Add(m.number)
			highest = max(highest, m.number)
			o.arrive(m.number, m.at)
			if !d.inOrder(m.number) {
				d.arrive(m.number, highest, &seen)
			}
			p.arrive(m.number, delayOf(m))
			if d.waiting > threshold {
				t.Errorf("%d await their receive index, threshold %d", d.waiting, threshold)
			}
		}
		checkOrder(t, o.report(), first, window)
		same(t, "n-reordering", o.report().NReordering, degrees(first, greatest))
		density := d.report(&seen)
		if want := displacements(first, uint64(threshold)); !maps.Equal(density, want) {
			t.Errorf("density = %v, want %v", density, want)
		}
		for k := range density {
			if v, err := strconv.Atoi(k); err != nil || v > threshold || v < -threshold {
				t.Errorf("displacement %q beyond ±%d", k, threshold)
			}
		}
		quantilesMatch(t, "IPDV", p.variation.quantiles(), variations(first, uint64(window)))
	})
}
