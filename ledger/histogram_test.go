package ledger

import (
	"math"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"

	"netcmp/result"
)

// The layout is the library's, and so are the percentiles.
func TestHistogramAgainstLibrary(t *testing.T) {
	magnitude := rapid.Custom(func(t *rapid.T) int64 {
		bits := rapid.IntRange(0, 41).Draw(t, "bits")
		return min(rapid.Int64Range(0, 1<<bits).Draw(t, "value"), histogramMax)
	})
	rapid.Check(t, func(t *rapid.T) {
		h, library := newHistogram(), hdrhistogram.New(1, histogramMax, 3)
		values := rapid.SliceOfN(magnitude, 1, 100).Draw(t, "values")
		for _, v := range values {
			h.record(v)
			if err := library.RecordValue(v); err != nil {
				t.Fatal(err)
			}
			if p := place(v); highest(p) < v || p > 0 && highest(p-1) >= v {
				t.Fatalf("%d is counted at %d, between %d and %d", v, p, highest(p-1), highest(p))
			}
		}
		n := int64(len(values))
		for rank := int64(1); rank <= n; rank++ {
			want := min(library.ValueAtPercentile(100*float64(rank)/float64(n)), h.max)
			if got := *h.percentile(rank*1000/n, n); rank*1000%n == 0 && got != want {
				t.Errorf("rank %d of %d: %d, the library has %d", rank, n, got, want)
			}
		}
		counts := library.Export().Counts
		for i, c := range h.counts {
			if c != counts[i] {
				t.Fatalf("place %d has %d, in the library %d", i, c, counts[i])
			}
		}
	})
}

// A percentile is within a thousandth, whatever its size.
func TestHistogramResolution(t *testing.T) {
	for _, v := range []int64{1, 999, 20_000, 700_001, 25 * ms, 333_333_333, histogramMax * 3 / 4} {
		h := newHistogram()
		for _, w := range []int64{0, v, 4 * v} {
			h.record(w)
		}
		near(t, "p50", float64(*h.percentile(500, 3)), float64(v), float64(v)/1000)
	}
}

func TestHistogramExtremes(t *testing.T) {
	h := newHistogram()
	h.record(-5)
	h.record(-7)
	equal(t, "of negative values", *h.quantiles(), result.Quantiles{P50: -5, P99: -5, Max: -5})
	h.record(2 * histogramMax)
	equal(t, "max", h.quantiles().Max, 2*histogramMax)
	h.record(math.MaxInt64)
	h.record(math.MinInt64)
	equal(t, "max", h.quantiles().Max, math.MaxInt64)
	h.reset()
	if h.quantiles() != nil {
		t.Error("a histogram that was reset holds something")
	}
	equal(t, "least percentile of one", *func() *int64 { h.record(3); return h.percentile(0, 1) }(), 3)
}

// Bins hold every value once, ascend, and are at most 1/64 wide.
func TestBins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistogram()
		values := rapid.SliceOf(rapid.Int64Range(0, histogramMax)).Draw(t, "values")
		for _, v := range values {
			h.record(v)
		}
		below, sum := int64(-1), int64(0)
		for _, bin := range h.bins() {
			upper, n := bin[0], int64(0)
			for _, v := range values {
				if v > below && v <= upper {
					n++
					if float64(upper-v) > float64(v)/64+1 {
						t.Fatalf("%d is in the bin up to %d", v, upper)
					}
				}
			}
			if upper <= below || bin[1] != n {
				t.Fatalf("bin from %d to %d has %d, want %d", below, upper, bin[1], n)
			}
			below = upper
			sum += n
		}
		if sum != int64(len(values)) {
			t.Fatalf("%d of %d are in bins", sum, len(values))
		}
	})
}
