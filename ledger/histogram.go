package ledger

import (
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netcmp/result"
)

// histogramMax is the longest time told apart, one hour; a longer one counts
// as that inside percentiles.
const histogramMax = int64(3600e9)

// histogram is a distribution of times with three significant figures: a
// percentile is at most 0.1 % too great. The extremes are exact.
type histogram struct {
	counts   *hdrhistogram.Histogram
	min, max int64
}

func newHistogram() histogram {
	return histogram{
		counts: hdrhistogram.New(1, histogramMax, 3),
		min:    math.MaxInt64,
		max:    math.MinInt64,
	}
}

func (h *histogram) record(v int64) {
	h.min = min(h.min, v)
	h.max = max(h.max, v)
	// The value lies in the histogram's range, so there is no error.
	_ = h.counts.RecordValue(min(max(v, 0), histogramMax))
}

func (h *histogram) reset() {
	h.counts.Reset()
	h.min, h.max = math.MaxInt64, math.MinInt64
}

func (h *histogram) count() int64 { return h.counts.TotalCount() }

// percentile is the value that perMille thousandths of a sample do not
// exceed. The sample has among members; those that the histogram does not
// hold are infinite, and where the percentile falls among them it is nil.
func (h *histogram) percentile(perMille, among int64) *int64 {
	n := h.count()
	rank := max(1, among/1000*perMille+(among%1000*perMille+999)/1000)
	if rank > n {
		return nil
	}
	v := h.counts.ValueAtPercentile(100 * float64(rank) / float64(n))
	return result.Ptr(min(max(v, h.min), h.max))
}

// quantiles is nil for an empty histogram.
func (h *histogram) quantiles() *result.Quantiles {
	n := h.count()
	if n == 0 {
		return nil
	}
	return &result.Quantiles{P50: *h.percentile(500, n), P99: *h.percentile(990, n), Max: h.max}
}
