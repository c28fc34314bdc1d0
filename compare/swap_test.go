package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"netcmp/result"
)

// Whichever arm is named first, the verdict is the same: intervals are mirrored, the
// better arm is the same one, and the sentences say the same. Of any number of blocks.
func TestSwappingTheArmsSwapsTheVerdict(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := 2; n <= 60; n++ {
		for _, factor := range []float64{1, 1.05, 1.5} {
			plan, trials := noisy(r, n, factor)
			letters(r, trials)
			swapped := plan
			swapped.Arms = []string{"b", "a"}
			one, other := Judge(plan, trials), Judge(swapped, trials)
			if len(one.Differences) != len(other.Differences) {
				t.Fatalf("%d blocks: %d differences, %d swapped", n, len(one.Differences), len(other.Differences))
			}
			for i, d := range one.Differences {
				mirrored := other.Differences[i]
				if err := mirror(d, mirrored); err != "" {
					t.Errorf("%d blocks, %s: %s: %+v against %+v", n, d.Metric, err, d, mirrored)
				}
			}
			same := func(x *result.Comparison) []string {
				all := slices.Clone(x.Verdict)
				for i, s := range all { // two that are best are named in the order of the arms
					all[i] = strings.ReplaceAll(s, "b and a", "a and b")
				}
				slices.Sort(all)
				return all
			}
			if a, b := same(one), same(other); !slices.Equal(a, b) {
				t.Errorf("%d blocks:\n%s\nswapped:\n%s", n, strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
		}
	}
}

// letters makes the first arm lose a tenth and the second one late, so that there is a
// deadline at which they change places.
func letters(r *rand.Rand, trials []*result.Document) {
	for _, d := range trials {
		var delays []time.Duration
		for i := range 100 {
			late := time.Duration(r.IntN(20)) * time.Millisecond
			switch {
			case d.Trial.Arm == "a" && i < 90:
				delays = append(delays, 20*time.Millisecond+late)
			case d.Trial.Arm == "b":
				delays = append(delays, 20*time.Millisecond+time.Duration(i)*2*time.Millisecond+late)
			}
		}
		slices.Sort(delays)
		x := made(d.Trial.Arm, d.Trial.Block, 100, d.Trial.Arm == "a", delays...)
		x.Setup, x.Cost, x.Wire = d.Setup, d.Cost, d.Wire
		*d = *x
	}
}

// mirror holds two differences against each other, of which one is swapped.
func mirror(d, m result.Difference) string {
	opposite := map[string]string{"a": "b", "b": "a", result.CannotTell: result.CannotTell}
	negated := func(x, y *float64) bool { return (x == nil) == (y == nil) && (x == nil || *x == -*y) }
	switch {
	case d.A != m.B || d.B != m.A || d.N != m.N:
		return "other arms"
	case m.Verdict != opposite[d.Verdict]:
		return "other verdict"
	case !negated(d.Difference, m.Difference), !negated(d.CILow, m.CIHigh), !negated(d.CIHigh, m.CILow):
		return "other interval"
	case (d.P == nil) != (m.P == nil) || d.P != nil && *d.P != *m.P:
		return "other p"
	}
	return ""
}

// The interval's ends are the k-th from either side, and its coverage is what it says:
// with one more inside it would be less.
func TestOrderStatistic(t *testing.T) {
	coverage := func(n, k int) float64 { // of the k-th least and the k-th greatest
		inside, term := 0.0, math.Pow(0.5, float64(n))
		for i := range n + 1 {
			if i >= k && i <= n-k {
				inside += term
			}
			term *= float64(n-i) / float64(i+1)
		}
		return inside
	}
	for n := 1; n <= repeatMax; n++ {
		k := orderStatistic(n)
		if k > 0 && coverage(n, k) < confidence {
			t.Errorf("n = %d: k = %d covers %v", n, k, coverage(n, k))
		}
		if next := k + 1; next <= n/2 && coverage(n, next) >= confidence {
			t.Errorf("n = %d: k = %d is too careful", n, k)
		}
		if (k == 0) != (n < fewest) {
			t.Errorf("n = %d: k = %d", n, k)
		}
	}
}

// A difference that the instrument may have made is none.
func TestInstrumentError(t *testing.T) {
	for _, c := range []struct {
		late time.Duration
		want bool
	}{{0, true}, {9 * time.Millisecond, true}, {11 * time.Millisecond, false}} {
		plan := result.ComparisonPlan{Arms: []string{"a", "b"}, Repeat: 8}
		var trials []*result.Document
		for block := range 8 {
			for i, arm := range plan.Arms {
				d := made(arm, block, 2, false, time.Second, time.Second)
				d.Delay.P50NS = new(int64(20e6) + int64(i)*10e6 + int64(block))
				d.Instrument.LatenessNS = &result.Lateness{Path: &result.Tail{P50: int64(c.late)}}
				trials = append(trials, d)
			}
		}
		told := slices.Contains(decided(Judge(plan, trials)), "delay_p50_ns=a")
		if told != c.want {
			t.Errorf("late by %v, 10 ms apart: told apart %v", c.late, told)
		}
	}
}

// Nothing is said of a deadline that the trials do not show.
func TestNoCrossingWithoutGround(t *testing.T) {
	say := func(blocks int, udp, tcp func(block int) []time.Duration) string {
		plan := result.ComparisonPlan{Arms: []string{"tcp", "udp"}, Repeat: blocks}
		var trials []*result.Document
		for block := range blocks {
			for arm, f := range map[string]func(int) []time.Duration{"udp": udp, "tcp": tcp} {
				delays := f(block)
				d := made(arm, block, 100, arm == "udp", delays...)
				d.Delay.MinNS = new(int64(delays[0]))
				trials = append(trials, d)
			}
		}
		return strings.Join(Judge(plan, trials).Verdict, "\n")
	}
	all := func(n int, at time.Duration) func(int) []time.Duration {
		return func(int) []time.Duration { return slices.Repeat([]time.Duration{at}, n) }
	}
	half := func(a, b func(int) []time.Duration) func(int) []time.Duration {
		return func(block int) []time.Duration {
			if block%2 == 0 {
				return a(block)
			}
			return b(block)
		}
	}
	for name, x := range map[string]struct {
		text string
		want string
	}{
		"few blocks":        {say(5, all(90, 20*time.Millisecond), all(100, 200*time.Millisecond)), ""},
		"no interval":       {say(8, all(90, 20*time.Millisecond), half(all(100, 200*time.Millisecond), all(100, 20*time.Millisecond))), "cannot tell"},
		"alike":             {say(8, all(100, 20*time.Millisecond), all(100, 20*time.Millisecond)), ""},
		"it is always best": {say(8, all(100, 20*time.Millisecond), all(90, 20*time.Millisecond)), "choose udp before tcp"},
	} {
		if strings.Contains(x.text, "Deadline below") || x.want != "" && !strings.Contains(x.text, x.want) {
			t.Errorf("%s: %s", name, x.text)
		}
		if x.want == "" && strings.Contains(x.text, "eadline") {
			t.Errorf("%s: %s", name, x.text)
		}
	}
}
