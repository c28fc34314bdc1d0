package netem

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Warnings says, in a line each, what tc takes and does not do: where the path
// is not the one that its words promise, what it is in figures, and what to
// write instead. netem's surprises are reproduced here, since the emulator and
// the kernel are to be the same path, and so they are to be known.
func (i Impairment) Warnings() []string {
	i = i.canonical()
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }

	i.warnOfLoss(warn)
	i.warnOfCorrelations(warn)
	i.warnOfLimit(warn)
	i.warnOfReordering(warn)
	if l := i.Loss; l != nil && i.Duplicate != 0 {
		if p, d := l.Rate(), i.Duplicate.Float64(); p > 0 {
			warn("duplicate %s with loss %s: a packet that is both passes once, so %s of the packets do not arrive at all and not %s",
				i.Duplicate, l, share(p*(1-d)), share(p))
		}
	}
	if i.Queue.Kind == TokenBucket && i.Queue.Burst < fullFrame {
		warn("queue tbf %d holds less than a full frame of %d bytes, which waits for what it lacks (tc's tbf would drop it): want a burst of %d or more",
			i.Queue.Burst, fullFrame, fullFrame)
	}
	return all
}

type warnFunc func(format string, args ...any)

// share writes a ratio as a percentage of three digits.
func share(x float64) string { return strconv.FormatFloat(100*x, 'g', 3, 64) + "%" }

func (i Impairment) warnOfLoss(warn warnFunc) {
	switch l := i.Loss.(type) {
	case CorrelatedLoss:
		if l.Correlation == Always {
			warn("loss %s repeats its first draw for ever: it loses every packet or none; for bursts, loss gemodel P R", l)
			return
		}
		warn("loss %s really loses %s: correlated draws crowd around 50%%, in netem as here; for %s in bursts, loss %s",
			l, share(l.Rate()), l.Loss, l.bursts())
	case FourState:
		if l.overfull() {
			warn("loss %s: the steps out of a state add up to more than 100%%, which netem counts from 0 again; it loses %s", l, share(l.Rate()))
		}
	}
}

func (i Impairment) warnOfCorrelations(warn warnFunc) {
	if rho := i.DelayCorrelation; rho == Always {
		warn("delay correlation %s repeats the first draw for ever: every packet has the same delay", rho)
	} else if rho != 0 {
		// A remainder forgets what it is of, unless the divisor is comparable to
		// the range of the draws, 2³² ns.
		if i.Distribution == Uniform && 16*i.Jitter.Seconds() > 4.29*(1-rho.Float64()) {
			warn("delay correlation %s is not the correlation of delays: at a jitter of %s it skews them instead; netem takes a remainder of the correlated draw",
				rho, FormatDuration(i.Jitter))
		} else {
			warn("delay correlation %s has no effect: netem takes a remainder of the correlated draw, so delays stay independent; against reordering, noreorder", rho)
		}
	}
	for _, c := range []struct {
		name        string
		p, rho      Probability
		independent bool
	}{
		{"duplicate", i.Duplicate, i.DuplicateCorrelation, i.EffectiveDuplicateCorrelation() == 0},
		{"corrupt", i.Corrupt, i.CorruptCorrelation, false},
		{"reorder", i.Reorder, i.ReorderCorrelation, false},
	} {
		switch {
		case c.rho == 0:
		case c.independent:
			warn("duplicate correlation %s has no effect: tc sends it to the kernel only beside another correlation; leave it out", c.rho)
		case c.rho == Always:
			warn("%s %s %s repeats its first draw for ever: it hits every packet or none", c.name, c.p, c.rho)
		default:
			warn("%s %s %s really hits %s: correlated draws crowd around 50%%, in netem as here; without the correlation it is %s",
				c.name, c.p, c.rho, share(correlatedRate(c.p, c.rho)), c.p)
		}
	}
}

// leastRate is what a path is expected to carry, in packets a second, where no
// rate says so.
const leastRate = 10_000

func (i Impairment) warnOfLimit(warn warnFunc) {
	limit, delay := float64(i.QueueLimit()), i.Delay.Seconds()
	name := fmt.Sprintf("limit %d", i.QueueLimit())
	if i.Limit == 0 {
		name = fmt.Sprintf("the default limit of %d packets", DefaultLimit)
	}
	speed, given := float64(i.Rate), "rate "+i.Rate.String()
	if i.Trace != "" {
		given = "trace " + i.Trace
		if t, err := traceFiles.get(i.Trace); err == nil {
			speed = t.bitRate()
		}
	}
	if speed > 0 {
		// What is on its way through the delay at full speed, without any queue.
		if need := math.Ceil(speed / bitsPerByte / fullFrame * delay); limit < need && delay > 0 {
			most := limit / delay * fullFrame * bitsPerByte
			warn("%s counts the packets in the delay, too, and %s in a delay of %s has %.0f of them: no more than %s of full packets pass, the rest is dropped; add limit %.0f",
				name, given, FormatDuration(i.Delay), need, about3(most), 2*need)
		}
		return
	}
	if most := limit / delay; delay > 0 && most < leastRate {
		warn("%s counts the packets in the delay, too: with a delay of %s no more than %.0f packets a second pass (%s of full ones), the rest is dropped; add limit %.0f or more",
			name, FormatDuration(i.Delay), most, about3(most*fullFrame*bitsPerByte), math.Round(delay*10*leastRate))
	}
}

// about3 writes a rate in bit/s with three digits.
func about3(rate float64) string {
	for _, u := range []struct {
		name  string
		scale float64
	}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}} {
		if rate >= u.scale {
			return strconv.FormatFloat(rate/u.scale, 'g', 3, 64) + u.name
		}
	}
	return strconv.FormatFloat(rate, 'g', 3, 64) + "bit"
}

func (i Impairment) warnOfReordering(warn warnFunc) {
	if i.Reorder == 0 {
		return
	}
	const period = time.Millisecond
	r := i.Reorder.Float64()
	if i.ReorderCorrelation != 0 {
		r = correlatedRate(i.Reorder, i.ReorderCorrelation)
	}
	warn("reorder %s is not the share of reordered packets but of those that go ahead without the delay, and each reorders those before it: with a packet every millisecond %s are reordered",
		i.Reorder, share(reorderedShare(r, i.Gap, i.Delay, period)))
}

// reorderedShare returns the share of packets that are overtaken, if one is sent
// every period: those sent less than the delay before one that goes ahead. The
// intervals between these are gap−1 packets and a geometric number with the
// parameter r.
func reorderedShare(r float64, gap uint32, delay, period time.Duration) float64 {
	if r == 0 {
		return 0
	}
	m := math.Ceil(float64(delay)/float64(period)) - 1 // packets that one can overtake
	must := float64(gap) - 1
	interval := must + 1/r
	// Of the packets between two that go ahead all are overtaken but those with
	// more than m packets to go.
	var spared float64
	if m >= must {
		spared = math.Pow(1-r, m+1-must) / r
	} else {
		spared = must - m + (1-r)/r
	}
	return (interval - 1 - spared) / interval
}
