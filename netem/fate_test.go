package netem

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestFateByTime: two senders that have nothing in common but the clock see the
// same lost ticks, whatever the model.
func TestFateByTime(t *testing.T) {
	const ticks, ms = 50_000, int64(1e6)
	for _, spec := range []string{"loss 10%", "loss 30% 20%", "loss gemodel 2% 20%", "loss gemodel 5% 20% 70% 1%", "loss state 3% 40% 10% 60% 0.2%"} {
		// watch sends packets of its own schedule and notes what each tick does.
		watch := func(seed uint64, gap func(n int) int64) (fates [ticks]int8) { // 0: nothing sent, 1: received, 2: lost
			d := NewDirection(parse(t, spec), seed, WithFate(FateByTime))
			d.StartClock(77)
			var v Verdict
			now := int64(77)
			for n := 0; (now-77)/ms < ticks; n++ {
				d.Admit(now, 1000, 0, &v)
				fate := int8(1 + v.Lost)
				tick := (now - 77) / ms
				if was := fates[tick]; was != 0 && was != fate {
					t.Fatalf("%s: two fates in tick %d", spec, tick)
				}
				fates[tick] = fate
				now += gap(n)
			}
			return fates
		}
		draws := newStream(1, drawJitter)
		a := watch(3, func(int) int64 { return 250_000 })
		b := watch(3, func(n int) int64 { return int64(draws.uint32(uint64(n)) % 9e6) })
		c := watch(3, func(n int) int64 { // bursts and long pauses
			if n%100 == 99 {
				return 700 * ms
			}
			return 1
		})
		other := watch(4, func(int) int64 { return 250_000 })
		lost, differ := 0, 0
		for k := range a {
			if a[k] == 0 || b[k] != 0 && a[k] != b[k] || c[k] != 0 && a[k] != c[k] {
				t.Fatalf("%s: tick %d is %d, %d and %d", spec, k, a[k], b[k], c[k])
			}
			if a[k] == 2 {
				lost++
			}
			if a[k] != other[k] {
				differ++
			}
		}
		rate := parse(t, spec).Loss.Rate()
		t.Logf("%s: %.4f of the ticks lost, law %.4f", spec, float64(lost)/ticks, rate)
		if got := float64(lost) / ticks; math.Abs(got-rate) > 0.1*rate+0.002 || differ == 0 {
			t.Errorf("%s: %.4f of the ticks lost, law %.4f; %d differ with another seed", spec, got, rate, differ)
		}
	}
}

// TestFateByTimeKeepsTheLaw over a million ticks, and its bursts are geometric
// in ticks, however many packets each has.
func TestFateByTimeKeepsTheLaw(t *testing.T) {
	d := NewDirection(parse(t, "loss gemodel 2% 25%"), lawSeed, WithFate(FateByTime))
	var v Verdict
	var lost tally
	counts, run := make([]int, 8), 0
	for n := range lawPackets {
		d.Admit(int64(n)*1e6, 1000, 0, &v)
		lost.count(n, v.Lost == 1)
		if v.Lost == 1 {
			run++
		} else if run > 0 {
			counts[min(run, len(counts))-1]++
			run = 0
		}
	}
	lost.check(t, "loss gemodel 2% 25% by time", 0.02/0.27)
	chiSquareLaw(t, "bursts by time", counts, geometric(0.25, len(counts)))
}

func TestFateOptions(t *testing.T) {
	for word, want := range map[string]Fate{"": FateByPacket, "packet": FateByPacket, "time": FateByTime} {
		if f, err := ParseFate(word); f != want || err != nil {
			t.Errorf("ParseFate(%q) = %q, %v", word, f, err)
		}
	}
	if _, err := ParseFate("tick"); err == nil || err.Error() != `unknown fate "tick": want packet or time` {
		t.Error(err)
	}
	lost := func(period time.Duration, options ...Option) (s string) {
		d := NewDirection(parse(t, "loss 30%"), 9, options...)
		var v Verdict
		for n := range int64(60) {
			d.Admit(n*period.Nanoseconds(), 1000, 0, &v)
			s += fmt.Sprint(v.Lost)
		}
		return s
	}
	if a, b := lost(time.Millisecond), lost(time.Second, WithFate(FateByPacket)); a != b {
		t.Error("by packet, time matters")
	}
	if a, b := lost(time.Millisecond, WithFate(FateByTime)), lost(50*time.Millisecond, WithTick(50*time.Millisecond)); a != b {
		t.Errorf("ticks of 1 and 50 ms, a packet in each:\n%s\n%s", a, b)
	}
	// A list is of packets, whatever the fate.
	d := NewDirection(parse(t, "loss list 1,3"), 9, WithFate(FateByTime))
	var v Verdict
	for n, want := range []int{0, 1, 0, 1, 0} {
		if d.Admit(5, 1000, 0, &v); v.Lost != want {
			t.Errorf("packet %d: %+v", n, v)
		}
	}
	// The clock starts again where it is told to.
	d = NewDirection(parse(t, "loss gemodel 20% 30%"), 9, WithFate(FateByTime))
	var first, second string
	for n := range int64(200) {
		d.Admit(n*1e6, 1000, 0, &v)
		first += fmt.Sprint(v.Lost)
	}
	d.StartClock(1e9)
	for n := range int64(200) {
		d.Admit(1e9+n*1e6, 1000, 0, &v)
		second += fmt.Sprint(v.Lost)
	}
	if first != second {
		t.Errorf("after StartClock:\n%s\n%s", first, second)
	}
	// A pause of a year is made up for at once, and not for nothing.
	d.Admit(1e9+365*24*3600e9, 1000, 0, &v)
}

// TestSeedOfItsOwn: a seed in the specification takes the place of the direction's.
func TestSeedOfItsOwn(t *testing.T) {
	fates := func(spec string, seed uint64) (s string) {
		d := NewDirection(parse(t, spec), seed)
		var v Verdict
		for n := range int64(100) {
			d.Admit(n*1e6, 1000, 0, &v)
			s += fmt.Sprint(v.Lost, v.Copies[0].Due, " ")
		}
		return s
	}
	const spec = "loss 30% delay 9ms 4ms"
	if fates(spec+" seed 7", 1) != fates(spec, 7) || fates(spec+" seed 7", 1) != fates(spec+" seed 7", 2) || fates(spec, 1) == fates(spec, 7) {
		t.Error("the seed does not matter as it should")
	}
}

// TestChange: the numbers of packets go on, and with them the draws; the busy
// link stays busy.
func TestChange(t *testing.T) {
	const before = "delay 10ms 3ms loss 20% duplicate 10% corrupt 10%"
	a, b := NewDirection(parse(t, before), 5), NewDirection(parse(t, before), 5)
	var va, vb Verdict
	for n := range int64(1000) {
		switch n {
		case 300:
			b.Change(parse(t, before+" reorder 0% rate 1gbit limit 99"))
		case 400:
			b.Change(Impairment{})
		case 500:
			b.Change(parse(t, before))
		}
		a.Admit(n*1e6, 1000, 0, &va)
		b.Admit(n*1e6, 1000, 0, &vb)
		switch {
		case n < 300 || n >= 500:
			if va != vb {
				t.Fatalf("packet %d: %+v and %+v", n, va, vb)
			}
		case n < 400:
			if va.Lost != vb.Lost || va.N != vb.N || va.Copies[0].Draw != vb.Copies[0].Draw {
				t.Fatalf("packet %d: %+v and %+v", n, va, vb)
			}
		default:
			if vb.N != 1 || vb.Copies[0] != (Copy{Due: n * 1e6}) {
				t.Fatalf("packet %d: %+v", n, vb)
			}
		}
	}

	// A blackout and back, with a chain that goes on where it was.
	a, b = NewDirection(parse(t, "loss gemodel 5% 10% rate 8mbit"), 5), NewDirection(parse(t, "loss gemodel 5% 10% rate 8mbit"), 5)
	for n := range int64(1000) {
		b.Change(parse(t, "loss gemodel 5% 10% rate 8mbit limit 50"))
		a.Admit(n*1e6, 1000, 0, &va)
		b.Admit(n*1e6, 1000, 0, &vb)
		if va != vb {
			t.Fatalf("packet %d: %+v and %+v", n, va, vb)
		}
	}

	// The rate changes under a queue: what is admitted keeps its time, what comes
	// waits for it.
	d := NewDirection(parse(t, "rate 8mbit"), 5)
	for range 5 {
		d.Admit(0, 1000, 0, &va)
	}
	d.Change(parse(t, "rate 80mbit"))
	if d.Admit(0, 1000, 0, &va); va.Copies[0].Due != 5_100_000 {
		t.Errorf("after a rate step: %+v", va.Copies[0])
	}
	// The tokens stay.
	d = NewDirection(parse(t, "rate 8mbit queue tbf 5000"), 5)
	for range 5 {
		d.Admit(0, 1000, 0, &va)
	}
	d.Change(parse(t, "rate 8mbit queue tbf 4000"))
	if d.Admit(0, 1000, 0, &va); va.Copies[0].Due != 1e6 {
		t.Errorf("an empty bucket: %+v", va.Copies[0])
	}
	// In time, an unchanged loss model meets the ticks that it would have met,
	// and a new one is where it would be had it been there from the beginning.
	for _, spec := range []string{"loss gemodel 5% 10%", "loss 20%"} {
		a, b = NewDirection(parse(t, spec), 5, WithFate(FateByTime)), NewDirection(parse(t, spec), 5, WithFate(FateByTime))
		c := NewDirection(parse(t, ""), 5, WithFate(FateByTime))
		var vc Verdict
		for n := range int64(2000) {
			if n == 700 {
				b.Change(parse(t, spec+" delay 5ms"))
				c.Change(parse(t, spec))
			}
			a.Admit(n*1e6, 1000, 0, &va)
			b.Admit(n*1e6, 1000, 0, &vb)
			c.Admit(n*1e6, 1000, 0, &vc)
			if va.Lost != vb.Lost || n >= 700 && va.Lost != vc.Lost {
				t.Fatalf("%s: tick %d: %+v, %+v, %+v", spec, n, va, vb, vc)
			}
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Change took an invalid impairment")
			}
		}()
		d.Change(Impairment{Delay: -1})
	}()
}
