package ledger

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Against a map, with numbers that lie close together at page borders far
// apart.
func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pages = 6
		limit := rapid.Uint64Range(0, pages<<pageBits).Draw(t, "limit")
		number := rapid.Custom(func(t *rapid.T) uint64 {
			border := rapid.SampledFrom([]uint64{70, 1 << pageBits, 3 << pageBits, 4 << pageBits, limit}).Draw(t, "border")
			return max(border+rapid.Uint64Range(0, 140).Draw(t, "by"), 70) - 70
		})
		b := NewNumbers(0)
		in := map[uint64]bool{}
		for _, n := range rapid.SliceOf(number).Draw(t, "numbers") {
			if b.Add(n) == in[n] {
				t.Fatalf("Add(%d), already in: %v", n, in[n])
			}
			in[n] = true
		}
		for _, n := range rapid.SliceOf(number).Draw(t, "asked") {
			if b.has(n) != in[n] {
				t.Fatalf("has(%d), in: %v", n, in[n])
			}
		}
		var got, want [][2]uint64
		b.holes(limit, func(first, end uint64) { got = append(got, [2]uint64{first, end}) })
		for n := range limit {
			switch {
			case in[n]:
			case n == 0 || in[n-1]:
				want = append(want, [2]uint64{n, n + 1})
			default:
				want[len(want)-1][1]++
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("holes below %d: %v, want %v", limit, got, want)
		}
	})
}
