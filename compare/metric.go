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
	// error gives what the instrument may have added to it in a trial; nil: nothing.
	error func(*result.Document) float64
}

// metrics are those that are compared. Every one more makes it harder to tell
// any apart, since all of them together must not be wrong more often than one
// in twenty times.
var metrics = []metric{
	{name: "delivery_ratio", better: +1, of: func(d *result.Document) (float64, bool) { return value(d.Delivery.Ratio) }},
	{name: "reordered_ratio", of: func(d *result.Document) (float64, bool) {
		if d.Order == nil {
			return 0, false
		}
		return value(d.Order.ReorderedRatio)
	}},
	{name: "delay_p50_ns", better: -1, of: func(d *result.Document) (float64, bool) {
		return percentile(d, func(x *result.Delay) *int64 { return x.P50NS })
	}, error: func(d *result.Document) float64 { return late(d, func(t *result.Tail) int64 { return t.P50 }) }},
	{name: "delay_p99_ns", better: -1, of: func(d *result.Document) (float64, bool) {
		return percentile(d, func(x *result.Delay) *int64 { return x.P99NS })
	}, error: func(d *result.Document) float64 { return late(d, func(t *result.Tail) int64 { return t.P99 }) }},
	{name: "held_ratio", better: -1, of: heldRatio},
	{name: "first_message_ns", better: -1, of: func(d *result.Document) (float64, bool) { return value(d.Setup.FirstMessageNS) },
		error: func(d *result.Document) float64 { return late(d, func(t *result.Tail) int64 { return t.P50 }) }},
	{name: "goodput_bps", better: +1, of: func(d *result.Document) (float64, bool) {
		if !d.Plan.Saturate {
			return 0, false // it was given
		}
		return value(d.Speed.GoodputBPS)
	}},
	{name: "overhead_ratio", better: -1, of: func(d *result.Document) (float64, bool) {
		if d.Wire == nil {
			return 0, false
		}
		return value(d.Wire.OverheadRatio)
	}},
	{name: "send_calls_ns", better: -1, of: func(d *result.Document) (float64, bool) { return value(d.Cost.SendCallsNS) }, error: callError},
	{name: "receive_calls_ns", better: -1, of: func(d *result.Document) (float64, bool) { return value(d.Cost.ReceiveCallsNS) }, error: callError},
	// The whole of both processes, which is netcmp's own wake-ups above all: it is shown
	// and not judged.
	{name: "cpu_per_message_ns", of: func(d *result.Document) (float64, bool) {
		from, ok := value(d.Cost.SenderCPUPerMessageNS)
		to, too := value(d.Cost.ReceiverCPUPerMessageNS)
		return from + to, ok && too
	}},
}

// late returns how late sender, path and receiver were together at a quantile, ns.
func late(d *result.Document, quantile func(*result.Tail) int64) (sum float64) {
	x := d.Instrument.LatenessNS
	if x == nil {
		return 0
	}
	for _, t := range []*result.Tail{x.Sender, x.Path, x.Receiver} {
		if t != nil {
			sum += float64(quantile(t))
		}
	}
	return sum
}

// callError is what reading the clock around a call takes.
func callError(d *result.Document) float64 {
	v, _ := value(d.Cost.CallErrorNS)
	return v
}

func value[T int64 | float64](v *T) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return float64(*v), true
}

// percentile is infinite where it falls among the messages that did not arrive.
func percentile(d *result.Document, of func(*result.Delay) *int64) (float64, bool) {
	if d.Delay == nil {
		return 0, false
	}
	if v := of(d.Delay); v != nil {
		return float64(*v), true
	}
	if n := d.Delivery.Delivered; n != nil && *n < d.Delivery.Planned() || d.Delivery.Lost != nil && *d.Delivery.Lost > 0 {
		return math.Inf(1), true
	}
	return 0, false
}

// heldRatio is the share of the delivered that were head-of-line blocked; of a
// transport that does not order messages it is 0 by definition.
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
