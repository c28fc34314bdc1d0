package ledger

import (
	"math"
	"math/bits"

	"netcmp/result"
)

// histogramMax is the longest time told apart, one hour; a longer one counts
// as that inside percentiles.
const histogramMax = int64(3600e9)

// significantBits give three significant figures: values share a count when
// they agree in their first eleven bits, so they differ by less than one part
// in 1024.
const significantBits = 11

// histogram is a distribution of times: a percentile is never too small, and
// at most 0.1 % too great. The extremes are exact.
//
// The layout is that of an HDR histogram with three significant figures, and
// the tests hold it against hdrhistogram-go. It is written out here because an
// arrival makes up to five records, and the library's checks of what cannot
// happen here would take more time than all the rest of the ledger.
type histogram struct {
	counts   []int64 // by place
	n        int64
	min, max int64
}

func newHistogram() histogram {
	return histogram{
		counts: make([]int64, place(histogramMax)+1),
		min:    math.MaxInt64,
		max:    math.MinInt64,
	}
}

// place is where v is counted: itself below 2^11; above, the first eleven
// bits, after as many halves of 2^11 places as there are bits dropped.
func place(v int64) int {
	v = min(max(v, 0), histogramMax)
	dropped := max(bits.Len64(uint64(v)), significantBits) - significantBits
	return dropped<<(significantBits-1) + int(v>>dropped)
}

// places is place for values of which many that follow each other are one: what a
// read brought came at one time. Its zero value is ready.
type places struct {
	value int64
	place int
}

func (p *places) of(v int64) int {
	if v != p.value {
		p.value, p.place = v, place(v)
	}
	return p.place
}

// highest is the greatest value counted at a place.
func highest(place int) int64 {
	dropped := max(place>>(significantBits-1)-1, 0)
	return int64(place-dropped<<(significantBits-1)+1)<<dropped - 1
}

func (h *histogram) record(v int64) { h.recordAt(place(v), v) }

// recordAt is record for whoever has the place of v.
func (h *histogram) recordAt(place int, v int64) {
	h.n++
	h.min = min(h.min, v)
	h.max = max(h.max, v)
	h.counts[place]++
}

func (h *histogram) reset() {
	clear(h.counts)
	h.n, h.min, h.max = 0, math.MaxInt64, math.MinInt64
}

// percentile is the value that perMille thousandths of a sample do not
// exceed. The sample has among members; those that the histogram does not
// hold are infinite, and where the percentile falls among them it is nil.
func (h *histogram) percentile(perMille, among int64) *int64 {
	rank := max(1, among/1000*perMille+(among%1000*perMille+999)/1000)
	if rank > h.n {
		return nil
	}
	i := place(h.min)
	for sum := h.counts[i]; sum < rank; sum += h.counts[i] {
		i++
	}
	return new(min(max(highest(i), h.min), h.max))
}

// quantiles is nil for an empty histogram.
func (h *histogram) quantiles() *result.Quantiles {
	if h.n == 0 {
		return nil
	}
	return &result.Quantiles{P50: *h.percentile(500, h.n), P99: *h.percentile(990, h.n), Max: h.max}
}

// binBits is how many bits the bins of a reported distribution tell apart: a bin
// is at most 1/64 wide.
const binBits = 7

// bins is the distribution in bins: the greatest value of each that holds any,
// and how many.
func (h *histogram) bins() [][2]int64 {
	var bins [][2]int64
	if h.n == 0 {
		return bins
	}
	for i := place(h.min); i <= place(h.max); i++ {
		if h.counts[i] == 0 {
			continue
		}
		v := highest(i)
		dropped := max(bits.Len64(uint64(v))-binBits, 0)
		upper := min((v>>dropped+1)<<dropped-1, max(h.max, 0))
		if n := len(bins); n > 0 && bins[n-1][0] == upper {
			bins[n-1][1] += h.counts[i]
		} else {
			bins = append(bins, [2]int64{upper, h.counts[i]})
		}
	}
	return bins
}
