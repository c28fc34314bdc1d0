package validation

import (
	"fmt"
	"math"
	"testing"
	"time"

	"netcmp/netem"
	"netcmp/result"
	"netcmp/workload"
)

// setUp: to set a connection up takes whole round trips (RFC 9293 §3.5, RFC 8446
// §2, RFC 9001 §4).
func setUp(t *testing.T, p *part) {
	const roundTrip = 50 * time.Millisecond
	for _, x := range []struct {
		proto, what string
		trips       int
		of          func(result.Setup) *int64
	}{
		{"tcp", "connected", 1, func(s result.Setup) *int64 { return s.ConnectNS }},
		{"tls", "encrypted", 2, func(s result.Setup) *int64 { return s.SecureNS }},
		{"quic", "encrypted", 1, func(s result.Setup) *int64 { return s.SecureNS }},
	} {
		d := try(t, config(t, x.proto, "delay 25ms", "delay 25ms", workload.Plan{Count: 20, Rate: 100}))
		p.Environment = d.Environment
		want, got := time.Duration(x.trips)*roundTrip, time.Duration(*x.of(d.Setup))
		p.add(got >= want && got <= want+5*time.Millisecond, x.proto+" "+x.what,
			fmt.Sprintf("%d × 50 ms", x.trips), ms(float64(got)), "−0/+5 ms")
	}
}

// thinStream: of an idle TCP connection one message is sent, and it and what is
// sent again of it are lost k times. Nothing comes that could draw an
// acknowledgment, so each repair waits for a timer: R0 for the first, and for a
// later one at most twice as long as for the one before (RFC 6298 §5.5).
func thinStream(t *testing.T, p *part) {
	for _, owd := range []time.Duration{5, 25, 50} {
		owd *= time.Millisecond
		for k := 1; k <= 3; k++ {
			// The SYN is packet 0, the answer's acknowledgment 1, the message before 2.
			path := fmt.Sprintf("delay %v loss list 3-%d", owd, 2+k)
			c := config(t, "tcp", path, "delay "+owd.String(), workload.Plan{Count: 2, Size: 200, Rate: 1})
			c.Spec.Congestion = "reno"
			d := try(t, c)
			p.Environment = d.Environment
			if d.Link.Up.Lost != int64(k) {
				t.Fatalf("the path lost %d packets, not %d", d.Link.Up.Lost, k)
			}
			rtt := 2 * owd
			low := owd + (rtt+200*time.Millisecond)<<(k-1)
			high := owd + (rtt+260*time.Millisecond)*(1<<k-1)
			got := time.Duration(*d.Delay.MaxNS)
			p.add(got >= low && got <= high, fmt.Sprintf("delay %v, %d in a row", owd, k), "delay + R0·[2^(k−1), 2^k − 1]",
				ms(float64(got)), fmt.Sprintf("%.0f to %.0f ms", low.Seconds()*1e3, high.Seconds()*1e3))
		}
	}
}

// closedForms are what follows from a path's description by arithmetic. The
// bounds are four standard deviations of so many messages, and are derived
// beside each.
func closedForms(t *testing.T, p *part) {
	run := func(up string, count int64, rate float64) *result.Document {
		c := config(t, "udp", up, "", workload.Plan{Count: count, Size: 200, Rate: rate})
		c.Spec.Messages = true
		d := try(t, c)
		p.Environment = d.Environment
		return d
	}

	// Between two that come lie so many periods T as a geometric law says, so the
	// mean age is D + T·E[X²]/(2·E[X]) = D + T(1+p)/(2(1−p)). Of 2800 such gaps the
	// mean's deviation is some 2.5 % of the second part, 0.07 ms.
	const lost, period, delay = 0.3, 4e6, 10e6
	d := run("delay 10ms loss 30%", 4000, 250)
	age, want := meanAge(d.Messages), delay+period*(1+lost)/(2*(1-lost))
	p.add(math.Abs(age-want) <= 0.3e6, "mean age of information, `delay 10ms loss 30%`, one each 4 ms", fmt.Sprintf("%.2f ms", want/1e6), fmt.Sprintf("%.2f ms", age/1e6), "±0.3 ms")

	// Of two delays drawn evenly from ±J the difference is triangular, its mean
	// size 2J/3 with a deviation of 0.47 J·√(2/n), and the later of two that follow
	// each other after T = J comes first with probability (1 − T/2J)²/2.
	d = run("delay 20ms 4ms", 4000, 250)
	ipdv := meanIPDV(d.Messages)
	p.add(math.Abs(ipdv-2*4e6/3) <= 0.17e6, "mean |IPDV|, `delay 20ms 4ms`", "2J/3 = 2.67 ms", fmt.Sprintf("%.2f ms", ipdv/1e6), "±0.17 ms")
	ratio := *d.Order.ReorderedRatio
	p.add(math.Abs(ratio-0.125) <= 0.025, "reordered, `delay 20ms 4ms`, one each 4 ms", "(1 − T/2J)²/2 = 12.5 %", fmt.Sprintf("%.1f %%", 100*ratio), "±2.5 %")

	// One that is delayed for 9.5 periods is overtaken unless none of the nine
	// after it is sent ahead.
	d = run("delay 9500us reorder 25%", 5000, 1000)
	ratio, want = *d.Order.ReorderedRatio, 0.75*(1-math.Pow(0.75, 9))
	p.add(math.Abs(ratio-want) <= 0.03, "reordered, `delay 9.5ms reorder 25%`, one each ms", fmt.Sprintf("(1−r)(1−(1−r)⁹) = %.1f %%", 100*want), fmt.Sprintf("%.1f %%", 100*ratio), "±3 %")

	// What a path is, it is also for a whole file of draws: the losses that came.
	i, err := netem.Parse("loss gemodel 2% 25%")
	if err != nil {
		t.Fatal(err)
	}
	d = run(i.String(), 10000, 2500)
	got := float64(*d.Delivery.Lost) / float64(d.Delivery.Sent)
	const law = 0.02 / (0.02 + 0.25)
	p.add(math.Abs(got-law) <= 0.027, "lost, `loss gemodel 2% 25%`", fmt.Sprintf("p/(p+r) = %.2f %%", 100*law), fmt.Sprintf("%.2f %%", 100*got), "±2.7 %")
	p.add(d.Loss.PeriodMean != nil && math.Abs(*d.Loss.PeriodMean-4) <= 1.1, "mean burst of losses, the same", "1/r = 4", fmt.Sprintf("%.2f", *d.Loss.PeriodMean), "±1.1")
}

// meanAge is the time's mean of how old the newest message is that has come.
func meanAge(m *result.Messages) float64 {
	var area, from, last float64
	newest := -1
	for i, v := range m.DelayNS {
		if v < 0 {
			continue
		}
		at := float64(m.PlannedNS[i] + v)
		if newest >= 0 {
			before := float64(m.PlannedNS[newest])
			area += ((at-before)*(at-before) - (last-before)*(last-before)) / 2
		} else {
			from = at
		}
		newest, last = i, at
	}
	return area / (last - from)
}

// meanIPDV is the mean size of the difference of delay of two that follow each
// other (RFC 3393).
func meanIPDV(m *result.Messages) float64 {
	var sum, n float64
	for i := 1; i < len(m.DelayNS); i++ {
		if m.DelayNS[i] >= 0 && m.DelayNS[i-1] >= 0 {
			sum += math.Abs(float64(m.DelayNS[i] - m.DelayNS[i-1]))
			n++
		}
	}
	return sum / n
}
