package netem

// GilbertElliott is a path that is good for a while and bad for a while, and
// loses in each state with a probability of its own: tc's "loss gemodel P [R
// [1-H [1-K]]]", netem's CLG_GILB_ELL. In the long run it loses
//
//	(p·(1−h) + r·(1−k)) / (p+r)
//
// and where 1−h is 1 and 1−k is 0, its bursts of losses are geometric with a
// mean of 1/r packets, and 1/p packets lie between them.
//
// The parameters are those that tc takes, 1−h and 1−k instead of h and k.
type GilbertElliott struct {
	P        Probability // a packet in the good state is the last: the next is in the bad one
	R        Probability // the same from bad to good; tc's default is 1−P
	BadLoss  Probability // 1−h: a packet in the bad state is lost; tc's default is 100 %
	GoodLoss Probability // 1−k: a packet in the good state is lost; tc's default is 0 %
}

// String returns the model in tc's words, without what tc assumes.
func (l GilbertElliott) String() string {
	s := "gemodel " + l.P.String() + " " + l.R.String()
	if l.BadLoss != Always || l.GoodLoss != 0 {
		s += " " + l.BadLoss.String()
	}
	if l.GoodLoss != 0 {
		s += " " + l.GoodLoss.String()
	}
	return s
}

// Rate returns the share that is lost in the long run. A chain that moves in
// neither direction stays good.
func (l GilbertElliott) Rate() float64 {
	p, r := l.P.Float64(), l.R.Float64()
	if p == 0 {
		return l.GoodLoss.Float64()
	}
	return (p*l.BadLoss.Float64() + r*l.GoodLoss.Float64()) / (p + r)
}

func (l GilbertElliott) check() error { return nil }

func (l GilbertElliott) canonical() LossModel {
	if l.GoodLoss == 0 && (l.P == 0 || l.BadLoss == 0) {
		return nil
	}
	return l
}

func (l GilbertElliott) start(seed uint64) lossProcess {
	return &gilbertElliott{model: l, chain: newStream(seed, drawChain), draws: newStream(seed, drawLoss)}
}

// gilbertElliott is the chain at work. It begins in the good state.
type gilbertElliott struct {
	model GilbertElliott
	bad   bool
	chain stream
	draws stream
}

// lost is loss_gilb_ell: first the draw that moves the chain, then the draw for
// the loss, which is compared with the probability of the state before. The
// kernel knows h, so a loss in the bad state is a draw above h; all comparisons
// are strict.
func (l *gilbertElliott) lost(n uint64) bool {
	move, draw := l.chain.uint32(n), l.draws.uint32(n)
	var next, lost bool
	if l.bad {
		next = move >= uint32(l.model.R)
		lost = draw > uint32(Always-l.model.BadLoss)
	} else {
		next = move < uint32(l.model.P)
		lost = draw < uint32(l.model.GoodLoss)
	}
	if n%2 == 0 {
		l.bad = next
	}
	return lost
}
