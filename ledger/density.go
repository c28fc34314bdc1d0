package ledger

import (
	"math/bits"
	"strconv"
)

// densityThreshold is RFC 5236's displacement threshold DT: a number that has
// not come when one more than DT above it has is deemed lost; if it comes
// after all it is left out of the density, as a duplicate is. A thousand
// messages are 10 ms at 100,000 a second. No displacement exceeds it.
const densityThreshold = 1024

// density measures reorder density (RFC 5236): the distribution of the
// displacement D = RI − number. RI, the receive index, is handed out in order
// of arrival and skips lost numbers: the k-th arrival gets the k-th smallest
// of the numbers that came. An arrival therefore waits until it is known
// whether the next number comes or is lost. A late message has D > 0.
type density struct {
	threshold uint64
	next      uint64 // the next receive index, unless its number is lost
	pending   []uint64
	head      int // of the ring pending
	waiting   int
	shares    []int64 // [D + threshold]
}

func newDensity(threshold int) density {
	return density{
		threshold: uint64(threshold),
		// The waiting numbers are distinct, above next and at most threshold
		// above it; the newest comes on top.
		pending: make([]uint64, 1<<bits.Len(uint(threshold+1))),
		shares:  make([]int64, 2*threshold+1),
	}
}

// inOrder enters a message that is the next and has none waiting before it; it
// does nothing and is false for others. It is that part of arrive that the
// compiler inlines.
func (d *density) inOrder(number uint64) bool {
	if number != d.next || d.waiting > 0 {
		return false
	}
	d.next++
	d.shares[d.threshold]++
	return true
}

// arrive enters a message that seen holds already; highest is the highest
// number seen.
func (d *density) arrive(number, highest uint64, seen *Numbers) {
	if number < d.next { // deemed lost before
		return
	}
	d.pending[(d.head+d.waiting)&(len(d.pending)-1)] = number
	d.waiting++
	for d.waiting > 0 {
		switch {
		case seen.has(d.next):
			d.shares[d.displacement(d.next, d.pending[d.head])]++
			d.head = (d.head + 1) & (len(d.pending) - 1)
			d.waiting--
			d.next++
		case highest > d.next && highest-d.next > d.threshold:
			d.next = seen.nextSet(d.next, highest-d.threshold)
		default:
			return
		}
	}
}

// displacement is the place in shares.
func (d *density) displacement(index, number uint64) int64 {
	t := int64(d.threshold)
	return clamp(int64(index)-int64(number), t) + t
}

// report takes numbers that have not come yet for lost. Keys are
// displacements in decimal; a displacement that no message has is left out.
func (d *density) report(seen *Numbers) map[string]float64 {
	shares := append([]int64(nil), d.shares...)
	index := d.next
	for i := range d.waiting {
		index = seen.nextSet(index, maxNumber)
		shares[d.displacement(index, d.pending[(d.head+i)&(len(d.pending)-1)])]++
		index++
	}
	var total int64
	for _, n := range shares {
		total += n
	}
	r := map[string]float64{}
	for i, n := range shares {
		if n > 0 {
			r[strconv.Itoa(i-int(d.threshold))] = float64(n) / float64(total)
		}
	}
	return r
}
