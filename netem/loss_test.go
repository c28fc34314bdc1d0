package netem

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// chiSquareLaw fails if counts do not follow a law: 4 standard deviations
// either way. Classes that expect few are to be joined by the caller.
func chiSquareLaw(t *testing.T, what string, counts []int, law []float64) {
	t.Helper()
	total := 0
	for _, c := range counts {
		total += c
	}
	x := 0.0
	for k, c := range counts {
		want := law[k] * float64(total)
		if want < 5 {
			t.Fatalf("%s: class %d expects %.1f of %d", what, k, want, total)
		}
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	freedom := float64(len(counts) - 1)
	z := (x - freedom) / math.Sqrt(2*freedom)
	t.Logf("%-42s χ² = %.1f at %.0f degrees of freedom (%d in all), %+.1f standard deviations", what, x, freedom, total, z)
	if math.Abs(z) > 4 {
		t.Errorf("%s: χ² = %.1f at %.0f degrees of freedom: %v", what, x, freedom, counts)
	}
}

// geometric returns the counts of lengths 1 to classes−1 and of all from
// classes on, and the law r(1−r)^(k−1).
func geometric(r float64, classes int) []float64 {
	law, left := make([]float64, classes), 1.0
	for k := range law[:classes-1] {
		law[k] = left * r
		left *= 1 - r
	}
	law[classes-1] = left
	return law
}

// runs returns how many runs of lost packets have each length, the last class
// being all from there on, and their mean.
func runs(t *testing.T, spec string, classes int) (counts []int, mean float64) {
	t.Helper()
	counts = make([]int, classes)
	run, all, lost := 0, 0, 0
	send(t, spec, time.Millisecond, func(_ int, _ int64, v *Verdict) {
		if v.Lost == 1 {
			run++
			return
		}
		if run > 0 {
			counts[min(run, classes)-1]++
			all, lost = all+1, lost+run
		}
		run = 0
	})
	return counts, float64(lost) / float64(all)
}

// TestLawsOfLossModels: the share that each model loses against its closed form.
// "Seen" is what a real sch_netem did, in reference.md, over 40,000 to 150,000
// packets.
func TestLawsOfLossModels(t *testing.T) {
	drawsMuch(t)
	for _, c := range []struct {
		spec      string
		law, seen float64
	}{
		{"loss gemodel 2% 25%", 0.02 / 0.27, 0.0743},
		{"loss gemodel 2% 25% 70% 1%", (0.02*0.7 + 0.25*0.01) / 0.27, 0.0608},
		{"loss gemodel 10% 30% 60% 5%", (0.1*0.6 + 0.3*0.05) / 0.4, 0.187},
		{"loss gemodel 1% 10%", 0.01 / 0.11, 0.0909},
		{"loss gemodel 3%", 0.03, 0.03}, // r = 1−p: each packet on its own
		{"loss state 3% 40% 10% 60% 0.2%", 0.0707, 0.0720},
		{"loss state 3%", 0.03, 0.03},
		{"loss state 2% 30%", 0.02 / 0.32, 0.0625},
		{"loss state 0% 0% 0% 0% 5%", 0.05 / 1.05, 0.0476},
	} {
		var lost tally
		send(t, c.spec, time.Millisecond, func(n int, _ int64, v *Verdict) { lost.count(n, v.Lost == 1) })
		rate := parse(t, c.spec).Loss.Rate()
		if math.Abs(rate-c.law) > 0.0001 || math.Abs(rate-c.seen) > 0.05*c.seen {
			t.Errorf("%s: Rate is %.5f, law %.5f, seen %.4f", c.spec, rate, c.law, c.seen)
		}
		lost.check(t, c.spec, rate)
	}
}

// TestLawOfFourStates checks the closed form of reference.md.
func TestLawOfFourStates(t *testing.T) {
	const p13, p31, p32, p23, p14 = 0.03, 0.4, 0.1, 0.6, 0.002
	p1 := 1 / (1 + p13/p31*(1+p32/p23) + p14)
	got := FourState{Percent(3), Percent(40), Percent(10), Percent(60), Percent(0.2)}.Rate()
	if want := p1 * (p13/p31 + p14); math.Abs(got-want) > 1e-8 {
		t.Errorf("%v, want %v", got, want)
	}
	for _, c := range []struct {
		model FourState
		want  float64
	}{
		{FourState{P13: Percent(1), P32: 0, P23: Always}, 1},                                 // lost for ever
		{FourState{P13: Percent(1), P31: Percent(5), P32: Percent(1)}, 0},                    // in a burst for ever, received
		{FourState{P13: Percent(1), P32: Percent(20), P23: Percent(60)}, 0.75},               // in a burst for ever
		{FourState{P13: Percent(60), P14: Percent(60), P31: Percent(50), P23: Always}, .375}, // the sum wraps: no way into a burst
	} {
		if got := c.model.Rate(); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v: %v, want %v", c.model, got, c.want)
		}
		d := NewDirection(Impairment{Loss: c.model}, lawSeed)
		var v Verdict
		lost := 0
		for n := range 200_000 {
			d.Admit(int64(n), 1000, 0, &v)
			if n >= 100_000 {
				lost += v.Lost
			}
		}
		if got := float64(lost) / 100_000; math.Abs(got-c.want) > 0.01 {
			t.Errorf("%v loses %v, want %v", c.model, got, c.want)
		}
	}
}

// TestLawsOfBursts: how long runs of losses are.
func TestLawsOfBursts(t *testing.T) {
	drawsMuch(t)
	for _, r := range []float64{5, 25, 60} {
		spec := fmt.Sprintf("loss gemodel 2%% %g%%", r)
		classes := int(40 / r * 4)
		counts, mean := runs(t, spec, max(3, classes))
		chiSquareLaw(t, spec+": bursts", counts, geometric(r/100, len(counts)))
		t.Logf("%s: mean burst %.3f, law %.3f", spec, mean, 100/r)
		if math.Abs(mean-100/r) > 4*100/r/100 { // 1 % is above a standard deviation of 5,000 bursts and more
			t.Errorf("%s: mean burst %.3f, want %.3f", spec, mean, 100/r)
		}
	}
	// A run of lost packets in the 4-state model begins in state 3, from 1 or
	// from 2, and lasts until it leaves there, or it is one in state 4.
	const p13, p31, p32, p14 = 0.03, 0.4, 0.1, 0.002
	counts, _ := runs(t, "loss state 3% 40% 10% 60% 0.2%", 8)
	alone := p14 / (p13 + p14 + p13/p31*p32)
	law := geometric(p31+p32, len(counts))
	for k := range law {
		law[k] *= 1 - alone
	}
	law[0] += alone
	chiSquareLaw(t, "loss state: bursts", counts, law)
	// The same in a tcp-like world: random losses.
	counts, _ = runs(t, "loss 20%", 6)
	chiSquareLaw(t, "loss 20%: bursts", counts, geometric(0.8, len(counts)))
}

// TestLawsOfCorrelatedLoss: correlated loss collapses, as it does in netem.
func TestLawsOfCorrelatedLoss(t *testing.T) {
	drawsMuch(t)
	for _, c := range []struct {
		spec        string
		figure, tol float64 // of reference.md, with half of its last digit
	}{
		{"loss 5% 25%", 0.0019, 0.00005},
		{"loss 10% 25%", 0.0175, 0.00005},
		{"loss 10% 50%", 0.0011, 0.00005},
		{"loss 20% 25%", 0.1015, 0.002}, // seen over 150,000 packets
	} {
		const packets, batches = 4_000_000, 400
		d := NewDirection(parse(t, c.spec), lawSeed)
		var v Verdict
		var y [batches]float64
		for n := range packets {
			d.Admit(int64(n), 1000, 0, &v)
			y[n*batches/packets] += float64(v.Lost) / (packets / batches)
		}
		mean, square := 0.0, 0.0
		for _, b := range y {
			mean, square = mean+b/batches, square+b*b/batches
		}
		sd := math.Sqrt((square - mean*mean) / (batches - 1))
		law := parse(t, c.spec).Loss.Rate()
		t.Logf("%-14s %.6f ± %.6f, law %.6f, reference %v", c.spec, mean, sd, law, c.figure)
		if math.Abs(mean-law) > 4*sd || sd > 0.05*law || math.Abs(law-c.figure) > c.tol {
			t.Errorf("%s: %.6f ± %.6f, law %.6f, reference %v", c.spec, mean, sd, law, c.figure)
		}
	}
	lost := 0
	send(t, "loss 1% 25%", time.Millisecond, func(_ int, _ int64, v *Verdict) { lost += v.Lost })
	law := parse(t, "loss 1% 25%").Loss.Rate()
	t.Logf("loss 1%% 25%%: %d of a million, law %.2g", lost, law)
	if lost > 10 || math.Abs(law-2e-6) > 0.5e-6 { // P(Poisson(2) > 10) < 1e-5
		t.Errorf("loss 1%% 25%% lost %d of a million, law %.2g", lost, law)
	}
	// A correlation of 1 repeats the first draw for ever.
	for seed := range uint64(50) {
		d := NewDirection(parse(t, "loss 50% 100%"), seed)
		var v Verdict
		d.Admit(0, 1000, 0, &v)
		first := v.Lost
		for n := range int64(1000) {
			if d.Admit(n, 1000, 0, &v); v.Lost != first {
				t.Fatalf("seed %d: packet %d differs from the first", seed, n)
			}
		}
	}
}

// TestCorrelationIsNetems follows get_crandom step by step, and its variance:
// (1−ρ)/(1+ρ) of that of uniform draws.
func TestCorrelationIsNetems(t *testing.T) {
	for _, percent := range []float64{0.001, 25, 50, 90, 100} {
		rho := Percent(percent)
		c := newCorrelated(3, drawLoss, rho)
		s, last := newStream(3, drawLoss), uint64(newStream(3, drawLoss).uint32(math.MaxUint64))
		sum, square, product, before := 0.0, 0.0, 0.0, 0.0
		const draws = 200_000
		for n := range uint64(draws) {
			r := uint64(rho) + 1
			want := (uint64(s.uint32(2*n))*(1<<32-r) + last*r) >> 32
			clone := (uint64(s.uint32(2*n+1))*(1<<32-r) + want*r) >> 32
			if got := c.uint32(2 * n); uint64(got) != want {
				t.Fatalf("ρ %g %%, packet %d: %d, want %d", percent, n, got, want)
			}
			if n%3 == 0 { // clones do not disturb it
				if got := c.uint32(2*n + 1); uint64(got) != clone {
					t.Fatalf("ρ %g %%, clone %d: %d, want %d", percent, n, got, clone)
				}
			}
			last = want
			x := float64(want)/(1<<32) - 0.5
			sum, square, product, before = sum+x, square+x*x, product+x*before, x
		}
		if percent == 100 {
			continue
		}
		r := percent / 100
		if got, want := square/draws, (1-r)/(1+r)/12; math.Abs(got/want-1) > 0.05 {
			t.Errorf("ρ %g %%: variance %.5f, want %.5f", percent, got, want)
		}
		if got := product / square; math.Abs(got-r) > 0.02 {
			t.Errorf("ρ %g %%: lag-1 correlation %.3f", percent, got)
		}
	}
}

// TestOtherCorrelationsCollapse: duplicate, corrupt and reorder compare with the
// same draws. tc forgets the correlation of duplicates where there is no other.
func TestOtherCorrelationsCollapse(t *testing.T) {
	drawsMuch(t)
	var alone, beside, corrupt, ahead tally
	send(t, "duplicate 10% 25%", time.Millisecond, func(n int, _ int64, v *Verdict) { alone.count(n, v.Duplicated) })
	alone.check(t, "duplicate 10 % 25 % alone", 0.10)
	send(t, "duplicate 20% 25% corrupt 30% 25%", time.Millisecond, func(n int, _ int64, v *Verdict) {
		beside.count(n, v.Duplicated)
		corrupt.count(n, v.Copies[v.N-1].Corrupt)
	})
	beside.check(t, "duplicate 20 % 25 %", correlatedRate(Percent(20), Percent(25)))
	corrupt.check(t, "corrupt 30 % 25 %", correlatedRate(Percent(30), Percent(25)))
	send(t, "delay 10ms reorder 20% 25%", time.Millisecond, func(n int, _ int64, v *Verdict) { ahead.count(n, v.Copies[0].Ahead) })
	ahead.check(t, "reorder 20 % 25 %", correlatedRate(Percent(20), Percent(25)))
}

// TestCorrelatedDelayIsVoid: the same mean and variance, and no correlation from
// one packet to the next, whether uniform or by a table.
func TestCorrelatedDelayIsVoid(t *testing.T) {
	const jitter = 4e6
	for _, c := range []struct {
		spec     string
		variance float64
	}{
		{"delay 20ms 4ms 50%", jitter * jitter / 3},
		{"delay 20ms 4ms 50% distribution normal", 1.0001 * jitter * jitter},
	} {
		var square, product tally
		last := 0.0
		send(t, c.spec, 100*time.Millisecond, func(n int, now int64, v *Verdict) {
			x := float64(v.Copies[0].Due-now) - 20e6
			square.add(n, x*x)
			product.add(n, x*last)
			last = x
		})
		square.check(t, c.spec+": variance", c.variance)
		mean, sd := product.mean()
		t.Logf("%s: lag-1 correlation %.5f ± %.5f", c.spec, mean/c.variance, sd/c.variance)
		if math.Abs(mean) > 4*sd {
			t.Errorf("%s: lag-1 correlation %.5f", c.spec, mean/c.variance)
		}
	}
}

// TestLossModelsAreTheKernels replays the two chains from their draws, in the
// words of loss_gilb_ell and loss_4state: strict comparisons, the loss in the
// state before the step, sums of 32 bits that wrap.
func TestLossModelsAreTheKernels(t *testing.T) {
	for _, m := range []GilbertElliott{
		{Percent(2), Percent(25), Percent(70), Percent(1)}, {Always, Always, Always, 0}, {Percent(50), Percent(50), 0, Always},
	} {
		p := m.start(9)
		bad := false
		for n := range uint64(50_000) {
			move, draw := newStream(9, drawChain).uint32(2*n), newStream(9, drawLoss).uint32(2*n)
			var want bool
			if bad {
				h := math.MaxUint32 - uint32(m.BadLoss) // what tc gives the kernel
				want = draw > h
				bad = !(move < uint32(m.R))
			} else {
				want = draw < uint32(m.GoodLoss)
				bad = move < uint32(m.P)
			}
			if p.lost(2*n) != want {
				t.Fatalf("%v, packet %d: want %v", m, n, want)
			}
			p.lost(2*n + 1) // a clone, which leaves the chain alone
		}
	}
	for _, m := range []FourState{
		{Percent(3), Percent(40), Percent(10), Percent(60), Percent(0.2)}, {Percent(90), Percent(70), Percent(70), Percent(1), Percent(50)},
	} {
		p := m.start(9)
		state := 1
		for n := range uint64(50_000) {
			rnd := newStream(9, drawLoss).uint32(2 * n)
			want := false
			switch state {
			case 1:
				if rnd < uint32(m.P14) {
					state, want = 4, true
				} else if rnd < uint32(m.P13)+uint32(m.P14) {
					state, want = 3, true
				}
			case 2:
				if rnd < uint32(m.P23) {
					state, want = 3, true
				}
			case 3:
				if rnd < uint32(m.P32) {
					state = 2
				} else if rnd < uint32(m.P31)+uint32(m.P32) {
					state = 1
				} else {
					want = true
				}
			case 4:
				state = 1
			}
			if p.lost(2*n) != want {
				t.Fatalf("%v, packet %d: want %v", m, n, want)
			}
			p.lost(2*n + 1)
		}
	}
}

// TestDuplicatesDoNotMoveBursts: a clone meets the weather and does not change it.
func TestDuplicatesDoNotMoveBursts(t *testing.T) {
	for _, loss := range []string{"loss gemodel 5% 20%", "loss state 3% 40% 10% 60% 1%", "loss 30% 20%", "loss list 3-9,77,500-600"} {
		var alone [20_000]bool
		a, b := NewDirection(parse(t, loss), 5), NewDirection(parse(t, loss+" duplicate 30% corrupt 10% delay 5ms 2ms 30% reorder 3%"), 5)
		var v Verdict
		for n := range alone {
			a.Admit(int64(n)*1e6, 1000, 0, &v)
			lost := v.Lost == 1
			b.Admit(int64(n)*1e6, 1000, 0, &v)
			if v.N == 0 && !lost || lost && v.Duplicated {
				t.Fatalf("%s: duplicates moved the losses at packet %d: %+v", loss, n, v)
			}
		}
	}
	// And a clone in a burst is lost with its original as often as the next packet is.
	d := NewDirection(Impairment{Loss: GilbertElliott{Percent(2), Percent(25), Always, 0}, Duplicate: Always}, lawSeed)
	var v Verdict
	clones, lost := 0, 0
	for n := range int64(lawPackets) {
		if d.Admit(n, 1000, 0, &v); v.Duplicated {
			clones++
			lost += v.Lost
		}
	}
	// The original was received, so the state was good; the step to bad is the
	// clone's only chance.
	if got := float64(lost) / float64(clones); math.Abs(got-0.02) > 4*math.Sqrt(0.02/lawPackets) {
		t.Errorf("%.5f of the clones are lost, want 0.02", got)
	}
}

func TestLossList(t *testing.T) {
	d := NewDirection(parse(t, "loss list 0,3,10-12,999 duplicate 0%"), 1)
	var lost []int
	var v Verdict
	for n := range 2000 {
		if d.Admit(int64(n), 1000, 0, &v); v.Lost == 1 {
			lost = append(lost, n)
		}
	}
	if fmt.Sprint(lost) != "[0 3 10 11 12 999]" {
		t.Errorf("lost %v", lost)
	}
	// Clones are not of the list, and a packet of it that is duplicated passes.
	d = NewDirection(parse(t, "loss list 1 duplicate 100%"), 1)
	for n := range 4 {
		d.Admit(int64(n), 1000, 0, &v)
		if want := 2; n == 1 {
			want = 1
			if v.N != want || v.Duplicated {
				t.Errorf("packet 1: %+v", v)
			}
		} else if v.N != want || v.Lost != 0 {
			t.Errorf("packet %d: %+v", n, v)
		}
	}
}

// TestECN: what would be lost is marked if it can be, and so is a clone of it.
func TestECN(t *testing.T) {
	for _, c := range []struct {
		spec    string
		capable bool
		want    string
	}{
		{"loss 100% ecn", true, "1 lost 0 [true]"},
		{"loss 100% ecn", false, "0 lost 1 []"},
		{"loss 100%", true, "0 lost 1 []"},
		{"loss 100% ecn duplicate 100%", true, "2 lost 0 [true true]"},
		{"loss 100% ecn duplicate 100%", false, "1 lost 0 [false]"},
		{"loss list 1 ecn", true, "1 lost 0 [false]"},
	} {
		var v Verdict
		NewDirection(parse(t, c.spec), 1).Decide(0, Packet{1000, c.capable}, 0, &v)
		marks := []bool{}
		for _, copied := range v.Copies[:v.N] {
			marks = append(marks, copied.Mark)
		}
		if got := fmt.Sprintf("%d lost %d %v", v.N, v.Lost, marks); got != c.want {
			t.Errorf("%s, capable %v: %s, want %s", c.spec, c.capable, got, c.want)
		}
	}
	// The same packets that are lost without it.
	a, b := NewDirection(parse(t, "loss gemodel 5% 30%"), 1), NewDirection(parse(t, "loss gemodel 5% 30% ecn"), 1)
	var va, vb Verdict
	for n := range int64(10_000) {
		a.Admit(n, 1000, 0, &va)
		b.Decide(n, Packet{1000, true}, 0, &vb)
		if (va.Lost == 1) != vb.Copies[0].Mark || vb.N != 1 {
			t.Fatalf("packet %d: %+v and %+v", n, va, vb)
		}
	}
}
