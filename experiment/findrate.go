package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"netcmp/result"
	"netcmp/workload"
)

// RateSearch finds the highest rate that is delivered whole, as RFC 2544 §26.1 has
// it: "the fastest rate at which the count of test frames transmitted by the DUT is
// equal to the number of test frames sent to it". The first trial saturates: what it
// delivers is near what a rate can be, and from there the search doubles or halves
// until it has one that holds and one that does not, and then takes the middle of
// the two until they are close. A single trial may have been lucky: the rate that was
// found has to hold some more times, and if it does not the search goes on below it.
type RateSearch struct {
	LossLimit float64 // share of the messages that may be lost
	// Zero values of these mean the defaults.
	Duration time.Duration // of a trial
	Confirm  int           // further trials that the rate has to hold
	Trials   int           // at most so many
	// Trial makes one, the n-th, at a rate; 0 is to saturate.
	Trial func(ctx context.Context, n int, rate float64) (result.RateTrial, error)
	// Progress is told of each trial when it is done; it may be nil.
	Progress func(n int, t result.RateTrial)
}

// Defaults of a search.
const (
	DefaultTrial   = 2 * time.Second
	defaultConfirm = 3
	defaultTrials  = 60
	// RateResolution is how close the search comes to the first rate that does not
	// hold, as a share of it.
	RateResolution = 0.01
	// trialMessages are the fewest that say anything.
	trialMessages = 10
)

// ErrNoRate means that not even a few messages in a trial come through whole.
var ErrNoRate = errors.New("no rate is delivered whole")

// Find searches. What was found until then comes with an error, too.
func (s RateSearch) Find(ctx context.Context) (found result.RateSearch, err error) {
	if s.Duration == 0 {
		s.Duration = DefaultTrial
	}
	if s.Confirm == 0 {
		s.Confirm = defaultConfirm
	}
	if s.Trials == 0 {
		s.Trials = defaultTrials
	}
	found = result.RateSearch{LossLimit: s.LossLimit, Resolution: RateResolution, Trials: []result.RateTrial{}}
	b := bracket{lowest: trialMessages / s.Duration.Seconds(), high: math.Inf(1)}
	for n := range s.Trials {
		rate := 0.
		if n > 0 {
			if rate = b.next(); rate == 0 {
				return found, fmt.Errorf("%w: %.3g messages a second are not (%s)", ErrNoRate, b.high, found.Limit)
			}
		}
		t, err := s.Trial(ctx, n, rate)
		if err != nil {
			return found, err
		}
		if s.Progress != nil {
			s.Progress(n, t)
		}
		found.Trials = append(found.Trials, t)
		switch {
		case n == 0:
			found.Saturated = t
			if t.Delivers != nil {
				b.guess = *t.Delivers
			}
			continue
		case t.Fault == "":
			b.holds(rate)
		default:
			b.fails(rate)
			found.Limit = t.Fault
		}
		found.RatePerS, found.Confirmations = nil, max(b.held-1, 0)
		if b.low > 0 {
			found.RatePerS = new(b.low)
			found.Resolution = max(b.step, RateResolution)
		}
		if b.closed() && b.held > s.Confirm {
			return found, nil
		}
	}
	return found, fmt.Errorf("%d trials do not agree on a rate: something else uses the machine or the path", s.Trials)
}

// bracket is a rate that holds and one that does not, 0 and infinite while there is
// none.
type bracket struct {
	low, high float64
	held      int     // how often low did
	lowest    float64 // nothing below it is tried
	guess     float64 // where to begin
	step      float64 // by which a rate that did not hold again was lowered; 0 before
}

func (b *bracket) closed() bool {
	return b.low > 0 && (b.step > 0 || b.high <= b.low*(1+RateResolution) || b.low >= workload.MaxRate)
}

// next is the rate to try; 0 where none is left.
func (b *bracket) next() float64 {
	rate := b.guess
	switch {
	case b.closed():
		rate = b.low
	case b.low > 0 && math.IsInf(b.high, 1):
		rate = 2 * b.low
	case b.low > 0:
		rate = math.Sqrt(b.low * b.high)
	case b.high <= b.lowest:
		return 0
	case b.step > 0:
		rate = b.high * (1 - b.step)
	case !math.IsInf(b.high, 1):
		rate = b.high / 2
	}
	return min(max(rate, b.lowest), workload.MaxRate)
}

func (b *bracket) holds(rate float64) {
	if rate != b.low {
		b.low, b.held = rate, 0
	}
	b.held++
}

// fails lowers the bracket. A rate that held before and does not now was luck: from
// there it goes down in steps that grow, to a rate that holds as often as it has to.
func (b *bracket) fails(rate float64) {
	if b.step > 0 || rate == b.low {
		b.step = min(max(2*b.step, RateResolution), 0.5)
		b.low, b.held = 0, 0
	}
	b.high = rate
}

// lagShare is the share of a trial's time that its last message may be late beyond
// the quickest one, and lagLeast what any may be: a machine's own hiccup. A delay that
// grows steadily shows sooner than that: growthShare and growthLeast are the same for
// what it grew by, which a hiccup does not move.
const (
	lagShare    = 0.02
	lagLeast    = 20 * time.Millisecond
	growthShare = 0.005
	growthLeast = 3 * time.Millisecond
)

// trialIntervals are what a trial is cut into to see whether its delay grows.
const trialIntervals = 20

// FindRate searches with experiments like c. Each trial has a seed of its own, that
// follows from c's.
func FindRate(ctx context.Context, c Config, s RateSearch) (*result.RateSearch, error) {
	c.Spec.Plan.Count, c.Spec.Plan.Duration = 0, s.Duration
	if c.Spec.Plan.Duration == 0 {
		c.Spec.Plan.Duration = DefaultTrial
	}
	s.Duration = c.Spec.Plan.Duration
	c.Spec.Interval = s.Duration / trialIntervals
	var last *result.Document
	s.Trial = func(ctx context.Context, n int, rate float64) (result.RateTrial, error) {
		x := c
		x.Seed = c.Seed + uint64(n)
		x.Spec.Plan.Seed = x.Seed
		x.Spec.Plan.Rate, x.Spec.Plan.Saturate = rate, rate == 0
		if rate == 0 {
			x.Spec.Plan.Arrival, x.Spec.Plan.Burst = "", 0
		}
		d, err := Run(ctx, x)
		if err == nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return result.RateTrial{}, err
		}
		last = d
		t := judge(d, rate, s)
		t.LateNS = d.LateNS()
		return t, nil
	}
	found, err := s.Find(ctx)
	if last == nil {
		return nil, err
	}
	found.Schema, found.Tool, found.Seed = result.RateSchema, c.Tool, result.Uint64(c.Seed)
	found.Started, found.Proto, found.Engine, found.Environment = last.Started, last.Proto, last.Engine, last.Environment
	found.Plan = last.Plan
	found.Plan.RatePerS, found.Plan.Saturate, found.Plan.Command = 0, false, c.Command
	found.Interrupted = ctx.Err() != nil
	if found.RatePerS != nil {
		found.GoodputBPS = new(*found.RatePerS * float64(found.Plan.SizeBytes) * 8)
	}
	return &found, err
}

// judge says what became of a trial.
func judge(d *result.Document, rate float64, s RateSearch) result.RateTrial {
	t := judged(&d.Measured, rate, s)
	if d.Reverse != nil {
		if back := judged(d.Reverse, rate, s); back.Fault != "" && t.Fault == "" || back.LossRatio > t.LossRatio {
			t = back
		}
	}
	return t
}

func judged(m *result.Measured, rate float64, s RateSearch) result.RateTrial {
	t := result.RateTrial{RatePerS: rate, Sent: m.Delivery.Sent, Delivers: m.Speed.MessagesPS}
	if m.Delivery.Delivered != nil {
		t.Delivered = *m.Delivery.Delivered
	}
	if t.Sent > 0 {
		t.LossRatio = float64(t.Sent-t.Delivered) / float64(t.Sent)
	}
	span, gap := s.Duration, time.Duration(0) // to the last message, and from it to the plan's end
	if rate > 0 {
		gap = time.Duration(1e9 / rate)
		span = time.Duration(float64(m.Delivery.Scheduled-1) / rate * 1e9)
	}
	if m.Speed.DurationNS != nil && m.Delay != nil && m.Delay.MinNS != nil {
		t.LagNS = new(int64(0))
		if *m.Speed.DurationNS > int64(span+gap) {
			*t.LagNS = *m.Speed.DurationNS - int64(span) - *m.Delay.MinNS
		}
		t.SentPerS = new(float64(t.Sent) / s.Duration.Seconds())
	}
	if rate > 0 {
		t.GrowthNS = growth(m.Intervals, s.Duration)
	}
	bound := func(share float64, least time.Duration) int64 {
		return max(int64(least), int64(share*float64(s.Duration)))
	}
	switch {
	case t.Sent == 0 || t.LossRatio > s.LossLimit:
		t.Fault = result.FaultLoss
	case m.Instrument.MissedSends > 0:
		t.Fault = result.FaultSender
	case rate > 0 && (t.LagNS == nil || *t.LagNS > bound(lagShare, lagLeast)),
		t.GrowthNS != nil && *t.GrowthNS > bound(growthShare, growthLeast):
		t.Fault = result.FaultLag
	}
	return t
}

// growth is what the delay grew by in all of that time, at the slope that is the
// median of those between any two intervals' medians (Theil 1950, Sen 1968): that a
// quarter of the intervals are astray does not move it. The last one is seldom whole.
// It is nil where there are too few to say.
func growth(intervals []result.Interval, over time.Duration) *int64 {
	var slopes []float64
	for i, a := range intervals {
		for _, b := range intervals[i+1 : max(len(intervals)-1, i+1)] {
			if a.DelayP50NS != nil && b.DelayP50NS != nil {
				slopes = append(slopes, float64(*b.DelayP50NS-*a.DelayP50NS)/float64(b.AtNS-a.AtNS))
			}
		}
	}
	if len(slopes) < trialIntervals/2 {
		return nil
	}
	slices.Sort(slopes)
	return new(int64(slopes[len(slopes)/2] * float64(over)))
}
