package ledger

// neighbourWindow is how many of the latest numbers have their delay
// remembered: two neighbours of which one came when a number that far above
// the other was there already make no pair.
const neighbourWindow = 1 << 13

// neighbours measures IP packet delay variation (RFC 3393): D(n+1) − D(n) for
// each pair of successive numbers, undefined where either is lost. The
// distribution is of its size, |D(n+1) − D(n)|. Delays count from the planned
// time, as they do elsewhere.
type neighbours struct {
	recent    []numbered // by number modulo its length, a power of two
	places    places
	variation histogram
}

type numbered struct {
	end   uint64 // the number plus one; 0: none
	delay int64
}

func newNeighbours(window int) neighbours {
	return neighbours{recent: make([]numbered, window), variation: newHistogram()}
}

func (p *neighbours) arrive(number uint64, delay int64) {
	mask := uint64(len(p.recent) - 1)
	if before := &p.recent[(number-1)&mask]; number > 0 && before.end == number {
		p.pair(before.delay, delay)
	}
	if after := &p.recent[(number+1)&mask]; after.end == number+2 {
		p.pair(delay, after.delay)
	}
	// A straggler does not put out a newer number.
	if own := &p.recent[number&mask]; own.end <= number {
		*own = numbered{number + 1, delay}
	}
}

func (p *neighbours) pair(a, b int64) {
	v := max(a-b, b-a)
	p.variation.recordAt(p.places.of(v), v)
}
