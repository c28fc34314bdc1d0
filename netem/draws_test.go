package netem

import (
	"math"
	"testing"
)

// chiSquare fails if counts are too uneven, or too even, to be independent
// uniform draws: 4 standard deviations either way.
func chiSquare(t *testing.T, what string, counts []int) {
	t.Helper()
	total := 0
	for _, c := range counts {
		total += c
	}
	want := float64(total) / float64(len(counts))
	x := 0.0
	for _, c := range counts {
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	freedom := float64(len(counts) - 1)
	if z := (x - freedom) / math.Sqrt(2*freedom); math.Abs(z) > 4 {
		t.Errorf("%s: χ² = %.1f at %.0f degrees of freedom, %.1f standard deviations off", what, x, freedom, z)
	}
}

var purposes = map[string]purpose{
	"duplicate": drawDuplicate, "loss": drawLoss, "corrupt": drawCorrupt,
	"damage": drawDamage, "reorder": drawReorder, "jitter": drawJitter,
	"chain": drawChain, "slot": drawSlot,
}

// TestDrawsAreUniform, at both ends of the word, for seeds that people type.
func TestDrawsAreUniform(t *testing.T) {
	for _, seed := range []uint64{0, 1, 2, 42, math.MaxUint64} {
		for name, p := range purposes {
			s := newStream(seed, p)
			high, low, even := make([]int, 256), make([]int, 256), make([]int, 256)
			for n := range uint64(200_000) {
				b := s.bits(n)
				high[b>>56]++
				low[s.uint32(n)&255]++
				even[s.bits(2*n)>>56]++ // the originals alone: every other place
			}
			chiSquare(t, name+": high bits", high)
			chiSquare(t, name+": low bits of the 32", low)
			chiSquare(t, name+": even places", even)
		}
	}
}

// TestDrawsAreIndependent crosses every stream with every other, with its own
// next place, with its clone's, and with the streams of neighbouring seeds and
// of the other direction.
func TestDrawsAreIndependent(t *testing.T) {
	cross := func(what string, a, b stream, shiftB uint64) {
		t.Helper()
		counts := make([]int, 16*16)
		for n := range uint64(100_000) {
			counts[a.uint32(2*n)>>28<<4|b.uint32(2*n+shiftB)>>28]++
		}
		chiSquare(t, what, counts)
	}
	const seed = 7
	up, down := DirectionSeed(seed, true), DirectionSeed(seed, false)
	for name, p := range purposes {
		a := newStream(up, p)
		cross(name+" and the next packet's", a, a, 2)
		cross(name+" and its clone's", a, a, 1)
		cross(name+" and that of the next seed", a, newStream(DirectionSeed(seed+1, true), p), 0)
		cross(name+" up and down", a, newStream(down, p), 0)
		for other, q := range purposes {
			if p < q {
				cross(name+" and "+other, a, newStream(up, q), 0)
			}
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(1000) {
		for _, up := range []bool{true, false} {
			for name, p := range purposes {
				key := uint64(newStream(DirectionSeed(seed, up), p))
				if was, ok := seen[key]; ok {
					t.Fatalf("seed %d, up %v, %s has the key of %s", seed, up, name, was)
				}
				seen[key] = name
			}
		}
	}
}

// TestChanceIsNetems: 0 never hits, 2³²−1 always does, p does at draws up to p.
func TestChanceIsNetems(t *testing.T) {
	s := newStream(1, drawLoss)
	for n := range uint64(10_000) {
		draw := s.uint32(n)
		hit := func(p Probability) bool { return (&chance{p, correlated{draws: s}}).hit(n) }
		if hit(0) || !hit(Always) || draw > 0 && !hit(Probability(draw)) || draw > 1 && hit(Probability(draw-1)) {
			t.Fatalf("draw %d at place %d is compared wrongly", draw, n)
		}
	}
}

// TestOvertakingIsNetems: the kernel delays a packet where "reorder < draw".
func TestOvertakingIsNetems(t *testing.T) {
	s := newStream(1, drawReorder)
	for n := range uint64(10_000) {
		draw := s.uint32(n)
		c := correlated{draws: s}
		at, below := overtaking{gap: 1, probability: draw, draws: c}, overtaking{gap: 1, probability: draw - 1, draws: c}
		if !at.next(n) || draw > 0 && below.next(n) {
			t.Fatalf("draw %d at place %d is compared wrongly", draw, n)
		}
	}
}
