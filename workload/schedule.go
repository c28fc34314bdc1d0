package workload

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// Message is one entry of a schedule.
type Message struct {
	Number uint64        // 0, 1, 2, …
	Offset time.Duration // when it is due, from the start; with Saturate always 0: as soon as may be
	Size   int           // bytes, header included
}

// Schedule gives the messages of a plan one by one. It belongs to the
// goroutine that calls Next.
type Schedule struct {
	plan Plan
	end  int64
	next int64

	pace pace

	// Of Poisson arrivals: the time of the last one, in whole nanoseconds and
	// the fraction that they leave over, so that nothing is lost in rounding
	// however long the run.
	rng      *rand.Rand
	at       time.Duration
	fraction float64
}

// NewSchedule starts the schedule of p, whose zero fields mean the defaults.
// It panics when p is not valid.
//
// A saturating schedule that only a duration bounds goes on to MaxCount: the
// sender looks at its clock and stops.
func NewSchedule(p Plan) *Schedule {
	p = p.WithDefaults()
	if err := p.Validate(); err != nil {
		panic("workload: " + err.Error())
	}
	s := &Schedule{plan: p, end: p.limit()}
	if !p.Saturate {
		s.pace = newPace(p.Rate)
		// The second word only sets this stream apart from others of the seed.
		s.rng = rand.New(rand.NewPCG(p.Seed, 0x6172726976616c73)) // "arrivals"
	}
	return s
}

// Next is the next message, in order of number; offsets never fall. ok is
// false when there are no more.
func (s *Schedule) Next() (m Message, ok bool) {
	if s.next >= s.end {
		return Message{}, false
	}
	m = Message{Number: uint64(s.next), Size: s.plan.Size}
	switch {
	case s.plan.Saturate:
	case s.plan.Arrival == Poisson:
		m.Offset = s.poisson()
		if s.plan.Duration > 0 && m.Offset >= s.plan.Duration {
			s.end = s.next
			return Message{}, false
		}
	default:
		m.Offset = s.pace.at(s.plan.regular(s.next))
	}
	s.next++
	return m, true
}

// poisson is the time of the next arrival. The first comes a gap after the
// start, as any other does: that is what makes the arrivals of a time T rate×T
// in the mean.
func (s *Schedule) poisson() time.Duration {
	s.fraction += s.rng.ExpFloat64() / s.plan.Rate * 1e9
	if s.fraction >= float64(MaxSpan-s.at) {
		s.at, s.fraction = MaxSpan, 0 // and stays there
		return s.at
	}
	whole, fraction := math.Modf(s.fraction)
	s.at += time.Duration(whole)
	s.fraction = fraction
	return s.at
}

// pace is a rate as an exact fraction, so that the time of message i comes
// from i alone: no sum of rounded gaps that drifts, and no float that grows
// too coarse for a nanosecond after some weeks.
//
// A float64 is mantissa × 2^exponent. Below 2^53 messages a second the
// exponent is negative, and i messages take i×10^9×2^-exponent / mantissa
// nanoseconds.
type pace struct {
	mantissa uint64
	shift    uint // -exponent
	rate     float64
}

func newPace(rate float64) pace {
	fraction, exponent := math.Frexp(rate)
	return pace{mantissa: uint64(fraction * (1 << 53)), shift: uint(53 - exponent), rate: rate}
}

// at is i/rate to the nearest nanosecond, at most MaxSpan.
func (p pace) at(i int64) time.Duration {
	if float64(i)/p.rate >= MaxSpan.Seconds() {
		return MaxSpan
	}
	// The quotient is now below 2^62 and the mantissa below 2^53, so the
	// numerator fits in 128 bits and the division cannot overflow. The
	// numerator before the shift, below 2^32 × 2^30, fits in 64.
	hi, lo := shiftLeft(uint64(i)*1e9, p.shift)
	lo, carry := bits.Add64(lo, p.mantissa/2, 0) // to the nearest
	ns, _ := bits.Div64(hi+carry, lo, p.mantissa)
	return time.Duration(ns)
}

// shiftLeft is x << n in 128 bits.
func shiftLeft(x uint64, n uint) (hi, lo uint64) {
	if n >= 64 {
		return x << (n - 64), 0
	}
	return x >> (64 - n), x << n
}
