package ledger

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// ordered is an ordered transport: message n is sent at n·period, would come
// after delay(n), and waits for all before it.
func ordered(l *Ledger, count int, period int64, delay func(n int) int64) {
	var last int64
	for n := range count {
		sent := int64(n) * period
		last = max(last, sent+delay(n))
		l.Arrive(uint64(n), sent, sent, last, 100)
	}
}

// One loss in a pipelined TCP stream (RACK, RFC 8985): the lost message comes
// after L0 = OWD + RTT + min(3T, max(T, RTT/4)), follower j after
// max(OWD, L0 − jT).
func TestHeldBehindOneLoss(t *testing.T) {
	for _, c := range []struct{ owd, period int64 }{
		{25 * ms, 20 * ms}, {25 * ms, 50 * ms}, {50 * ms, 20 * ms}, {50 * ms, ms}, {5 * ms, ms / 10}, {100 * ms, 7 * ms},
	} {
		rtt := 2 * c.owd
		late := c.owd + rtt + min(3*c.period, max(c.period, rtt/4))
		l := New(Config{Ordered: true, Messages: true})
		ordered(l, 4000, c.period, func(n int) int64 {
			if n == 30 {
				return late
			}
			return c.owd
		})
		// Followers that waited more than a millisecond.
		var waits []int64
		for j := int64(1); late-j*c.period-c.owd > HeldMin; j++ {
			waits = append([]int64{late - j*c.period - c.owd}, waits...)
		}
		m := l.Report(Sent{Sent: 4000})
		s := m.Stall
		held := int64(len(waits))
		equal(t, "held", *s.Held, held)
		if got, want := m.Messages.Held, [][2]int64{{31, 30 + held}}; !slices.Equal(got, want) {
			t.Errorf("held are %v, want %v", got, want)
		}
		equal(t, "released together", *s.ReleasedMax, held+1)
		equal(t, "exact", s.Exact, false)
		equal(t, "silence", *s.LongestSilenceNS, late-c.owd+c.period)
		about(t, "held p50", &s.HeldNS.P50, rank(waits, 500, len(waits)))
		about(t, "held p99", &s.HeldNS.P99, rank(waits, 990, len(waits)))
		equal(t, "held max", s.HeldNS.Max, waits[held-1])
		// ⌈(L0 − OWD)/T⌉ are held back, but for those within the millisecond.
		law := (late - c.owd + c.period - 1) / c.period
		if got := *s.ReleasedMax; got > law || got < law-1-HeldMin/c.period {
			t.Errorf("released %d, law %d", got, law)
		}
	}
}

// The delays that were measured on a real stack: OWD 25 ms, T 20 ms.
func TestHeldAsMeasured(t *testing.T) {
	l := New(Config{Ordered: true})
	delays := []float64{25.2, 25.4, 25.3, 91.5, 75.4, 55.4, 35.4, 25.4, 25.2}
	for n, d := range delays {
		sent := int64(n) * 20 * ms
		l.Arrive(uint64(n), sent, sent, sent+int64(d*float64(ms)), 100)
	}
	s := l.Report(Sent{Sent: int64(len(delays))}).Stall
	equal(t, "held", *s.Held, 3)
	equal(t, "released together", *s.ReleasedMax, 4)
	near(t, "held max", float64(s.HeldNS.Max), 50.2*float64(ms), 0.2*float64(ms))
	near(t, "held p50", float64(s.HeldNS.P50), 30.2*float64(ms), 0.2*float64(ms))
}

// What is released in one go takes several reads.
func TestHeldAcrossReads(t *testing.T) {
	const period, owd, late = ms / 10, 25 * ms, 75 * ms
	l := New(Config{Ordered: true})
	for n := range int64(3000) {
		sent := n * period
		at := sent + owd
		if release := 1000*period + late; n >= 1000 && at < release {
			at = release + (n-1000+63)/64*300_000 // 64 messages a read, a read in 0.3 ms
		}
		l.Arrive(uint64(n), sent, sent, at, 100)
	}
	s := l.Report(Sent{Sent: 3000}).Stall
	near(t, "held", float64(*s.Held), 490, 10)
	near(t, "held max", float64(s.HeldNS.Max), float64(late-owd), float64(ms))
}

// A queue that builds up and drains delays everything, and holds nothing.
func TestQueueHoldsNothing(t *testing.T) {
	l := New(Config{Ordered: true})
	ordered(l, 4000, ms, func(n int) int64 {
		ramp := int64(n % 1000)
		return 20*ms + min(ramp, 1000-ramp)*ms/10
	})
	s := l.Report(Sent{Sent: 4000}).Stall
	equal(t, "held", *s.Held, 0)
	equal(t, "released together", *s.ReleasedMax, 0)
	if s.HeldNS != nil {
		t.Error("nothing was held, so there are no waits")
	}
}

// Behind a standing queue the wait is that for the late message, without the
// queue's.
func TestHeldOnTopOfQueue(t *testing.T) {
	l := New(Config{Ordered: true})
	ordered(l, 2000, 10*ms, func(n int) int64 {
		switch {
		case n < 500:
			return 20 * ms
		case n == 1500:
			return 165 * ms
		}
		return 120 * ms
	})
	s := l.Report(Sent{Sent: 2000}).Stall
	// 500 comes 100 ms later than the one before: the queue is there at once,
	// and nothing came with it.
	equal(t, "held", *s.Held, 4)
	near(t, "held max", float64(s.HeldNS.Max), float64(35*ms), float64(ms)/10)
	equal(t, "released together", *s.ReleasedMax, 5)
}

// Two losses close together: the second late message begins a group of its
// own.
func TestTwoGroups(t *testing.T) {
	l := New(Config{Ordered: true})
	ordered(l, 100, 20*ms, func(n int) int64 {
		switch n {
		case 50, 52:
			return 95 * ms
		}
		return 25 * ms
	})
	// 51 with 50; 53, 54, 55 with 52.
	s := l.Report(Sent{Sent: 100}).Stall
	equal(t, "held", *s.Held, 4)
	equal(t, "released together", *s.ReleasedMax, 4)
}

// Order enforced over jitter: the estimate against what the model knows.
func TestHeldOverJitter(t *testing.T) {
	const n, period = 50_000, 2 * ms
	draws := rand.New(rand.NewPCG(3550, 0))
	own := make([]int64, n)
	var held, waited, last int64
	for i := range own {
		own[i] = 20*ms + draws.Int64N(ms/2)
		if draws.Float64() < 0.01 {
			own[i] += 40 * ms
		}
		due := int64(i)*period + own[i]
		if last-due > HeldMin {
			held++
			waited += last - due
		}
		last = max(last, due)
	}
	l := New(Config{Ordered: true})
	ordered(l, n, period, func(i int) int64 { return own[i] })
	s := l.Report(Sent{Sent: n}).Stall
	near(t, "held", float64(*s.Held), float64(held), 0.05*float64(held))
	near(t, "held p50", float64(s.HeldNS.P50), 20*float64(ms), 2*float64(ms))
	near(t, "mean wait of the model", float64(waited)/float64(held), 20*float64(ms), 2*float64(ms))
}

// After an outage a slow link drains its queue a little faster than it fills:
// nothing of that waits for a late message.
func TestDrainHoldsNothing(t *testing.T) {
	l := New(Config{Ordered: true})
	var at int64
	for n := range int64(200) {
		at = max(at+8*ms, n*10*ms+20*ms)
		if n == 50 {
			at += 100 * ms
		}
		l.Arrive(uint64(n), n*10*ms, n*10*ms, at, 100)
	}
	equal(t, "held", *l.Report(Sent{Sent: 200}).Stall.Held, 0)
}

func TestUsualTransit(t *testing.T) {
	s := newStall(true)
	for i, c := range []struct{ transit, usual int64 }{
		{20_000_000, 20_000_000},
		{20_800_000, 20_100_000}, // an eighth up
		{90_000_000, 20_100_000}, // late
		{19_000_000, 19_000_000}, // down at once
		{-19_000_000, -19_000_000},
	} {
		sent := int64(i) * 100 * ms
		s.arrive(sent, sent+c.transit)
		equal(t, "usual", s.usual, c.usual)
	}
}

func TestUnorderedHoldsNothing(t *testing.T) {
	l := New(Config{})
	enter(l, ms, 1, 2, 3)
	s := l.Report(Sent{Sent: 3}).Stall
	if s.Held != nil || s.HeldNS != nil || s.ReleasedMax != nil {
		t.Errorf("held in a transport without order: %+v", s)
	}
}
