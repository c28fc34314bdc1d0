package ledger

import (
	"math"
	"math/big"
	"math/bits"
)

// moments holds the sum and the sum of squares of values within ±maxDelay
// exactly, in 128 bits each: 2^33 squares of 2^94 fit.
type moments struct {
	n                  int64
	sumHi              int64
	sumLo              uint64
	squareHi, squareLo uint64
}

func (m *moments) add(v int64) {
	m.n++
	var carry uint64
	m.sumLo, carry = bits.Add64(m.sumLo, uint64(v), 0)
	m.sumHi += v>>63 + int64(carry)
	size := uint64(max(v, -v))
	hi, lo := bits.Mul64(size, size)
	m.squareLo, carry = bits.Add64(m.squareLo, lo, 0)
	m.squareHi += hi + carry
}

func (m *moments) sum() *big.Int {
	s := new(big.Int).Lsh(big.NewInt(m.sumHi), 64)
	return s.Add(s, new(big.Int).SetUint64(m.sumLo))
}

// mean is rounded to the nearest integer.
func (m *moments) mean() int64 {
	n := big.NewInt(m.n)
	s := m.sum()
	s.Add(s.Lsh(s, 1), n)
	return s.Div(s, n.Lsh(n, 1)).Int64() // Div rounds down
}

// deviation is the standard deviation of the values as a population:
// √(n·Σv² − (Σv)²)/n.
func (m *moments) deviation() int64 {
	n := big.NewInt(m.n)
	squares := new(big.Int).SetUint64(m.squareHi)
	squares.Lsh(squares, 64).Add(squares, new(big.Int).SetUint64(m.squareLo))
	s := m.sum()
	squares.Sub(squares.Mul(squares, n), s.Mul(s, s))
	f, _ := new(big.Float).SetInt(squares).Float64()
	return int64(math.Round(math.Sqrt(f) / float64(m.n)))
}
