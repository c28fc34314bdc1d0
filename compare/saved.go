package compare

import (
	"strconv"

	"netcmp/result"
)

// Saved judges documents that were saved: trials of comparisons, each of its own,
// and single runs, which stand beside each other as one trial of an arm each.
func Saved(documents []*result.Document) []*result.Comparison {
	var all []*result.Comparison
	var plans []result.ComparisonPlan
	trials := map[string][]*result.Document{}
	var single []*result.Document
	for _, d := range documents {
		if d.Trial == nil || d.Trial.Comparison == nil {
			single = append(single, d)
			continue
		}
		// Its command is what a comparison is known by: it has the seed, too.
		of := *d.Trial.Comparison
		if len(trials[of.Command]) == 0 {
			plans = append(plans, of)
		}
		trials[of.Command] = append(trials[of.Command], d)
	}
	for _, plan := range plans {
		x := Judge(plan, trials[plan.Command])
		x.Interrupted = len(x.Trials) < plan.Repeat*len(plan.Arms)
		all = append(all, x)
	}
	if len(single) > 0 {
		all = append(all, Judge(beside(single)))
	}
	return all
}

// beside makes an arm of each run.
func beside(runs []*result.Document) (result.ComparisonPlan, []*result.Document) {
	plan := result.ComparisonPlan{Repeat: 1, Seed: runs[0].Seed}
	times := map[string]int{}
	var trials []*result.Document
	for _, d := range runs {
		label := d.Proto
		if times[d.Proto]++; times[d.Proto] > 1 {
			label += "#" + strconv.Itoa(times[d.Proto])
		}
		plan.Arms = append(plan.Arms, label)
		c := *d
		c.Trial = &result.Trial{Arm: label}
		trials = append(trials, &c)
	}
	return plan, trials
}
