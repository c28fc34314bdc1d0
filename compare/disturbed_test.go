package compare

import (
	"context"
	"strings"
	"testing"
	"time"

	"netcmp/experiment"
	"netcmp/result"
)

// disturbedConfig is a comparison of udp with itself whose n-th trial, from 0, is
// disturbed where bad says so.
func disturbedConfig(repeat int, bad func(n int) bool) (Config, *int) {
	trials := 0
	c := Config{
		Arms: Arms(experiment.Config{}, []string{"udp", "udp"}), Repeat: repeat, Seed: 1,
		run: func(_ context.Context, x experiment.Config) (*result.Document, error) {
			d := documentOf(10*time.Millisecond, 11*time.Millisecond)
			d.Proto, d.Seed = x.Spec.Proto, result.Uint64(x.Seed)
			d.Trust = &result.Trust{Verdict: result.Good}
			if bad(trials) {
				d.Trust.Verdict = result.Disturbed
			}
			trials++
			return d, nil
		},
	}
	return c, &trials
}

func documentOf(delays ...time.Duration) *result.Document {
	d := made("", 0, int64(len(delays)), true, delays...)
	d.Trial = nil
	return d
}

// A trial that the machine disturbs is made again, and its repeat counts.
func TestDisturbedTrialsAreRepeated(t *testing.T) {
	c, made := disturbedConfig(6, func(n int) bool { return n == 3 || n == 4 })
	var kept int
	c.Kept = func(d *result.Document) error {
		kept++
		if d.IsDisturbed() {
			t.Error("a disturbed trial was kept")
		}
		return nil
	}
	x, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if *made != 14 || x.Repeated != 2 || x.Disturbed != 0 || len(x.Trials) != 12 || kept != 12 {
		t.Errorf("%d made, %d repeated, %d disturbed, %d trials, %d kept", *made, x.Repeated, x.Disturbed, len(x.Trials), kept)
	}
}

// Where the machine disturbs every trial the repeats end, and nothing is judged.
func TestATooBusyMachine(t *testing.T) {
	c, made := disturbedConfig(6, func(int) bool { return true })
	x, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if *made != 24 || x.Repeated != 12 || x.Disturbed != 12 || len(x.Trials) != 12 {
		t.Errorf("%d made, %d repeated, %d disturbed, %d trials", *made, x.Repeated, x.Disturbed, len(x.Trials))
	}
	if len(x.Table) != 0 || len(x.Differences) != 0 || len(x.Usable) != 0 {
		t.Errorf("judged all the same: %v, %v", x.Table, x.Differences)
	}
	if len(x.Verdict) == 0 || !strings.Contains(x.Verdict[0], "12 of 12 trials were disturbed") {
		t.Errorf("verdict %q", x.Verdict)
	}
}

// A disturbed trial is not in the figures, whatever it measured.
func TestDisturbedTrialsAreNotJudged(t *testing.T) {
	plan := result.ComparisonPlan{Arms: []string{"tcp", "udp"}, Repeat: 8}
	var trials []*result.Document
	for block := range 8 {
		for _, arm := range plan.Arms {
			delay := 10 * time.Millisecond
			if block > 5 {
				delay = time.Hour
			}
			d := made(arm, block, 2, arm == "udp", delay, delay)
			if block > 5 {
				d.Trust = &result.Trust{Verdict: result.Disturbed}
			}
			trials = append(trials, d)
		}
	}
	x := Judge(plan, trials)
	if x.Disturbed != 4 {
		t.Errorf("%d disturbed", x.Disturbed)
	}
	for _, f := range x.Table {
		if f.N != 6 {
			t.Errorf("%s of %s is of %d trials", f.Metric, f.Arm, f.N)
		}
	}
}
