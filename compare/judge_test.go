package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"netcmp/result"
)

// made is a trial whose delays are given, of so many messages sent.
func made(arm string, block int, sent int64, datagrams bool, delays ...time.Duration) *result.Document {
	n := int64(len(delays))
	d := &result.Document{Schema: result.Schema, Proto: arm, Trial: &result.Trial{Arm: arm, Block: block}}
	d.Plan.RatePerS = 500
	d.Delivery = result.Delivery{Scheduled: sent, Sent: sent, Delivered: &n, Lost: new(sent - n), Ratio: new(float64(n) / float64(sent))}
	d.Delay = &result.Delay{}
	for i, v := range delays { // ascending
		d.Delay.Distribution = append(d.Delay.Distribution, [2]int64{int64(v), 1})
		if i == len(delays)/2 {
			d.Delay.P50NS = new(int64(v))
		}
	}
	if n == sent {
		d.Delay.P99NS = new(int64(delays[n-1]))
	}
	d.Stall = &result.Stall{}
	if datagrams {
		d.Account = &result.Account{Unexplained: new(int64(0))}
	} else {
		d.Stall.Held = new(n / 10)
	}
	return d
}

// noisy are two arms' trials: what is measured of the second is factor times
// what is of the first, and both have the machine's noise.
func noisy(r *rand.Rand, blocks int, factor float64) (result.ComparisonPlan, []*result.Document) {
	plan := result.ComparisonPlan{Arms: []string{"a", "b"}, Repeat: blocks}
	var trials []*result.Document
	for block := range blocks {
		for i, arm := range plan.Arms {
			scale := math.Pow(factor, float64(i))
			around := func(ms float64) int64 { return int64(ms * scale * 1e6 * math.Exp(0.1*r.NormFloat64())) }
			d := made(arm, block, 2, false, 20*time.Millisecond, 20*time.Millisecond)
			d.Delay.P50NS, d.Delay.P99NS = new(around(20)), new(around(60))
			d.Setup.FirstMessageNS = new(around(40))
			d.Cost.SenderCPUPerMessageNS, d.Cost.ReceiverCPUPerMessageNS = new(around(0.1)), new(around(0.05))
			d.Cost.SendCallsNS, d.Cost.ReceiveCallsNS = new(around(0.02)), new(around(0.01))
			d.Wire = &result.Wire{OverheadRatio: new(1 + 0.1*math.Exp(0.1*r.NormFloat64()))}
			d.Stall.Held = new(int64(0))
			trials = append(trials, d)
		}
	}
	return plan, trials
}

func decided(x *result.Comparison) (metrics []string) {
	for _, d := range x.Differences {
		if d.Verdict != result.CannotTell {
			metrics = append(metrics, d.Metric+"="+d.Verdict)
		}
	}
	return metrics
}

// Two arms that do not differ are told apart in one comparison of twenty at the
// most, by whatever metric; with the trials drawn from a fixed seed.
func TestAlikeAreNotToldApart(t *testing.T) {
	if testing.Short() {
		t.Skip("arithmetic in one goroutine, which the first run has held")
	}
	r := rand.New(rand.NewPCG(1, 2))
	const comparisons = 2000
	for _, blocks := range []int{6, 10, 20} {
		wrong := 0
		for range comparisons {
			if len(decided(Judge(noisy(r, blocks, 1)))) > 0 {
				wrong++
			}
		}
		t.Logf("%d blocks: told apart in %d of %d", blocks, wrong, comparisons)
		if wrong > comparisons/20 {
			t.Errorf("%d blocks: told apart in %d of %d", blocks, wrong, comparisons)
		}
	}
}

// What is twice as slow is found in every comparison.
func TestTwiceIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		got := strings.Join(decided(Judge(noisy(r, DefaultRepeat, 2))), " ")
		for _, want := range []string{"delay_p50_ns=a", "delay_p99_ns=a", "first_message_ns=a", "receive_calls_ns=a"} {
			if !strings.Contains(got, want) {
				t.Fatalf("%s is missing: %s", want, got)
			}
		}
	}
}

// Too few trials decide nothing, and say so.
func TestTooFew(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x := Judge(noisy(r, fewest-1, 10))
	if d := decided(x); len(d) > 0 {
		t.Errorf("decided %v", d)
	}
	if !strings.Contains(x.Verdict[0], "at least 6 samples") {
		t.Errorf("it says %q", x.Verdict)
	}
	for _, f := range x.Table {
		if f.CILow != nil || f.CIHigh != nil {
			t.Errorf("%s of %s has an interval", f.Metric, f.Arm)
		}
	}
}

// Letters that lose a tenth and come in 20 ms, against a call that is complete
// after 200 ms: the call is ahead from there on, as is said.
func TestCrossing(t *testing.T) {
	plan := result.ComparisonPlan{Arms: []string{"tcp", "udp"}, Repeat: 6}
	var trials []*result.Document
	for block := range 6 {
		var letters, call []time.Duration
		for i := range 100 {
			if i < 90 {
				letters = append(letters, 20*time.Millisecond)
			}
			if i < 50 {
				call = append(call, 20*time.Millisecond)
			} else {
				call = append(call, 200*time.Millisecond)
			}
		}
		trials = append(trials, made("udp", block, 100, true, letters...), made("tcp", block, 100, false, call...))
	}
	x := Judge(plan, trials)
	all := strings.Join(x.Verdict, "\n")
	if !strings.Contains(all, "Deadline below 200 ms (95 %: 200 ms–200 ms): choose udp. Above: choose tcp.") {
		t.Error(all)
	}
	for _, c := range x.Usable {
		for _, p := range c.Points {
			want := 0.0
			switch {
			case p.WithinNS < 20e6:
			case c.Arm == "udp":
				want = 0.9
			case p.WithinNS < 200e6:
				want = 0.5
			default:
				want = 1
			}
			if p.Ratio != want {
				t.Errorf("%s within %v: %v, want %v", c.Arm, time.Duration(p.WithinNS), p.Ratio, want)
			}
		}
	}
}

// An account that does not add up takes the verdict away.
func TestUnexplained(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	plan, trials := noisy(r, 6, 2)
	trials[3].Account = &result.Account{Unexplained: new(int64(2))}
	if v := Judge(plan, trials).Verdict; len(v) != 1 || !strings.Contains(v[0], "No verdict: 2 messages of b are unexplained") {
		t.Errorf("it says %q", v)
	}
}

// The seed of a block is the comparison's and the block's alone, and no two of a
// comparison are alike.
func TestSeeds(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(50) {
		for block := range 50 {
			at := fmt.Sprint(seed, " ", block)
			s := SeedOf(seed, block)
			if s != SeedOf(seed, block) || seen[s] != "" && strings.HasPrefix(seen[s], fmt.Sprint(seed, " ")) {
				t.Errorf("%s and %s: %d", seen[s], at, s)
			}
			seen[s] = at
		}
	}
}

// A reader is told that some had a session to resume and others none; udp, which
// has no handshake, is neither.
func TestResumedBesideWhole(t *testing.T) {
	var trials []*result.Document
	for _, proto := range []string{"udp", "tcp", "quic", "tls"} {
		d := made(proto, 0, 2, false, 20*time.Millisecond, 20*time.Millisecond)
		d.Proto, d.Plan.Resume = proto, proto != "tcp" && proto != "udp"
		if proto != "udp" {
			d.Setup.ConnectNS = new(int64(1))
		}
		trials = append(trials, d)
	}
	plan := result.ComparisonPlan{Arms: []string{"udp", "tcp", "quic", "tls"}, Repeat: 1}
	is := func(w string) bool { return strings.HasPrefix(w, "quic, tls resumed a session, tcp had none") }
	if w := Judge(plan, trials).Warnings; !slices.ContainsFunc(w, is) {
		t.Errorf("warnings: %q", w)
	}
	if w := Judge(plan, trials[2:]).Warnings; slices.ContainsFunc(w, is) {
		t.Errorf("warnings of those that all resumed: %q", w)
	}
}
