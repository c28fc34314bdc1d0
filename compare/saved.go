package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netcmp/result"
)

// Saved judges documents that were saved: trials of comparisons, each of its own,
// and single runs, which stand beside each other as one trial of an arm each. Runs of
// another plan or over another path are another comparison: between those nothing is
// judged, and each says so.
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
	groups := alike(single)
	for _, group := range groups {
		x := Judge(beside(group))
		if len(groups) > 1 {
			x.Warnings = append(x.Warnings, fmt.Sprintf("these files hold runs of %d kinds, which differ in %s: nothing is judged between them",
				len(groups), strings.Join(differing(groups), ", ")))
		}
		all = append(all, x)
	}
	return all
}

// condition is what runs that are compared must have alike: what is sent, and over
// which path.
type condition struct{ name, value string }

// conditions returns those of a run, always the same ones in the same order.
func conditions(d *result.Document) []condition {
	p := &d.Plan
	text := fmt.Sprintf
	return []condition{
		{"engine", d.Engine},
		{"path", text("%s / %s / %s / %v", p.NetemUp, p.NetemDown, p.Fate, p.Timeline)},
		{"count", text("%d", p.Count)},
		{"duration", text("%d", p.DurationNS)},
		{"size", text("%d", p.SizeBytes)},
		{"rate", text("%v %v", p.RatePerS, p.Saturate)},
		{"arrival", text("%s %d", p.Arrival, p.Burst)},
		{"direction", p.Direction},
		{"pattern", p.Pattern},
		{"connection", p.Connection},
	}
}

// alike parts runs by their conditions, in the order in which each first comes.
func alike(runs []*result.Document) (groups [][]*result.Document) {
	place := map[string]int{}
	for _, d := range runs {
		key := fmt.Sprint(conditions(d))
		i, ok := place[key]
		if !ok {
			i = len(groups)
			place[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], d)
	}
	return groups
}

// differing names the conditions in which groups differ.
func differing(groups [][]*result.Document) (names []string) {
	first := conditions(groups[0][0])
	for i, c := range first {
		if slices.ContainsFunc(groups, func(g []*result.Document) bool { return conditions(g[0])[i] != c }) {
			names = append(names, c.name)
		}
	}
	return names
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
