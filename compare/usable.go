package compare

import (
	"math"
	"slices"

	"netcmp/report"
	"netcmp/result"
)

// The deadlines of a curve lie between these, ns, each 1/pointsPerDecade of a
// decade after the one before.
const (
	deadlineMin, deadlineMax = 10e6, 2000e6
	pointsPerDecade          = 40
)

// deadlines are those of every curve.
func deadlines() []int64 {
	n := int(math.Ceil(pointsPerDecade * math.Log10(deadlineMax/deadlineMin)))
	all := make([]int64, n+1)
	for i := range all {
		all[i] = int64(math.Round(deadlineMin * math.Pow(deadlineMax/deadlineMin, float64(i)/float64(n))))
	}
	for _, ms := range []int64{20, 50, 100, 200, 500, 1000} { // those that people ask for
		all = append(all, ms*1e6)
	}
	slices.Sort(all)
	return all
}

// usable is the share of the due messages that were there within a deadline,
// right to the width of the distribution's bins.
func usable(d *result.Document, within int64) (float64, bool) {
	if d.Delay == nil || d.Delivery.Planned() == 0 || d.Delivery.Delivered == nil || *d.Delivery.Delivered > 0 && len(d.Delay.Distribution) == 0 {
		return 0, false
	}
	var n int64
	for _, bin := range d.Delay.Distribution {
		if bin[0] > within {
			break
		}
		n += bin[1]
	}
	return float64(n) / float64(d.Delivery.Planned()), true
}

func (s *sample) curves() []result.Curve {
	curves := []result.Curve{}
	for _, arm := range s.arms {
		c := result.Curve{Arm: arm}
		for _, within := range deadlines() {
			m := metric{of: func(d *result.Document) (float64, bool) { return usable(d, within) }}
			values := s.values(m, arm)
			if len(values) == 0 {
				continue
			}
			mid, _, _ := median(values)
			p := result.CurvePoint{WithinNS: within, Ratio: mid, Low: math.Inf(1)}
			for _, v := range values {
				p.Low, p.High = min(p.Low, v), max(p.High, v)
			}
			c.Points = append(c.Points, p)
		}
		if len(c.Points) > 0 {
			curves = append(curves, c)
		}
	}
	return curves
}

// crossing is the deadline from which on b has at least as many messages in time
// as a, in one block. It is 0 where b always has, and infinite where a is ahead
// to the end.
func crossing(a, b *result.Document) (within float64, ok bool) {
	all := deadlines()
	last := -1 // the last deadline at which a is ahead
	for i, d := range all {
		x, ok := usable(a, d)
		y, too := usable(b, d)
		if !ok || !too {
			return 0, false
		}
		if x > y {
			last = i
		}
	}
	switch last {
	case -1:
		return 0, true
	case len(all) - 1:
		return math.Inf(1), true
	}
	return float64(all[last+1]), true
}

// ahead reports whether some deadline between from and to, ns, shows that a has more
// messages in time than b: the interval of the paired differences leaves out 0, and the
// medians differ in the digits that are printed.
func (s *sample) ahead(a, b string, from, to float64) bool {
	for _, within := range deadlines() {
		if float64(within) < from || float64(within) > to {
			continue
		}
		m := metric{of: func(d *result.Document) (float64, bool) { return usable(d, within) }}
		xs, ys := s.pairs(m, a, b)
		if len(xs) < fewest {
			continue
		}
		delta := make([]float64, len(xs))
		for i := range xs {
			delta[i] = xs[i] - ys[i]
		}
		one, _, _ := median(xs)
		other, _, _ := median(ys)
		if _, low, _ := median(delta); low > 0 && report.Percent(one) != report.Percent(other) {
			return true
		}
	}
	return false
}

// least returns the shortest delay of any message of the two arms, ns; 0 if it is not
// known.
func (s *sample) least(a, b string) float64 {
	least := math.Inf(1)
	for _, arm := range []string{a, b} {
		for _, d := range s.trials[arm] {
			if d.Delay != nil && d.Delay.MinNS != nil {
				least = min(least, float64(*d.Delay.MinNS))
			}
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}
