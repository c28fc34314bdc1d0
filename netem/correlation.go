package netem

import "math"

// A correlated is the source of 32-bit draws for one purpose, each of which may
// depend on the one before: get_crandom of sch_netem.c, which with a
// correlation ρ of 0 to 2³² makes of a uniform draw U
//
//	x = (U·(2³²−ρ) + last·ρ) >> 32
//
// A mean of what is uniform is not uniform. The draws crowd in the middle as ρ
// grows (their variance falls by (1−ρ)/(1+ρ)), and a probability that is
// compared with them is not met: see [CorrelatedLoss]. Its zero ρ is
// independent draws.
type correlated struct {
	draws stream
	rho   uint64 // 0 for independent, else 2 to 2³²
	last  uint64 // the last draw of a packet, below 2³²
}

// beforeFirst is the place of the draw that stands for the one before the
// first: a place that no packet has.
const beforeFirst = math.MaxUint64

func newCorrelated(seed uint64, p purpose, rho Probability) correlated {
	c := correlated{draws: newStream(seed, p)}
	if rho != 0 {
		c.rho = uint64(rho) + 1
		c.last = uint64(c.draws.uint32(beforeFirst))
	}
	return c
}

// uint32 returns the draw at place n. It is called for places in rising order.
//
// The draw of a clone, at an odd place, depends on the last one like any other
// and is not remembered, where the kernel does remember it. So the draws of the
// packets are the same whether or not there are clones between them.
func (c *correlated) uint32(n uint64) uint32 {
	u := c.draws.uint32(n)
	if c.rho == 0 {
		return u
	}
	x := (uint64(u)*(1<<32-c.rho) + c.last*c.rho) >> 32
	if n%2 == 0 {
		c.last = x
	}
	return uint32(x)
}

// follow takes over the memory of the generator that this one replaces, if
// both have one.
func (c *correlated) follow(old *correlated) {
	if c.rho != 0 && old.rho != 0 && c.draws == old.draws {
		c.last = old.last
	}
}

// A chance is a yes-or-no draw.
type chance struct {
	p     Probability
	draws correlated
}

// hit compares as netem does ("q->loss && q->loss >= get_crandom()"): a
// probability of 0 never hits and one of 2³²−1 always does.
func (c *chance) hit(n uint64) bool { return c.p != 0 && c.draws.uint32(n) <= uint32(c.p) }

// correlatedRate returns the share of draws with this correlation that a
// probability hits in the long run: P(X ≤ p) for the stationary law of
//
//	X = (1−ρ)U + ρX′,  U uniform, X′ distributed like X.
//
// Its distribution function F is the fixed point of
// F(t) = ρ/(1−ρ)·∫F(s)ds over s from (t−(1−ρ))/ρ to t/ρ, here on a grid.
func correlatedRate(p, correlation Probability) float64 {
	rho, t := correlation.Float64(), p.Float64()
	switch {
	case p == 0 || p == Always || rho == 0:
		return t
	case correlation == Always:
		return t // of all runs: each loses everything or nothing
	}
	const steps = 1 << 14
	f, sums := make([]float64, steps+1), make([]float64, steps+1)
	sd := math.Sqrt((1 - rho) / (1 + rho) / 12)
	for k := range f { // begins with the normal law of the right variance
		f[k] = 0.5 * math.Erfc((0.5-float64(k)/steps)/sd/math.Sqrt2)
	}
	integral := func(s float64) float64 { // of F from 0 to s, F being 0 below 0 and 1 above 1
		switch {
		case s <= 0:
			return 0
		case s >= 1:
			return sums[steps] + s - 1
		}
		k := int(s * steps)
		r := s*steps - float64(k)
		at := f[k] + r*(f[min(k+1, steps)]-f[k])
		return sums[k] + r/steps*(f[k]+at)/2
	}
	for range 100 {
		for k := 1; k <= steps; k++ {
			sums[k] = sums[k-1] + (f[k-1]+f[k])/2/steps
		}
		next := make([]float64, steps+1)
		for k := range next {
			x := float64(k) / steps
			next[k] = rho / (1 - rho) * (integral(x/rho) - integral((x-(1-rho))/rho))
		}
		next[0], next[steps] = 0, 1
		f = next
	}
	k := min(int(t*steps), steps-1)
	return f[k] + (t*steps-float64(k))*(f[k+1]-f[k])
}
