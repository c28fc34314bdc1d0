package experiment

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/lab"
	"netcmp/netem"
	"netcmp/result"
	"netcmp/workload"
)

// carries is a trial of something that carries so many messages a second, and takes
// fail's word for whether one fails all the same.
func carries(capacity float64, fail func(rate float64) bool) func(context.Context, int, float64) (result.RateTrial, error) {
	return func(_ context.Context, _ int, rate float64) (result.RateTrial, error) {
		t := result.RateTrial{RatePerS: rate}
		switch {
		case rate == 0:
			t.Delivers, t.Fault = new(capacity), result.FaultLoss
		case rate > capacity || fail != nil && fail(rate):
			t.Fault = result.FaultLoss
		}
		return t, nil
	}
}

// Whatever the capacity is, the search finds it, right to its resolution, and has it
// confirmed, in a number of trials that grows with nothing.
func TestFindRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := math.Exp(rapid.Float64Range(math.Log(10), math.Log(workload.MaxRate/2)).Draw(t, "log capacity"))
		// What a saturating trial delivers may be far from what a rate can be.
		guess := capacity * rapid.Float64Range(0.3, 3).Draw(t, "guess")
		trial := carries(capacity, nil)
		s := RateSearch{Duration: 2 * time.Second, Trial: func(ctx context.Context, n int, rate float64) (result.RateTrial, error) {
			x, err := trial(ctx, n, rate)
			if rate == 0 {
				x.Delivers = &guess
			}
			return x, err
		}}
		found, err := s.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r := *found.RatePerS; r > capacity || r < capacity/(1+RateResolution) {
			t.Errorf("found %v of %v", r, capacity)
		}
		if found.Confirmations != defaultConfirm || found.Limit != result.FaultLoss || len(found.Trials) > 18 {
			t.Errorf("%d confirmations, limit %q, %d trials", found.Confirmations, found.Limit, len(found.Trials))
		}
	})
}

// Trials that fail by chance, the likelier the nearer to the capacity, make the
// answer lower and never higher; it holds as often as it is said to, and the number of
// trials is bounded, answer or not.
func TestFindRateNoise(t *testing.T) {
	const capacity = 1000
	none := 0
	for seed := range uint64(200) {
		draws := rand.New(rand.NewPCG(seed, 1))
		held := map[float64]int{}
		trial := carries(capacity, func(rate float64) bool { return draws.Float64() < 0.3*rate/capacity })
		s := RateSearch{Duration: 2 * time.Second, Trial: trial, Progress: func(_ int, x result.RateTrial) {
			held[x.RatePerS]++
			if x.Fault != "" {
				held[x.RatePerS] = 0
			}
		}}
		found, err := s.Find(t.Context())
		if len(found.Trials) > defaultTrials {
			t.Fatalf("seed %d: %d trials", seed, len(found.Trials))
		}
		if err != nil {
			none++
			continue
		}
		if r := *found.RatePerS; r > capacity || held[r] < 1+defaultConfirm {
			t.Errorf("seed %d: %v, which held %d times", seed, r, held[r])
		}
	}
	// A rate holds four times in a row with 0.7⁴ at least.
	if none > 20 {
		t.Errorf("%d of 200 searches found nothing", none)
	}
}

// Where nothing comes through there is no rate, where everything does it is the
// fastest that can be asked for, and a trial that fails ends the search.
func TestFindRateBounds(t *testing.T) {
	found, err := RateSearch{Trial: carries(0, nil)}.Find(t.Context())
	if !errors.Is(err, ErrNoRate) || found.RatePerS != nil {
		t.Errorf("of nothing: %+v, %v", found, err)
	}
	found, err = RateSearch{Trial: carries(1e9, nil)}.Find(t.Context())
	if err != nil || *found.RatePerS != workload.MaxRate {
		t.Errorf("of everything: %+v, %v", found, err)
	}
	broken, made := errors.New("broken"), 0
	_, err = RateSearch{Trial: func(context.Context, int, float64) (result.RateTrial, error) {
		made++
		return result.RateTrial{}, broken
	}}.Find(t.Context())
	if !errors.Is(err, broken) || made != 1 {
		t.Errorf("%d trials, %v", made, err)
	}
}

// What grows shows by its slope, whatever stands out for a while; what does not, does
// not.
func TestGrowth(t *testing.T) {
	const over = 2 * time.Second
	trial := func(slope float64, hiccup int) []result.Interval {
		x := make([]result.Interval, trialIntervals+1)
		for i := range x {
			at := int64(over) / trialIntervals * int64(i)
			x[i].AtNS, x[i].DelayP50NS = at, new(int64(5e6+slope*float64(at)))
			if i >= 8 && i < 8+hiccup {
				*x[i].DelayP50NS += 200e6
			}
		}
		*x[trialIntervals].DelayP50NS = 0
		return x
	}
	for _, slope := range []float64{0, 0.01, 1} {
		for _, hiccup := range []int{0, 1, 3} {
			got, want := growth(trial(slope, hiccup), over), slope*float64(over)
			if got == nil || math.Abs(float64(*got)-want) > 0.1*want+1 {
				t.Errorf("slope %v, %d intervals astray: %v, want %v", slope, hiccup, got, want)
			}
		}
	}
	few := trial(1, 0)[:4]
	if got := growth(few, over); got != nil {
		t.Errorf("of %d intervals: %v", len(few), *got)
	}
}

// A path with a rate carries what arithmetic says: a message of 1000 bytes is a frame
// of 1042, of which 8 Mbit/s are 959.7 a second.
func TestFindRateOverPath(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector sees every part of it in other tests")
	}
	const capacity = 8e6 / 8 / (1000 + 8 + 20 + 14)
	for _, x := range []struct {
		proto, path string
		low, high   float64
	}{
		// Five packets in the queue are 1 % of a trial's, and the search stops at 1 %.
		{"udp", "rate 8mbit limit 5", 0.98, 1.015},
		// TCP has a longer header and acknowledgments, and puts several messages into
		// a packet; that it falls behind shows when the delay grows by 3 ms, 0.6 %.
		{"tcp", "rate 8mbit limit 20", 0.85, 1.015},
	} {
		c := config(t, x.proto, x.path, workload.Plan{Size: 1000})
		c.Path.Down = netem.Impairment{}
		found, err := FindRate(t.Context(), c, RateSearch{Duration: 500 * time.Millisecond, Confirm: 1})
		if errors.Is(err, lab.ErrUnsupported) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		got := *found.RatePerS
		t.Logf("%s: %.1f of %.1f messages a second, %d trials, limit %q", x.proto, got, capacity, len(found.Trials), found.Limit)
		failed := func(t result.RateTrial) bool { return t.Fault != "" && t.RatePerS > 0 && *t.LateNS > result.StoodStill }
		if got < x.low*capacity && slices.ContainsFunc(found.Trials, failed) {
			t.Logf("%s: the machine stood still in a trial that failed: %+v", x.proto, found.Trials)
		} else if got < x.low*capacity || got > x.high*capacity {
			t.Errorf("%s: not between %.1f and %.1f", x.proto, x.low*capacity, x.high*capacity)
		}
		if *found.GoodputBPS != got*8000 || found.Schema != result.RateSchema || found.Engine == "" || found.Saturated.Sent == 0 {
			t.Errorf("%+v", found)
		}
	}
}
