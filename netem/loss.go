package netem

// A LossModel decides which packets the path loses. It is one of a closed set
// of comparable types, so that impairments compare with ==; nil is a path that
// loses none.
//
//   - [RandomLoss]: each packet on its own
type LossModel interface {
	// String returns the model in tc's words, without the word "loss".
	String() string

	// canonical returns the model as Parse would give it: nil where it loses nothing.
	canonical() LossModel
	// start returns the model at work in a direction with this seed.
	start(seed uint64) lossProcess
}

// A lossProcess is a loss model at work: it is asked once for each copy that
// meets it, in the order in which they do, so a model with a memory keeps it here.
type lossProcess interface {
	lost(n uint64) bool
}

// RandomLoss loses each packet with the same probability, whatever happened to
// those before it: tc's "loss [random] PERCENT", netem's CLG_RANDOM.
type RandomLoss Probability

// String returns the percentage, such as "2%".
func (l RandomLoss) String() string { return Probability(l).String() }

func (l RandomLoss) canonical() LossModel {
	if l == 0 {
		return nil
	}
	return l
}

func (l RandomLoss) start(seed uint64) lossProcess {
	return randomLoss{chance{Probability(l), newStream(seed, drawLoss)}}
}

type randomLoss struct{ chance }

func (l randomLoss) lost(n uint64) bool { return l.hit(n) }
