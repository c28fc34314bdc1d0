package ledger

import "math/bits"

const (
	pageBits  = 15 // a page holds 2^15 numbers in 4 KiB
	pageWords = 1 << pageBits / 64
)

// maxNumber is the most that a limit may be: at one bit a number the set can never
// hold more than 512 MiB.
const maxNumber = 1 << 32

// Numbers is a set of message numbers, a bit each. Pages are made when the first number
// of theirs comes, so a stray number costs one page and its place in the table. One
// goroutine owns it.
type Numbers struct {
	limit uint64
	pages []*[pageWords]uint64
}

// NewNumbers is an empty set of numbers below limit; zero, or more, is 2^32.
func NewNumbers(limit uint64) Numbers {
	if limit == 0 || limit > maxNumber {
		limit = maxNumber
	}
	return Numbers{limit: limit}
}

// Add puts n into the set; it reports whether n was new. A number at or beyond the limit
// is none.
func (b *Numbers) Add(n uint64) bool {
	if n >= b.limit {
		return false
	}
	page, word, mask := n>>pageBits, n/64%pageWords, uint64(1)<<(n%64)
	if page >= uint64(len(b.pages)) {
		b.pages = append(b.pages, make([]*[pageWords]uint64, page+1-uint64(len(b.pages)))...)
	}
	p := b.pages[page]
	if p == nil {
		p = new([pageWords]uint64)
		b.pages[page] = p
	}
	if p[word]&mask != 0 {
		return false
	}
	p[word] |= mask
	return true
}

// has reports whether n is in the set.
func (b *Numbers) has(n uint64) bool {
	page := n >> pageBits
	if page >= uint64(len(b.pages)) || b.pages[page] == nil {
		return false
	}
	return b.pages[page][n/64%pageWords]>>(n%64)&1 != 0
}

// nextSet is the smallest member of [from, limit), or limit when there is
// none.
func (b *Numbers) nextSet(from, limit uint64) uint64 {
	for from < limit {
		page := from >> pageBits
		if page >= uint64(len(b.pages)) {
			return limit
		}
		if b.pages[page] == nil {
			from = (page + 1) << pageBits
			continue
		}
		if w := b.pages[page][from/64%pageWords] >> (from % 64); w != 0 {
			return min(from+uint64(bits.TrailingZeros64(w)), limit)
		}
		from = (from/64 + 1) * 64
	}
	return limit
}

// nextClear is the smallest number of [from, limit) that is not a member, or
// limit when there is none.
func (b *Numbers) nextClear(from, limit uint64) uint64 {
	for from < limit {
		page := from >> pageBits
		if page >= uint64(len(b.pages)) || b.pages[page] == nil {
			return from
		}
		if w := ^b.pages[page][from/64%pageWords] >> (from % 64); w != 0 {
			return min(from+uint64(bits.TrailingZeros64(w)), limit)
		}
		from = (from/64 + 1) * 64
	}
	return limit
}

// holes calls yield with each run [first, end) of numbers below limit that
// are not in the set, in ascending order.
func (b *Numbers) holes(limit uint64, yield func(first, end uint64)) {
	for n := b.nextClear(0, limit); n < limit; {
		end := b.nextSet(n, limit)
		yield(n, end)
		n = b.nextClear(end, limit)
	}
}
