package ledger

import "math/bits"

// degreeMax is the greatest degree of n-reordering told apart; a message
// overtaken by more in a row counts as that.
const degreeMax = 64

// degree measures n-reordering. RFC 4737 §5: message i is n-reordered when all
// of the n messages that arrived just before it have greater numbers. With
// n = 3 it would have made TCP retransmit it, by three duplicate
// acknowledgements.
//
// The greatest such n is the distance to the nearest earlier arrival with a
// smaller number, less one. The stack holds the arrivals that can still be
// that one for somebody: those with no smaller number after them. It ascends,
// in numbers and in time; of more than the greatest degree the oldest are
// forgotten, since whoever they would answer is beyond it.
type degree struct {
	stack []arrival // a ring of which the depth entries below top are the stack
	top   int
	depth int

	exactly []int64 // [n−1]: messages with n as the greatest
}

type arrival struct {
	number uint64
	index  int64
}

func newDegree(greatest int) degree {
	return degree{
		stack:   make([]arrival, 1<<bits.Len(uint(greatest-1))),
		exactly: make([]int64, greatest),
	}
}

func (d *degree) arrive(number uint64, index int64) {
	mask := len(d.stack) - 1
	top, depth := d.top, d.depth
	for depth > 0 && d.stack[(top-1)&mask].number > number {
		top--
		depth--
	}
	n := index
	if depth > 0 {
		n = index - 1 - d.stack[(top-1)&mask].index
	}
	if n > 0 {
		d.exactly[min(n, int64(len(d.exactly)))-1]++
	}
	d.stack[top&mask] = arrival{number, index}
	d.top, d.depth = top+1, min(depth+1, len(d.stack))
}

// report gives the degree of n-reordering for n = 1, 2, …: the share of
// messages that are n-reordered, as far as there are any.
func (d *degree) report(arrivals int64) []float64 {
	last := len(d.exactly)
	for last > 0 && d.exactly[last-1] == 0 {
		last--
	}
	shares := make([]float64, last)
	var sum int64
	for n := last - 1; n >= 0; n-- {
		sum += d.exactly[n]
		shares[n] = float64(sum) / float64(arrivals)
	}
	return shares
}
