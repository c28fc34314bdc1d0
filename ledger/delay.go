package ledger

import (
	"math"

	"netcmp/result"
)

// delay measures one-way delay from the planned time of sending, so that a
// sender that was held up hides nothing, and interarrival jitter.
type delay struct {
	spread  histogram
	moments moments

	jitter         float64
	prevAt, prevTx int64
}

func newDelay() delay { return delay{spread: newHistogram()} }

// arrive enters a delay and its place in a histogram. Jitter is RFC 3550's
// (§6.4.1): with D = (Rj − Sj) − (Ri − Si) of successive arrivals,
// J += (|D| − J)/16. S is when the message was really sent: jitter is the
// path's.
func (d *delay) arrive(v int64, place int, sent, at int64) {
	if d.moments.n > 0 {
		diff := float64(at-d.prevAt) - float64(sent-d.prevTx)
		d.jitter += (math.Abs(diff) - d.jitter) / 16
	}
	d.prevAt, d.prevTx = at, sent
	d.moments.add(v)
	d.spread.recordAt(place, v)
}

// report takes percentiles over among messages, of which those that never
// came are infinitely late (RFC 7679 has the delay of a lost packet
// "undefined (informally, infinite)"). Everything else is of the delivered.
// It leaves IPDV to others.
func (d *delay) report(among int64) *result.Delay {
	if d.moments.n == 0 {
		return &result.Delay{}
	}
	r := &result.Delay{
		MinNS:    new(d.spread.min),
		MeanNS:   new(d.moments.mean()),
		P50NS:    d.spread.percentile(500, among),
		P90NS:    d.spread.percentile(900, among),
		P99NS:    d.spread.percentile(990, among),
		P999NS:   d.spread.percentile(999, among),
		MaxNS:    new(d.spread.max),
		StddevNS: new(d.moments.deviation()),

		Distribution: d.spread.bins(),
	}
	if d.moments.n > 1 {
		// A jitter beyond maxDelay comes of a peer's absurd send times.
		r.JitterNS = new(int64(math.Round(min(d.jitter, maxDelay))))
	}
	return r
}
