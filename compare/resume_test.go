package compare

import (
	"fmt"
	"testing"

	"netcmp/experiment"
	"netcmp/peer"
	"netcmp/result"
)

// Of a file with trials of several comparisons those of this one are taken, of
// the latest run of it unless the seed says which.
func TestResume(t *testing.T) {
	const ours, other = "netcmp run --count 20", "netcmp run --count 30"
	saved := []*result.Document{{Proto: "udp"}} // a single run
	for _, x := range []struct {
		command string
		seed    uint64
		blocks  int
	}{{ours, 4, 3}, {other, 5, 2}, {ours, 6, 2}, {other, 7, 2}} {
		plan := &result.ComparisonPlan{Seed: result.Uint64(x.seed), Command: x.command}
		for block := range x.blocks {
			for i, arm := range []string{"udp#1", "udp#2"} {
				d := &result.Document{Proto: "udp", Seed: result.Uint64(SeedOf(x.seed, block)), Trial: &result.Trial{Arm: arm, Block: block, Comparison: plan}}
				d.Plan.Command = fmt.Sprintf("%s --seed %d", x.command, d.Seed)
				d.Interrupted = x.seed == 6 && block == 1 && i == 1
				saved = append(saved, d)
			}
		}
	}
	fresh := func(command string, seed uint64) Config {
		return Config{
			Arms: Arms(experiment.Config{Spec: peer.Spec{}}, []string{"udp", "udp"}), Seed: seed,
			CommandOf: func(_ Arm, seed uint64) string { return fmt.Sprintf("%s --seed %d", command, seed) },
		}
	}
	for _, x := range []struct {
		command string
		given   uint64
		seed    uint64
		trials  int
	}{
		{ours, 0, 6, 3}, // one of its four was interrupted
		{ours, 4, 4, 6},
		{ours, 9, 9, 0},
		{other, 0, 7, 4},
		{"netcmp run --count 40", 0, 1, 0},
	} {
		seed := x.given
		if seed == 0 {
			seed = 1 // drawn
		}
		c := fresh(x.command, seed)
		n := c.Resume(saved, x.given != 0)
		if n != x.trials || len(c.Done) != n || c.Seed != x.seed {
			t.Errorf("%s, seed %d: %d trials of seed %d, want %d of %d", x.command, x.given, n, c.Seed, x.trials, x.seed)
		}
	}
}
