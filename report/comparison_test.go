package report

import (
	"bytes"
	"testing"

	"netcmp/result"
)

// Where the packets of some arms show where the time went, the table has it under the
// delay that it adds up to, and says that who was held back is estimated of all alike.
func TestComparisonWithAnatomyGolden(t *testing.T) {
	x := &result.Comparison{Plan: result.ComparisonPlan{Arms: []string{"tcp", "quic"}, Repeat: 3, Seed: 7}}
	for _, arm := range x.Plan.Arms {
		x.Table = append(x.Table, result.Figure{Metric: "delay_p99_ns", Arm: arm, N: 3, Median: new(100e6)})
	}
	for _, arm := range x.Plan.Arms {
		x.Table = append(x.Table, result.Figure{Metric: "held_ratio", Arm: arm, N: 3, Median: new(0.4)})
	}
	for block := range 3 {
		for _, arm := range x.Plan.Arms {
			d := &result.Document{Proto: arm, Engine: "emulator", Trial: &result.Trial{Arm: arm, Block: block}}
			d.Plan = result.Plan{Count: 300, SizeBytes: 500, RatePerS: 500, NetemUp: "delay 20ms", NetemDown: "delay 20ms"}
			d.Stall = &result.Stall{Held: new(int64(120))}
			if arm == "tcp" {
				q := func(v int64) *result.Quantiles { return &result.Quantiles{P99: (v + int64(block)) * ms} }
				d.Anatomy = &result.Anatomy{Messages: 300, WaitingNS: q(9), CrossingNS: q(59), HeldNS: q(79), BlockedNS: q(74), ReadLateNS: q(5)}
			}
			x.Trials = append(x.Trials, d)
		}
	}
	var b bytes.Buffer
	if err := ComparisonText(&b, x, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "comparison-anatomy.txt", b.String())
}
