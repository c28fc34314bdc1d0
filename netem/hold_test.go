package netem

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestLongestHold: packets far apart are never held for longer, and nearly as long.
func TestLongestHold(t *testing.T) {
	up := file(t, "up.trace", "1\n5\n5\n25\n40\n")
	for _, c := range []struct {
		spec   string
		length int
		want   time.Duration
		near   float64 // share of it that is reached
	}{
		{"", 1000, 0, 1},
		{"delay 20ms", 1000, 20 * time.Millisecond, 1},
		{"delay 20ms 5ms", 1000, 25 * time.Millisecond, 0.99},
		{"delay 20ms 5ms distribution pareto", 1000, 40 * time.Millisecond, 0.99},
		{"delay 10ms rate 1mbit 0 48 5", 1514, 10*time.Millisecond + 32*53*8*time.Microsecond, 1},
		{"slot 2ms 8ms", 1000, 8 * time.Millisecond, 0.99},
		{"delay 5ms slot 3ms", 1000, 8 * time.Millisecond, 1},
		{"slot distribution pareto 5ms 1ms", 1000, 9 * time.Millisecond, 0.99},
		{"trace " + up, 1514, 20 * time.Millisecond, 0.9},
		{"delay 1ms trace " + up, 1515, 41 * time.Millisecond, 0.8},
	} {
		i := parse(t, c.spec)
		got := i.LongestHold(c.length)
		if d := got - c.want; d < -time.Microsecond || d > 4*time.Microsecond {
			t.Errorf("%s: %v, want %v", c.spec, got, c.want)
		}
		d := NewDirection(i, 3)
		var v Verdict
		longest := int64(0)
		for n := range int64(20_000) {
			now := n * 200_300_000 // far apart, and at every time of the trace
			d.Admit(now, c.length, 0, &v)
			longest = max(longest, v.Copies[0].Due-now)
		}
		if longest > got.Nanoseconds() || float64(longest) < c.near*float64(got) {
			t.Errorf("%s: held for up to %v, LongestHold says %v", c.spec, time.Duration(longest), got)
		}
	}
}

// A full queue leaves at the rate of the link.
func TestLongestQueue(t *testing.T) {
	up := file(t, "up.trace", "1\n5\n5\n25\n40\n") // 5 opportunities in 40 ms
	for _, c := range []struct {
		spec string
		want time.Duration
	}{
		{"delay 20ms", 0},
		{"rate 8mbit", 1000 * 1500 * time.Microsecond},
		{"rate 8mbit limit 10", 10 * 1500 * time.Microsecond},
		{"rate 8mbit 100 limit 10", 10 * 1600 * time.Microsecond},
		{"limit 50 trace " + up, 50 * 8 * time.Millisecond},
		{"rate 8bit limit 4294967295", math.MaxInt64 / 2},
	} {
		if got := parse(t, c.spec).LongestQueue(1500); (got - c.want).Abs() > time.Microsecond {
			t.Errorf("%s: %v, want %v", c.spec, got, c.want)
		}
	}
}

// A blackout is over when packets pass again both ways; one that lasts is no blackout.
func TestLongestBlackout(t *testing.T) {
	for _, c := range []struct {
		spec, changes string
		want          time.Duration
	}{
		{"", "", 0},
		{"loss 100%", "", 0},
		{"loss 5%", "1s loss 100%", 0},
		{"", "1s loss 100%\n36s loss 0%", 35 * time.Second},
		{"", "1s loss 100%\n2s delay 5ms\n36s none", 35 * time.Second},
		{"loss 100%", "35s none", 35 * time.Second},
		{"loss gemodel 10% 1%", "3s none", 3 * time.Second}, // loses 91 %
		{"", "1s up loss 100%\n3s down loss 99%\n4s up none\n6s down none", 5 * time.Second},
		{"", "1s loss 100%\n2s none\n3s loss 100%\n7s none\n8s loss 100%", 4 * time.Second},
		{"loss list 1-5", "1s none", 0},
	} {
		p := path(t, c.spec, c.spec)
		changes, err := p.Timeline(strings.Split(c.changes, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.LongestBlackout(changes); got != c.want {
			t.Errorf("%q, %q: %v, want %v", c.spec, c.changes, got, c.want)
		}
	}
}

// A trace may last far longer than any delay, and a packet waits for its next opportunity
// through a gap of any length.
func TestLongTrace(t *testing.T) {
	long := file(t, "long.trace", "10\n20\n345600000\n") // 4 days
	i := parse(t, "trace "+long)
	d := NewDirection(i, 1)
	var v Verdict
	for _, c := range []struct{ at, due time.Duration }{
		{0, 10 * time.Millisecond},
		{11 * time.Millisecond, 20 * time.Millisecond},
		{300 * time.Second, MaxTrace},
		{MaxTrace + time.Millisecond, MaxTrace + 10*time.Millisecond},
	} {
		d.Admit(int64(c.at), 1514, 0, &v)
		if due := time.Duration(v.Copies[0].Due); due != c.due {
			t.Errorf("a packet at %v leaves at %v, want %v", c.at, due, c.due)
		}
	}
	if got, want := i.LongestHold(1514), MaxTrace-20*time.Millisecond; got != want {
		t.Errorf("held for up to %v, want %v", got, want)
	}
	if _, err := Parse("trace " + file(t, "longer.trace", "345600001\n")); err == nil || !strings.Contains(err.Error(), "want milliseconds from 0 to 345600000, 4 days") {
		t.Errorf("a trace above MaxTrace: %v", err)
	}
}
