package compare

import (
	"math/rand/v2"
	"strings"
	"testing"

	"netcmp/result"
)

// Of two arms, the second twice as slow: what is said of each trial, of a median
// and of the two.
func TestExpect(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	x := Judge(noisy(r, DefaultRepeat, 2))
	few := Judge(noisy(r, fewest-1, 2))
	alike := Judge(noisy(r, DefaultRepeat, 1))
	plan, lossy := noisy(r, DefaultRepeat, 1)
	for _, d := range lossy {
		d.Delay.P99NS, d.Delivery.Lost = nil, new(int64(1))
	}
	c := Config{Arms: []Arm{{Label: "a"}, {Label: "b"}}}
	for _, q := range []struct {
		of        *result.Comparison
		condition string
		fail      int // outcomes that do not hold
		says      string
	}{
		{x, "a:delivery.ratio==1", 0, "a, block 6: expect delivery.ratio==1: holds, it is 1"},
		{x, "b:delay.p50_ns<1ms", 6, "b, block 1: expect delay.p50_ns<1ms: does not hold"},
		{x, "a:delay_p50_ns<30ms", 0, "a, median of 6: expect delay_p50_ns<30ms: holds, it is"},
		{x, "b:delay_p50_ns<30ms", 1, "b, median of 6: expect delay_p50_ns<30ms: does not hold, it is"},
		{x, "b:delivery_ratio >= 99.9%", 0, "it is 1"},
		{x, "b:goodput_bps>1mbit", 1, "it was not measured"},
		{x, "b:goodput_bps==null", 0, "it was not measured"},
		{x, "a:delay_p50_ns<b:delay_p50_ns", 0, "holds, it is"},
		{x, "b:delay_p50_ns > a:delay_p50_ns", 0, "holds, it is"},
		{x, "a:delay_p50_ns>b:delay_p50_ns", 1, "does not hold, it is"},
		{x, "b:delay_p50_ns<a:delay_p50_ns", 1, "does not hold, it is"},
		{x, "a:delivery_ratio<b:delivery_ratio", 1, "cannot tell"},
		{x, "a:goodput_bps>b:goodput_bps", 1, "not measured of both"},
		{few, "a:delay_p50_ns<b:delay_p50_ns", 1, "at least 6 samples of each, not 5"},
		{alike, "a:delay_p50_ns<b:delay_p50_ns", 1, "cannot tell"},
		{alike, "a:delay_p50_ns>b:delay_p50_ns", 1, "cannot tell"},
		{Judge(plan, lossy), "a:delay_p99_ns<1s", 1, "infinite"},
		{Judge(plan, lossy), "a:delay_p99_ns<b:delay_p99_ns", 1, "∞ (lost) against ∞ (lost)"},
	} {
		e, err := c.ParseExpect(q.condition)
		if err != nil {
			t.Errorf("%s: %v", q.condition, err)
			continue
		}
		fail := 0
		var said []string
		for _, o := range e.Check(q.of) {
			if !o.Holds {
				fail++
			}
			said = append(said, o.Text)
		}
		if fail != q.fail || !strings.Contains(strings.Join(said, "\n"), q.says) {
			t.Errorf("%s: %d do not hold, want %d and %q in\n%s", q.condition, fail, q.fail, q.says, strings.Join(said, "\n"))
		}
	}
}

// What is better where more of it is better is told apart by the right sign.
func TestExpectMore(t *testing.T) {
	x := &result.Comparison{
		Table: []result.Figure{
			{Metric: "goodput_bps", Arm: "a", N: 6, Median: new(2e6)}, {Metric: "goodput_bps", Arm: "b", N: 6, Median: new(1e6)},
		},
		Differences: []result.Difference{{Metric: "goodput_bps", A: "a", B: "b", N: 6, Verdict: "a"}},
	}
	c := Config{Arms: []Arm{{Label: "a"}, {Label: "b"}}}
	for condition, want := range map[string]bool{
		"a:goodput_bps>b:goodput_bps": true, "a:goodput_bps<b:goodput_bps": false,
		"b:goodput_bps<a:goodput_bps": true, "b:goodput_bps>a:goodput_bps": false,
	} {
		e, err := c.ParseExpect(condition)
		if err != nil {
			t.Fatal(err)
		}
		if o := e.Check(x); len(o) != 1 || o[0].Holds != want {
			t.Errorf("%s: %v, want %v", condition, o, want)
		}
	}
}

// A mistake is told before anything runs, in one line that has what is known.
func TestExpectMistakes(t *testing.T) {
	c := Config{Arms: []Arm{{Label: "udp#1"}, {Label: "udp#2"}}}
	for condition, want := range map[string]string{
		"delivery_ratio>1":                            "known: udp#1, udp#2",
		"udp:delivery_ratio>1":                        "known: udp#1, udp#2",
		"udp#1:delivery_ratio":                        "no operator",
		"udp#1:deliver_ratio>1":                       "metrics: delivery_ratio, reordered_ratio",
		"udp#1:delivery.rato>1":                       "near: delivery.ratio",
		"udp#1:delay_p50_ns<20parsecs":                "parsecs is no unit",
		"udp#1:delay_p50_ns<udp#3:delay_p50_ns":       "known: udp#1, udp#2",
		"udp#1:delay_p50_ns<udp#1:delay_p50_ns":       "no other",
		"udp#1:delay_p50_ns<udp#2:delay_p99_ns":       "one metric",
		"udp#1:delay_p50_ns<=udp#2:delay_p50_ns":      "by < or >",
		"udp#1:reordered_ratio<udp#2:reordered_ratio": "those that do: delivery_ratio, delay_p50_ns",
	} {
		_, err := c.ParseExpect(condition)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "expect") != 1 {
			t.Errorf("%s: %v, want %q", condition, err, want)
		}
	}
}
