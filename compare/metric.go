package compare

import (
	"math"

	"netcmp/result"
)

// A metric is one figure of a trial.
type metric struct {
	name string
	// better is +1 where more is better, −1 where less is, 0 where neither.
	better int
	// of gives the figure: ±Inf where it is that, not ok where it was not
	// measured.
	of func(*result.Document) (v float64, ok bool)
}

// metrics are those that are compared. Every one more makes it harder to tell
// any apart, since all of them together must not be wrong more often than one
// in twenty times.
var metrics = []metric{
	{"delivery_ratio", +1, func(d *result.Document) (float64, bool) { return value(d.Delivery.Ratio) }},
	{"reordered_ratio", 0, func(d *result.Document) (float64, bool) {
		if d.Order == nil {
			return 0, false
		}
		return value(d.Order.ReorderedRatio)
	}},
	{"delay_p50_ns", -1, func(d *result.Document) (float64, bool) {
		return percentile(d, func(x *result.Delay) *int64 { return x.P50NS })
	}},
	{"delay_p99_ns", -1, func(d *result.Document) (float64, bool) {
		return percentile(d, func(x *result.Delay) *int64 { return x.P99NS })
	}},
	{"held_ratio", -1, heldRatio},
	{"first_message_ns", -1, func(d *result.Document) (float64, bool) { return value(d.Setup.FirstMessageNS) }},
	{"goodput_bps", +1, func(d *result.Document) (float64, bool) {
		if !d.Plan.Saturate {
			return 0, false // it was given
		}
		return value(d.Speed.GoodputBPS)
	}},
	{"overhead_ratio", -1, func(d *result.Document) (float64, bool) {
		if d.Wire == nil {
			return 0, false
		}
		return value(d.Wire.OverheadRatio)
	}},
	{"cpu_per_message_ns", -1, func(d *result.Document) (float64, bool) {
		from, ok := value(d.Cost.SenderCPUPerMessageNS)
		to, too := value(d.Cost.ReceiverCPUPerMessageNS)
		return from + to, ok && too
	}},
}

func value[T int64 | float64](v *T) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return float64(*v), true
}

// percentile is infinite where it falls among the lost.
func percentile(d *result.Document, of func(*result.Delay) *int64) (float64, bool) {
	if d.Delay == nil {
		return 0, false
	}
	if v := of(d.Delay); v != nil {
		return float64(*v), true
	}
	if lost := d.Delivery.Lost; lost != nil && *lost > 0 {
		return math.Inf(1), true
	}
	return 0, false
}

// heldRatio is the share of the delivered that had to wait for another; where
// nothing can be held back it is 0.
func heldRatio(d *result.Document) (float64, bool) {
	n := d.Delivery.Delivered
	switch {
	case d.Stall == nil || n == nil || *n == 0:
		return 0, false
	case d.Stall.Held == nil:
		return 0, true
	}
	return float64(*d.Stall.Held) / float64(*n), true
}
