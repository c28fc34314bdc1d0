package ledger

import "netcmp/result"

// lengthMax bounds the loss run lengths told apart.
const lengthMax = 1000

// reportLoss describes the pattern of loss among the numbers below sent, after
// RFC 3357. A loss period begins at a loss that follows a delivery, so periods
// are the holes of the set of numbers. The loss distance is the difference between the
// numbers of successive losses; the first loss, which has distance 0 by the
// RFC's convention, is left out of its minimum and mean.
func reportLoss(seen *Numbers, sent uint64) *result.Loss {
	if sent == 0 {
		return nil
	}
	var (
		r           = &result.Loss{Lengths: map[int64]int64{}, Numbers: result.NumberRuns{}}
		lengths     [lengthMax + 1]int64
		lost        int64
		first, last int64 // loss of all
		nearest     int64 // smallest distance; 0: none yet
	)
	seen.holes(sent, func(from, end uint64) {
		a, z := int64(from), int64(end)-1
		length := z - a + 1
		switch {
		case length > 1:
			nearest = 1
		case lost > 0 && (nearest == 0 || a-last < nearest):
			nearest = a - last
		}
		if lost == 0 {
			first = a
		}
		last = z
		lost += length
		r.Periods++
		r.PeriodMax = max(r.PeriodMax, length)
		lengths[min(length, lengthMax)]++
		if len(r.Numbers) < result.MaxLossRuns {
			r.Numbers = append(r.Numbers, [2]int64{a, z})
		} else {
			r.Truncated = true
		}
	})
	for length, count := range lengths {
		if count > 0 {
			r.Lengths[int64(length)] = count
		}
	}
	if r.Periods > 0 {
		r.PeriodMean = new(float64(lost) / float64(r.Periods))
	}
	if lost > 1 {
		r.DistanceMin = &nearest
		r.DistanceMean = new(float64(last-first) / float64(lost-1))
	}
	return r
}
