package validation

import (
	"fmt"
	"strings"
	"testing"

	"netcmp/compare"
	"netcmp/result"
	"netcmp/workload"
)

// comparisons are made of each kind, with the seeds from 1 on.
const comparisons = 20

// short is a comparison whose trials take a third of a second each.
func short(t *testing.T, proto string, seed uint64) (compare.Config, func(path string) compare.Arm) {
	t.Helper()
	plan := workload.Plan{Count: 250, Size: 200, Rate: 1000}
	return compare.Config{Repeat: compare.DefaultRepeat, Seed: seed}, func(path string) compare.Arm {
		return compare.Arm{Label: path, Config: config(t, proto, path, path, plan)}
	}
}

// decided lists what two arms were told apart by.
func decided(x *result.Comparison) []string {
	var all []string
	for _, d := range x.Differences {
		if d.Verdict != result.CannotTell {
			all = append(all, d.Metric)
		}
	}
	return all
}

// alike compares a protocol with itself. All that two such arms are told apart by
// is chance, and by any of the metrics that is to be one in twenty at the most.
func alike(t *testing.T, p *part, proto string) {
	apart, by := 0, []string{}
	for seed := range uint64(comparisons) {
		c, arm := short(t, proto, seed+1)
		c.Arms = compare.Arms(arm("delay 10ms loss 1%").Config, []string{proto, proto})
		x := judged(t, c)
		p.Environment = x.Trials[0].Environment
		if found := decided(x); len(found) > 0 {
			apart++
			by = append(by, fmt.Sprintf("seed %d by %s", seed+1, strings.Join(found, ", ")))
		}
	}
	got := fmt.Sprintf("%d of %d", comparisons-apart, comparisons)
	if apart > 0 {
		got += " (told apart: " + strings.Join(by, "; ") + ")"
	}
	p.add(apart <= 1, fmt.Sprintf("`--protos %s,%s`: cannot tell", proto, proto), "95 % at least", got, "19 of 20 at least")
}

func alikeUDP(t *testing.T, p *part) { alike(t, p, "udp") }
func alikeTCP(t *testing.T, p *part) { alike(t, p, "tcp") }

// doubled compares a path with one of twice the delay.
func doubled(t *testing.T, p *part) {
	found := 0
	for seed := range uint64(comparisons) {
		c, arm := short(t, "udp", seed+1)
		c.Arms = []compare.Arm{arm("delay 10ms loss 1%"), arm("delay 20ms loss 1%")}
		x := judged(t, c)
		p.Environment = x.Trials[0].Environment
		for _, d := range x.Differences {
			if d.Metric == "delay_p50_ns" && d.Verdict == "a" {
				found++
			}
		}
	}
	p.add(found == comparisons, "udp, 10 ms against 20 ms: told apart by the median delay", "always", fmt.Sprintf("%d of %d", found, comparisons), "20 of 20")
}
