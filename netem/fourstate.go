package netem

// FourState is the 4-state Markov model of Salsano, Ludovici and Ordine
// ("Definition of a general and intuitive loss model for packet networks"):
// tc's "loss state P13 [P31 [P32 [P23 [P14]]]]", netem's CLG_4_STATES. Its
// states are 1 received in a gap, 2 received in a burst, 3 lost in a burst, 4
// lost alone in a gap (from which it always returns to 1), and the parameters
// are the probabilities of the steps. In the long run it loses
//
//	π₁·(p13/p31 + p14)  with  π₁ = 1 / (1 + p13/p31·(1 + p32/p23) + p14)
type FourState struct {
	P13 Probability
	P31 Probability // tc's default is 1−P13
	P32 Probability // tc's default is 0 %
	P23 Probability // tc's default is 100 %
	P14 Probability // tc's default is 0 %
}

// String returns the model in tc's words, without what tc assumes.
func (l FourState) String() string {
	s := "state " + l.P13.String() + " " + l.P31.String()
	if l.P32 != 0 || l.P23 != Always || l.P14 != 0 {
		s += " " + l.P32.String()
	}
	if l.P23 != Always || l.P14 != 0 {
		s += " " + l.P23.String()
	}
	if l.P14 != 0 {
		s += " " + l.P14.String()
	}
	return s
}

// steps returns the probabilities of the steps as the kernel makes them of its
// sums of 32 bits: from 1 to 4, from 1 to 3, from 3 to 2, from 3 to 1.
func (l FourState) steps() (p14, p13, p32, p31 float64) {
	split := func(first, second Probability) (a, b float64) {
		sum := first + second // wraps, as the kernel's does
		if sum < first {
			return first.Float64(), 0 // the second range is empty
		}
		return first.Float64(), (sum - first).Float64()
	}
	p14, p13 = split(l.P14, l.P13)
	p32, p31 = split(l.P32, l.P31)
	return p14, p13, p32, p31
}

// overfull reports whether the steps out of a state add up to more than 1, so
// that the kernel's sum wraps around.
func (l FourState) overfull() bool { return l.P14+l.P13 < l.P14 || l.P32+l.P31 < l.P32 }

// Rate returns the share that is lost in the long run.
func (l FourState) Rate() float64 {
	p14, p13, p32, p31 := l.steps()
	p23 := l.P23.Float64()
	switch {
	case p13 == 0: // no bursts
		return p14 / (1 + p14)
	case p32 > 0 && p23 == 0: // once in state 2, always
		return 0
	case p31 == 0: // never back to state 1
		if p32 == 0 {
			return 1
		}
		return p23 / (p23 + p32)
	}
	losses := p13/p31 + p14
	burst := p13 / p31
	if p32 > 0 {
		burst *= 1 + p32/p23
	}
	return losses / (1 + burst + p14)
}

func (l FourState) check() error { return nil }

func (l FourState) canonical() LossModel {
	if l.P13 == 0 && l.P14 == 0 {
		return nil
	}
	return l
}

func (l FourState) start(seed uint64) lossProcess {
	return &fourState{model: l, state: receivedInGap, draws: newStream(seed, drawLoss)}
}

// The states, as the kernel numbers them.
const (
	receivedInGap   = 1
	receivedInBurst = 2
	lostInBurst     = 3
	lostInGap       = 4
)

// fourState is the chain at work. One draw moves it, and the state that it
// moves to says whether the packet is lost.
type fourState struct {
	model FourState
	state uint8
	draws stream
}

// lost is loss_4state: the steps out of a state are tried in the kernel's
// order against one draw, with sums of 32 bits and strict comparisons.
func (l *fourState) lost(n uint64) bool {
	draw, m := Probability(l.draws.uint32(n)), &l.model
	next := l.state
	switch l.state {
	case receivedInGap:
		if draw < m.P14 {
			next = lostInGap
		} else if draw < m.P13+m.P14 {
			next = lostInBurst
		}
	case receivedInBurst:
		if draw < m.P23 {
			next = lostInBurst
		}
	case lostInBurst:
		if draw < m.P32 {
			next = receivedInBurst
		} else if draw < m.P31+m.P32 {
			next = receivedInGap
		}
	case lostInGap:
		next = receivedInGap
	}
	if n%2 == 0 {
		l.state = next
	}
	return next == lostInBurst || next == lostInGap
}
