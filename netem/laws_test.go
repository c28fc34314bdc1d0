package netem

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"time"
)

// The figures that a path realises, against the closed forms of reference.md
// and of the kernel's arithmetic. Each is over 10⁶ packets, one every period,
// at a fixed seed, and must be within four of its own standard deviations.

const (
	lawPackets = 1_000_000
	lawSeed    = 20240229
)

// A tally is the mean of a quantity over the packets, with the standard
// deviation of that mean. The deviation is estimated from the means of batches,
// since packets that overtake each other are not independent.
type tally struct{ batches [500]float64 }

func (y *tally) add(packet int, x float64) {
	y.batches[packet*len(y.batches)/lawPackets] += x / (lawPackets / float64(len(y.batches)))
}

func (y *tally) count(packet int, yes bool) {
	if yes {
		y.add(packet, 1)
	}
}

func (y *tally) mean() (mean, sd float64) {
	n := float64(len(y.batches))
	for _, b := range y.batches {
		mean += b / n
	}
	for _, b := range y.batches {
		sd += (b - mean) * (b - mean)
	}
	return mean, math.Sqrt(sd / (n - 1) / n)
}

func (y *tally) check(t *testing.T, what string, want float64) {
	t.Helper()
	got, sd := y.mean()
	t.Logf("%-42s %.6g, law %.6g, %+.1f standard deviations", what, got, want, (got-want)/sd)
	if !(math.Abs(got-want) <= 4*sd) || sd > 0.02*math.Abs(want) {
		t.Errorf("%s: %.6g ± %.2g, want %.6g", what, got, sd, want)
	}
}

// send passes packets of 1000 bytes, one every period, through an empty queue.
func send(t *testing.T, spec string, period time.Duration, each func(n int, now int64, v *Verdict)) {
	t.Helper()
	d := NewDirection(parse(t, spec), lawSeed)
	var v Verdict
	for n := range lawPackets {
		now := int64(n) * period.Nanoseconds()
		d.Admit(now, 1000, 0, &v)
		each(n, now, &v)
	}
}

// drawsMuch leaves a law out of the race detector's runs, which are short: it is
// arithmetic in one goroutine.
func drawsMuch(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the first run has held it")
	}
}

func TestLawsOfCounts(t *testing.T) {
	drawsMuch(t)
	var lost, rare tally
	send(t, "loss 2%", time.Millisecond, func(n int, _ int64, v *Verdict) { lost.count(n, v.Lost == 1) })
	lost.check(t, "loss 2 %", 0.02)
	send(t, "loss 0.5%", time.Millisecond, func(n int, _ int64, v *Verdict) { rare.count(n, v.Lost == 1) })
	rare.check(t, "loss 0.5 %", 0.005)

	var doubled, copies tally
	send(t, "duplicate 3%", time.Millisecond, func(n int, _ int64, v *Verdict) {
		doubled.count(n, v.Duplicated)
		copies.add(n, float64(v.N))
	})
	doubled.check(t, "duplicate 3 %", 0.03)
	copies.check(t, "duplicate 3 %: copies a packet", 1.03)

	// Duplicate 12 % with loss 10 % was seen on a real netem: 8.84 % missing.
	const p, d = 0.10, 0.12
	var missing, two, both tally
	send(t, "duplicate 12% loss 10%", time.Millisecond, func(n int, _ int64, v *Verdict) {
		missing.count(n, v.N == 0)
		two.count(n, v.N == 2)
		both.add(n, float64(v.N))
	})
	missing.check(t, "loss 10 % duplicate 12 %: no copy", p*(1-d))
	two.check(t, "loss 10 % duplicate 12 %: two copies", d*(1-p)*(1-p))
	both.check(t, "loss 10 % duplicate 12 %: copies a packet", 1-p*(1-d)+d*(1-p)*(1-p))

	var corrupt tally
	send(t, "corrupt 1.5%", time.Millisecond, func(n int, _ int64, v *Verdict) { corrupt.count(n, v.Copies[0].Corrupt) })
	corrupt.check(t, "corrupt 1.5 %", 0.015)
}

func TestLawsOfJitter(t *testing.T) {
	const mean, jitter = 20e6, 5e6 // ns
	for _, c := range []struct {
		spec     string
		sd, ipdv float64 // E|IPDV| is 2J/3 for a uniform delay and 2J/√π for a normal one
	}{
		{"delay 20ms 5ms", jitter / math.Sqrt(3), 2 * jitter / 3},
		{"delay 20ms 5ms distribution normal", jitter, 2 * jitter / math.Sqrt(math.Pi)},
	} {
		var delay, square, ipdv tally
		last := 0.0
		from, to := int64(math.MaxInt64), int64(math.MinInt64)
		send(t, c.spec, 100*time.Millisecond, func(n int, now int64, v *Verdict) {
			x := v.Copies[0].Due - now
			from, to = min(from, x), max(to, x)
			delay.add(n, float64(x))
			square.add(n, (float64(x)-mean)*(float64(x)-mean))
			if n > 0 {
				ipdv.add(n, math.Abs(float64(x)-last))
			} else {
				ipdv.add(n, c.ipdv)
			}
			last = float64(x)
		})
		if parse(t, c.spec).Distribution == Uniform {
			delay.check(t, c.spec+": mean", mean)
			square.check(t, c.spec+": variance", c.sd*c.sd)
			if from < mean-jitter || to >= mean+jitter || from > mean-jitter+1000 || to < mean+jitter-1000 {
				t.Errorf("%s: delays from %d to %d", c.spec, from, to)
			}
		} else {
			// The table has a mean of −0.00075 σ (its ends are cut unevenly) and a deviation of 1.00005 σ.
			delay.check(t, c.spec+": mean", mean-0.000750*jitter)
			square.check(t, c.spec+": variance", 1.0001*c.sd*c.sd)
			if from != mean-4*jitter || to < mean+3.52*jitter || to > mean+3.53*jitter {
				t.Errorf("%s: delays from %d to %d", c.spec, from, to)
			}
		}
		ipdv.check(t, c.spec+": mean |IPDV|", c.ipdv)
	}
}

// TestNegativeDelay: a jitter above the mean lets packets go at once.
func TestNegativeDelay(t *testing.T) {
	var past tally
	send(t, "delay 1ms 4ms", time.Millisecond, func(n int, now int64, v *Verdict) { past.count(n, v.Copies[0].Due < now) })
	past.check(t, "delay 1 ms ± 4 ms: in the past", 3.0/8)
}

// reordered returns the share of packets that are reordered as RFC 4737 has it:
// those that arrive after one that was sent later.
func reordered(t *testing.T, spec string, period time.Duration) *tally {
	t.Helper()
	type arrival struct {
		n   int
		due int64
	}
	arrivals := make([]arrival, lawPackets)
	send(t, spec, period, func(n int, _ int64, v *Verdict) { arrivals[n] = arrival{n, v.Copies[0].Due} })
	// Stable: of packets due together the first sent leaves first. That holds of
	// one ahead too, since what is due when it comes has left.
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return cmp.Compare(a.due, b.due) })
	y, next := new(tally), 0
	for _, a := range arrivals {
		if a.n < next {
			y.count(a.n, true)
		} else {
			next = a.n + 1
		}
	}
	return y
}

func TestLawsOfReordering(t *testing.T) {
	drawsMuch(t)
	// Uniform jitter ±J, T between J and 2J: (1−T/2J)²/2.
	for _, period := range []float64{5, 6, 8} {
		u := 1 - period/(2*5)
		reordered(t, "delay 20ms 5ms", time.Duration(period*1e6)).
			check(t, time.Duration(period*1e6).String()+" apart, jitter 5 ms: reordered", u*u/2)
	}
	const none = 10.5
	if got, _ := reordered(t, "delay 20ms 5ms", none*1e6).mean(); got != 0 {
		t.Errorf("%v reordered at a period above twice the jitter", got)
	}

	// One in r overtakes those in the delay line: (1−r)(1−(1−r)^m), m = ⌈D/T⌉−1.
	// With a gap g the packets that overtake form a renewal process whose
	// intervals are X = g−1+G, G geometric; in each, the X−1 between two of them
	// are overtaken but for those with more than m packets to go. Hence
	//
	//	(E X − 1 − E(X−1−m)⁺) / E X,  E(X−1−m)⁺ = (1−r)^(m+2−g)/r  for m ≥ g−2
	law := func(r float64, gap, m int) float64 {
		interval := float64(gap-1) + 1/r
		return (interval - 1 - math.Pow(1-r, float64(m+2-gap))/r) / interval
	}
	for _, c := range []struct {
		spec   string
		period time.Duration
		r      float64
		gap, m int
		figure float64 // in reference.md, or from the law
	}{
		{"delay 10ms reorder 25%", time.Millisecond, 0.25, 1, 9, 0.694},
		{"delay 4ms reorder 40%", time.Millisecond / 2, 0.40, 1, 7, 0.583},
		{"delay 10ms reorder 25% gap 5", time.Millisecond, 0.25, 5, 9, 0.786},
		{"delay 10ms reorder 25% gap 5", time.Millisecond / 2, 0.25, 5, 19, 0.870},
	} {
		want := law(c.r, c.gap, c.m)
		if math.Abs(want-c.figure) > 0.0006 {
			t.Errorf("%s every %v: the law gives %.4f, the figure is %v", c.spec, c.period, want, c.figure)
		}
		if c.gap == 1 {
			if simple := (1 - c.r) * (1 - math.Pow(1-c.r, float64(c.m))); math.Abs(want-simple) > 1e-12 {
				t.Errorf("the two laws differ at gap 1: %v and %v", want, simple)
			}
		}
		reordered(t, c.spec, c.period).check(t, c.spec+" every "+c.period.String(), want)
	}
}

// TestGapIsKept: reorder 100 % with a gap lets exactly every gap-th go ahead.
func TestGapIsKept(t *testing.T) {
	ahead := 0
	send(t, "delay 10ms reorder 100% gap 5", time.Millisecond, func(n int, _ int64, v *Verdict) {
		if v.Copies[0].Ahead != (n%5 == 4) {
			t.Fatalf("packet %d: %+v", n, v)
		}
		if v.Copies[0].Ahead {
			ahead++
		}
	})
	if ahead != lawPackets/5 {
		t.Errorf("%d went ahead", ahead)
	}
}

// TestRateDoesNotReorder: with a rate, whatever the jitter, packets leave in
// order, a transmission apart, and a link that is given too much is never idle.
func TestRateDoesNotReorder(t *testing.T) {
	drawsMuch(t)
	for _, spec := range []string{"delay 10ms 9ms rate 2mbit", "delay 10ms 30ms distribution normal rate 20mbit"} {
		last, apart := int64(math.MinInt64), int64(1000*8*1e9)/int64(parse(t, spec).Rate)
		for _, period := range []time.Duration{time.Millisecond, 6 * time.Millisecond} {
			last = math.MinInt64
			send(t, spec, period, func(n int, now int64, v *Verdict) {
				due := v.Copies[0].Due
				if n > 0 && due < last+apart {
					t.Fatalf("%s, packet %d: leaves %d ns after the one before", spec, n, due-last)
				}
				last = due
			})
		}
	}
	first, last := int64(0), int64(0)
	send(t, "rate 2mbit delay 10ms 5ms", time.Millisecond, func(n int, _ int64, v *Verdict) {
		if n == 1000 {
			first = v.Copies[0].Due
		}
		last = v.Copies[0].Due
	})
	if got, want := last-first, int64(lawPackets-1-1000)*4_000_000; got != want {
		t.Errorf("a full link took %d ns for what takes %d", got, want)
	}
}

// TestLimitCapsTheDelayLine: 100 ms in a queue of 1000 is 10,000 packets a
// second; the rest is dropped at the tail.
func TestLimitCapsTheDelayLine(t *testing.T) {
	drawsMuch(t)
	for _, c := range []struct {
		spec   string
		period time.Duration
		passes float64
	}{
		{"delay 100ms", 50 * time.Microsecond, 0.5},
		{"delay 100ms", 100 * time.Microsecond, 1},
		{"delay 100ms limit 250", 100 * time.Microsecond, 0.25},
		{"delay 100ms limit 2000", 50 * time.Microsecond, 1},
		{"rate 8mbit limit 10", 500 * time.Microsecond, 0.5}, // 1 ms each
	} {
		d := NewDirection(parse(t, c.spec), lawSeed)
		limit := parse(t, c.spec).QueueLimit()
		var queue []int64 // due times, in order since nothing jitters
		var v Verdict
		passed, dropped, longest := 0, 0, 0
		for n := range lawPackets {
			now := int64(n) * c.period.Nanoseconds()
			for len(queue) > 0 && queue[0] <= now {
				queue = queue[1:]
			}
			d.Admit(now, 1000, len(queue), &v)
			for _, copied := range v.Copies[:v.N] {
				queue = append(queue, copied.Due)
			}
			longest = max(longest, len(queue))
			passed, dropped = passed+v.N, dropped+v.Dropped
		}
		got := float64(passed) / lawPackets
		t.Logf("%s every %v: %.4f pass, queue up to %d", c.spec, c.period, got, longest)
		// The queue fills once; its length is the error at the edge.
		if math.Abs(got-c.passes) > float64(limit)/lawPackets || passed+dropped != lawPackets || longest > limit {
			t.Errorf("%s every %v: %.4f pass, want %.4f; queue up to %d of %d", c.spec, c.period, got, c.passes, longest, limit)
		}
	}
}

// TestDelaysFollowTheirQuantileFunction: Kolmogorov's distance between a million
// delays and the law, of which a true sample exceeds 2.70/√n once in 10⁶ times
// (2·exp(−2·2.70²)), and Anderson and Darling's n·∫(F−p)²/(p(1−p))dp, which
// looks at the tails. Its limit is Σ Z²/(j(j+1)), whose tail is
// √3·erfc(√x): it exceeds 12.5 once in 10⁶ times. The steps of a table of 4096
// are a tenth of that.
func TestDelaysFollowTheirQuantileFunction(t *testing.T) {
	drawsMuch(t)
	cut := func(p float64) float64 { return min(paretoQuantile(p), 4) }
	for _, c := range []struct {
		spec     string
		quantile func(p float64) float64
		to       float64 // where the table is cut
	}{
		{"delay 100ms 10ms", func(p float64) float64 { return 2*p - 1 }, 1},
		{"delay 100ms 10ms distribution normal", normalQuantile, 0.9997},
		{"delay 100ms 10ms distribution pareto", cut, 0.985},
		{"delay 100ms 10ms distribution paretonormal", func(p float64) float64 { return normalQuantile(p)/4 + 3*cut(p)/4 }, 0.9997},
		{"delay 100ms 10ms 40%", func(p float64) float64 { return 2*p - 1 }, 1},
		{"delay 100ms 10ms 40% distribution pareto", cut, 0.985},
	} {
		delays := make([]float64, lawPackets)
		send(t, c.spec, time.Second, func(n int, now int64, v *Verdict) {
			delays[n] = (float64(v.Copies[0].Due-now) - 100e6) / 10e6
		})
		slices.Sort(delays)
		distance, area := 0.0, 0.0
		for k := 1; k < 4000; k++ {
			p := float64(k) / 4000
			if p > c.to {
				break
			}
			below, _ := slices.BinarySearch(delays, c.quantile(p))
			off := float64(below)/lawPackets - p
			distance = max(distance, math.Abs(off))
			area += lawPackets * off * off / (p * (1 - p)) / 4000
		}
		x := distance * math.Sqrt(lawPackets)
		t.Logf("%s: distance %.5f, %.2f/√n, Anderson-Darling %.2f", c.spec, distance, x, area)
		if x > 2.70 || area > 12.5 {
			t.Errorf("%s: distance %.5f, %.2f/√n, Anderson-Darling %.2f", c.spec, distance, x, area)
		}
	}
}
