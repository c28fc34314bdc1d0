package netem

import "math"

// A LossModel decides which packets the path loses. It is one of a closed set
// of comparable types, so that impairments compare with ==; nil is a path that
// loses none.
//
//   - [RandomLoss]: each packet on its own
//   - [CorrelatedLoss]: netem's correlated random loss, which is not what it seems
//   - [GilbertElliott]: bursts, by a good and a bad state
//   - [FourState]: bursts with gaps in them, and single losses
//   - [LossList]: these packets and no others (an extension)
type LossModel interface {
	// String returns the model in tc's words, without the word "loss".
	String() string
	// Rate returns the share of packets that the model loses in the long run,
	// from 0 to 1; NaN for a list, which has none.
	Rate() float64

	// check returns what is wrong with the model.
	check() error
	// canonical returns the model as Parse would give it: nil where it loses nothing.
	canonical() LossModel
	// start returns the model at work in a direction with this seed.
	start(seed uint64) lossProcess
}

// A lossProcess is a loss model at work. It is asked once for each packet, at
// its even place and in order, and once for a clone, at the odd place behind.
// A model with a memory keeps what it met at even places alone: a clone sees the
// weather of its original, one step on, and does not change it.
type lossProcess interface {
	lost(n uint64) bool
}

// RandomLoss loses each packet with the same probability, whatever happened to
// those before it: tc's "loss [random] PERCENT", netem's CLG_RANDOM.
type RandomLoss Probability

// String returns the percentage, such as "2%".
func (l RandomLoss) String() string { return Probability(l).String() }

// Rate returns the probability.
func (l RandomLoss) Rate() float64 { return Probability(l).Float64() }

func (l RandomLoss) check() error { return nil }

func (l RandomLoss) canonical() LossModel {
	if l == 0 {
		return nil
	}
	return l
}

func (l RandomLoss) start(seed uint64) lossProcess {
	return &randomLoss{chance{Probability(l), newCorrelated(seed, drawLoss, 0)}}
}

// CorrelatedLoss is tc's "loss [random] PERCENT CORRELATION": a probability
// compared with correlated draws. They crowd around 1/2, so a small probability
// is met far less often than it says, and its bursts are not what one would
// expect of the correlation. 1 % at 25 % loses two packets in a million.
// [GilbertElliott] gives the bursts that were meant.
type CorrelatedLoss struct {
	Loss        Probability
	Correlation Probability
}

// String returns the two percentages.
func (l CorrelatedLoss) String() string { return l.Loss.String() + " " + l.Correlation.String() }

// Rate returns the share that is really lost.
func (l CorrelatedLoss) Rate() float64 { return correlatedRate(l.Loss, l.Correlation) }

func (l CorrelatedLoss) check() error { return nil }

func (l CorrelatedLoss) canonical() LossModel {
	if l.Loss == 0 || l.Correlation == 0 {
		return RandomLoss(l.Loss).canonical()
	}
	return l
}

func (l CorrelatedLoss) start(seed uint64) lossProcess {
	return &randomLoss{chance{l.Loss, newCorrelated(seed, drawLoss, l.Correlation)}}
}

// bursts returns the Gilbert-Elliott model that loses as much as this one says
// it does, and whose losses have the correlation that this one asks for: of the
// chain with p and r it is 1−p−r.
func (l CorrelatedLoss) bursts() GilbertElliott {
	p, rho := l.Loss.Float64(), l.Correlation.Float64()
	percent := func(x float64) Probability { return Percent(math.Round(1e6*x) / 1e4) }
	return GilbertElliott{P: percent(p * (1 - rho)), R: percent((1 - p) * (1 - rho)), BadLoss: Always}
}

type randomLoss struct{ chance }

func (l *randomLoss) lost(n uint64) bool { return l.hit(n) }
