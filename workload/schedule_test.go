package workload_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/workload"
)

// run is the whole schedule.
func run(p workload.Plan) []workload.Message {
	var all []workload.Message
	s := workload.NewSchedule(p)
	for m, ok := s.Next(); ok; m, ok = s.Next() {
		all = append(all, m)
	}
	return all
}

// rates reach from a message in a quarter of an hour to the limit, evenly over the
// decades, with round ones among them.
func rates() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Map(rapid.Float64Range(-3, 7), func(e float64) float64 { return math.Pow(10, e) }),
		rapid.SampledFrom([]float64{0.1, 1, 3, 7, 500, 1000, 44100, 1e6, 1e7}),
	)
}

func arrivals() *rapid.Generator[workload.Arrival] {
	return rapid.SampledFrom([]workload.Arrival{workload.Constant, workload.Poisson, workload.Burst})
}

// plans are valid ones of at most some thousand messages.
func plans() *rapid.Generator[workload.Plan] {
	return rapid.Custom(func(t *rapid.T) workload.Plan {
		p := workload.Plan{
			Count:    rapid.Int64Range(0, 3000).Draw(t, "count"),
			Size:     rapid.IntRange(40, workload.MaxSize).Draw(t, "size"),
			Rate:     rates().Draw(t, "rate"),
			Saturate: rapid.Bool().Draw(t, "saturate"),
			Arrival:  arrivals().Draw(t, "arrival"),
			Burst:    rapid.IntRange(0, 50).Draw(t, "burst"),
			Seed:     rapid.Uint64().Draw(t, "seed"),
		}
		if rapid.Bool().Draw(t, "bounded by duration") {
			span := rapid.Float64Range(0, 2000).Draw(t, "messages in the duration") / p.Rate * 1e9
			p.Duration = max(1, time.Duration(span))
			if p.Saturate && p.Count == 0 {
				p.Count = 1 // or there would be 2^32
			}
		}
		return p
	})
}

// What holds of every schedule: numbers in sequence, offsets that never fall
// and stay inside the duration, the count as promised, and the same again from
// the same plan.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plans().Draw(t, "plan")
		all := run(p)
		if !slices.Equal(all, run(p)) {
			t.Fatal("the same plan gave another schedule")
		}
		full := p.WithDefaults()
		if full.Count > 0 && int64(len(all)) > full.Count {
			t.Fatalf("%d messages of %d", len(all), full.Count)
		}
		if want := p.Expected(); want >= 0 && want != int64(len(all)) {
			t.Fatalf("%d messages, expected %d", len(all), want)
		}
		var last time.Duration
		for i, m := range all {
			switch {
			case m.Number != uint64(i):
				t.Fatalf("message %d has number %d", i, m.Number)
			case m.Size != full.Size:
				t.Fatalf("size %d", m.Size)
			case m.Offset < last:
				t.Fatalf("message %d is due at %v, the one before at %v", i, m.Offset, last)
			case p.Duration > 0 && m.Offset >= p.Duration:
				t.Fatalf("message %d is due at %v of %v", i, m.Offset, p.Duration)
			case p.Saturate && m.Offset != 0:
				t.Fatalf("saturating, message %d is due at %v", i, m.Offset)
			}
			last = m.Offset
		}
	})
}

// A schedule that has ended stays so.
func TestEndIsFinal(t *testing.T) {
	for _, a := range []workload.Arrival{workload.Constant, workload.Poisson, workload.Burst} {
		s := workload.NewSchedule(workload.Plan{Duration: time.Second, Arrival: a})
		for _, ok := s.Next(); ok; _, ok = s.Next() {
		}
		for range 100 {
			if m, ok := s.Next(); ok || m != (workload.Message{}) {
				t.Fatalf("%s: %+v after the end", a, m)
			}
		}
	}
}

// No drift: message i is due within half a nanosecond of i/rate, reckoned
// exactly, up to the largest number there is.
func TestNoDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := workload.Plan{
			Count:   workload.MaxCount,
			Rate:    rapid.Float64Range(500, workload.MaxRate).Draw(t, "rate"),
			Arrival: rapid.SampledFrom([]workload.Arrival{workload.Constant, workload.Burst}).Draw(t, "arrival"),
			Burst:   rapid.IntRange(1, 100_000).Draw(t, "burst"),
		}
		i := rapid.Int64Range(0, workload.MaxCount-1).Draw(t, "i")
		s := workload.NewSchedule(p)
		s.SkipTo(i)
		m, ok := s.Next()
		if !ok || m.Number != uint64(i) {
			t.Fatalf("%+v, %v", m, ok)
		}
		if p.Arrival == workload.Burst {
			i -= i % int64(p.Burst)
		}
		exact := new(big.Rat).SetInt64(i * 1e9)
		exact.Quo(exact, new(big.Rat).SetFloat64(p.Rate))
		off := exact.Sub(exact, new(big.Rat).SetInt64(int64(m.Offset)))
		if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
			f, _ := off.Float64()
			t.Fatalf("message %d at %v/s is due at %d ns, %v ns off", i, p.Rate, m.Offset, f)
		}
	})
}

// A duration holds exactly the messages that are due before its end, however
// many: the last one expected lies inside, the next would not.
func TestDurationBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := workload.Plan{
			Rate:    rates().Draw(t, "rate"),
			Arrival: rapid.SampledFrom([]workload.Arrival{workload.Constant, workload.Burst}).Draw(t, "arrival"),
			Burst:   rapid.IntRange(1, 1000).Draw(t, "burst"),
		}
		most := min(float64(workload.MaxSpan), float64(workload.MaxCount-1000)/p.Rate*1e9)
		p.Duration = time.Duration(rapid.Int64Range(1, int64(most)).Draw(t, "duration"))
		n := p.Expected()
		if n < 1 {
			t.Fatalf("%d messages in %v, where the first is due at once", n, p.Duration)
		}
		s := workload.NewSchedule(p)
		s.SkipTo(n - 1)
		if m, ok := s.Next(); !ok || m.Offset >= p.Duration {
			t.Fatalf("the last of %d is due at %v of %v (%v)", n, m.Offset, p.Duration, ok)
		}
		if m, ok := s.Next(); ok {
			t.Fatalf("one more than %d, due at %v of %v", n, m.Offset, p.Duration)
		}
		// Without the duration the next one is due at its end or later.
		q := p
		q.Count, q.Duration = n+1, 0
		if q.WithDefaults().Validate() != nil {
			return // it would be due after a century
		}
		s = workload.NewSchedule(q)
		s.SkipTo(n)
		if m, ok := s.Next(); !ok || m.Offset < p.Duration {
			t.Fatalf("message %d, left out of %v, is due at %v", n, p.Duration, m.Offset)
		}
	})
}

func TestOffsets(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		plan workload.Plan
		want []time.Duration
	}{
		{"constant", workload.Plan{Count: 4, Rate: 500}, []time.Duration{0, 2 * ms, 4 * ms, 6 * ms}},
		{"thirds", workload.Plan{Count: 4, Rate: 3}, []time.Duration{0, 333_333_333, 666_666_667, time.Second}},
		{"slow", workload.Plan{Count: 3, Rate: 0.1}, []time.Duration{0, 10 * time.Second, 20 * time.Second}},
		{"burst", workload.Plan{Count: 5, Rate: 100, Arrival: workload.Burst, Burst: 2}, []time.Duration{0, 0, 20 * ms, 20 * ms, 40 * ms}},
		{"burst in a duration", workload.Plan{Duration: 21 * ms, Rate: 100, Arrival: workload.Burst, Burst: 2}, []time.Duration{0, 0, 20 * ms, 20 * ms}},
		{"the end is outside", workload.Plan{Duration: 4 * ms, Rate: 500}, []time.Duration{0, 2 * ms}},
		{"the end is just inside", workload.Plan{Duration: 4*ms + 1, Rate: 500}, []time.Duration{0, 2 * ms, 4 * ms}},
		{"count before duration", workload.Plan{Count: 1, Duration: time.Hour}, []time.Duration{0}},
		{"duration before count", workload.Plan{Count: 100, Duration: 3 * ms}, []time.Duration{0, 2 * ms}},
		{"saturate", workload.Plan{Count: 3, Saturate: true, Arrival: workload.Poisson}, []time.Duration{0, 0, 0}},
	} {
		var got []time.Duration
		for _, m := range run(c.plan) {
			got = append(got, m.Offset)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExpected(t *testing.T) {
	for _, c := range []struct {
		plan workload.Plan
		want int64
	}{
		{workload.Plan{}, 2000},
		{workload.Plan{Count: 7}, 7},
		{workload.Plan{Duration: 10 * time.Second}, 5000},
		{workload.Plan{Duration: 10 * time.Second, Arrival: workload.Burst}, 5000},
		{workload.Plan{Duration: time.Nanosecond, Arrival: workload.Burst}, 10},
		{workload.Plan{Duration: 1000 * time.Hour, Rate: workload.MaxRate}, workload.MaxCount},
		{workload.Plan{Count: 7, Arrival: workload.Poisson}, 7},
		{workload.Plan{Count: 7, Saturate: true}, 7},
		{workload.Plan{Duration: time.Second, Arrival: workload.Poisson}, -1},
		{workload.Plan{Duration: time.Second, Saturate: true}, -1},
		{workload.Plan{Count: 7, Duration: time.Second, Saturate: true}, -1},
	} {
		if got := c.plan.Expected(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.plan, got, c.want)
		}
	}
}

// Saturation that only a duration bounds does not end by itself.
func TestSaturateGoesOn(t *testing.T) {
	s := workload.NewSchedule(workload.Plan{Duration: 1, Saturate: true})
	s.SkipTo(workload.MaxCount - 1)
	if m, ok := s.Next(); !ok || m.Number != workload.MaxCount-1 {
		t.Errorf("%+v, %v", m, ok)
	}
	if _, ok := s.Next(); ok {
		t.Error("more than MaxCount")
	}
}

// The arrivals of a time T are Poisson distributed with mean and variance
// rate×T. The seeds are fixed, so the bounds hold always or never.
func TestPoissonRate(t *testing.T) {
	const rate, span = 1000, 100
	for seed := range uint64(10) {
		n := len(run(workload.Plan{Duration: span * time.Second, Rate: rate, Arrival: workload.Poisson, Seed: seed}))
		if d := math.Abs(float64(n) - rate*span); d > 4*math.Sqrt(rate*span) {
			t.Errorf("seed %d: %d arrivals, want %d ± 4 sd", seed, n, rate*span)
		}
	}
	// The other way round: the time that n gaps take has mean n/rate and
	// standard deviation √n/rate. At the highest rate rounding matters most.
	for _, rate := range []float64{0.5, 500, workload.MaxRate} {
		const n = 100_000
		all := run(workload.Plan{Count: n, Rate: rate, Arrival: workload.Poisson, Seed: 1})
		if sd := (all[n-1].Offset.Seconds()*rate - n) / math.Sqrt(n); math.Abs(sd) > 4 {
			t.Errorf("%v/s: the last of %d comes %.1f sd off", rate, n, sd)
		}
	}
}

// The gaps are exponential (Kolmogorov-Smirnov, 0.1 % critical value) and one
// does not tell of the next.
func TestPoissonGaps(t *testing.T) {
	const n, rate = 100_000, 1000
	var last time.Duration
	gaps := make([]float64, 0, n) // in units of the mean
	for _, m := range run(workload.Plan{Count: n, Rate: rate, Arrival: workload.Poisson, Seed: 42}) {
		gaps = append(gaps, (m.Offset-last).Seconds()*rate)
		last = m.Offset
	}
	var correlation float64
	for i := range n - 1 {
		correlation += (gaps[i] - 1) * (gaps[i+1] - 1)
	}
	if z := correlation / math.Sqrt(n); math.Abs(z) > 4 {
		t.Errorf("neighbouring gaps correlate: %.1f sd", z)
	}
	slices.Sort(gaps)
	var distance float64
	for i, gap := range gaps {
		f := -math.Expm1(-gap)
		distance = max(distance, f-float64(i)/n, float64(i+1)/n-f)
	}
	if d := distance * math.Sqrt(n); d > 1.95 {
		t.Errorf("gaps are not exponential: √n·D = %.2f", d)
	}
}

func TestSeedMatters(t *testing.T) {
	a := run(workload.Plan{Arrival: workload.Poisson, Seed: 1})
	b := run(workload.Plan{Arrival: workload.Poisson, Seed: 2})
	if a[0] == b[0] || a[len(a)-1] == b[len(b)-1] {
		t.Error("seeds 1 and 2 gave the same times")
	}
}

// A rate so low that nothing is due within MaxSpan stays in bounds.
func TestOverflow(t *testing.T) {
	for _, rate := range []float64{math.SmallestNonzeroFloat64, 1e-300, 1e-10} {
		for _, a := range []workload.Arrival{workload.Constant, workload.Poisson, workload.Burst} {
			for _, m := range run(workload.Plan{Duration: workload.MaxSpan, Rate: rate, Arrival: a, Burst: 2}) {
				if m.Offset < 0 || m.Offset >= workload.MaxSpan {
					t.Errorf("%s at %v/s: due at %v", a, rate, m.Offset)
				}
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for name, p := range cases {
		s := workload.NewSchedule(p)
		if n := testing.AllocsPerRun(1000, func() { s.Next() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

var cases = map[string]workload.Plan{
	"constant": {Count: workload.MaxCount},
	"poisson":  {Count: workload.MaxCount, Arrival: workload.Poisson},
	"burst":    {Count: workload.MaxCount, Arrival: workload.Burst},
	"saturate": {Count: workload.MaxCount, Saturate: true},
}

func BenchmarkNext(b *testing.B) {
	for name, p := range cases {
		b.Run(name, func(b *testing.B) {
			s := workload.NewSchedule(p)
			b.ReportAllocs()
			for b.Loop() {
				s.Next()
			}
		})
	}
}

func ExampleSchedule() {
	s := workload.NewSchedule(workload.Plan{Count: 4, Rate: 100, Arrival: workload.Burst, Burst: 2})
	for m, ok := s.Next(); ok; m, ok = s.Next() {
		fmt.Println(m.Number, m.Offset, m.Size)
	}
	// Output:
	// 0 0s 500
	// 1 0s 500
	// 2 20ms 500
	// 3 20ms 500
}
