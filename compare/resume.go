package compare

import (
	"slices"

	"netcmp/experiment"
	"netcmp/result"
)

// Resume takes over what was saved of an earlier run of the same comparison, and
// says how many trials that is. Where the seed was not given, it is that of the
// latest run that fits.
func (c *Config) Resume(saved []*result.Document, seedGiven bool) int {
	var fitting []*result.Document
	for _, d := range slices.Backward(saved) {
		if d.Trial == nil || d.Trial.Comparison == nil || !c.fits(d) {
			continue
		}
		if !seedGiven && len(fitting) == 0 {
			c.Seed = uint64(d.Trial.Comparison.Seed)
		}
		if uint64(d.Trial.Comparison.Seed) == c.Seed {
			fitting = append(fitting, d)
		}
	}
	slices.Reverse(fitting)
	c.Done = append(c.Done, fitting...)
	return len(fitting)
}

// fits says whether a trial is one of this comparison with whatever seed.
func (c *Config) fits(d *result.Document) bool {
	return slices.ContainsFunc(c.Arms, func(a Arm) bool {
		x := experiment.Config{Spec: a.Config.Spec, Seed: uint64(d.Seed), Command: c.commandOf(a, uint64(d.Seed))}
		return isTrial(d, result.Trial{Arm: a.Label, Block: d.Trial.Block}, x)
	})
}
