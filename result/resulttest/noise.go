// Package resulttest tells tests what a result can be held to.
package resulttest

import (
	"fmt"
	"time"

	"netcmp/result"
)

// Noise says why the timing of a run tells nothing of ours: others used the
// machine, or kept it from running. "" if it does tell.
func Noise(d *result.Document) string {
	if s := d.Environment.StolenRatio; s != nil && *s > 0.02 {
		return fmt.Sprintf("the machine's host kept %.0f %% of the processor time", *s*100)
	}
	if s := d.Environment.BusyRatio; s != nil && *s > 0.8 {
		return fmt.Sprintf("the processors were busy for %.0f %% of the time", *s*100)
	}
	if late := d.LateNS(); late != nil && *late > result.StoodStill {
		return fmt.Sprintf("the machine stood still for %v", time.Duration(*late))
	}
	return ""
}
