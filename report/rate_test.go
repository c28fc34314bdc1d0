package report

import (
	"bytes"
	"testing"

	"netcmp/result"
)

// A search reads the same for everybody, whatever came of it.
func TestRateGolden(t *testing.T) {
	x := &result.RateSearch{
		Schema: result.RateSchema, Seed: 7, Proto: "udp", Engine: "emulator",
		Plan:       result.Plan{SizeBytes: 1400, DurationNS: 2_000 * ms, NetemUp: "rate 10mbit", NetemDown: "rate 10mbit", Command: "netcmp find-rate --proto udp --rate 10mbit --seed 7"},
		Resolution: 0.01, RatePerS: new(866.4), GoodputBPS: new(9.7e6), Confirmations: 3, Limit: result.FaultLoss,
		Saturated: result.RateTrial{Sent: 90_000, Delivered: 1_740, LossRatio: 0.98, SentPerS: new(45_000.), Delivers: new(870.)},
		Trials:    make([]result.RateTrial, 14),
	}
	show := func() string {
		var b bytes.Buffer
		if err := RateText(&b, x, Options{}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	golden(t, "rate.txt", show())
	x.RatePerS, x.GoodputBPS, x.Confirmations = nil, nil, 0
	// Of the trials that failed the one that says most, and not the one without a rate.
	for i, t := range []result.RateTrial{{Fault: result.FaultLoss}, {RatePerS: 900, Fault: result.FaultLoss}, {RatePerS: 870, Fault: result.FaultLoss}, {RatePerS: 860}} {
		t.LateNS = new([]int64{90, 80, 26, 70}[i] * ms)
		x.Trials[i] = t
	}
	golden(t, "rate-none.txt", show())
}
