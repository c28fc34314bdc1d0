// Package resulttest tells tests what a result can be held to.
package resulttest

import (
	"fmt"
	"time"

	"netcmp/result"
)

// Busy says why the timing of a run tells nothing of ours: others used the machine all
// the time. "" if it does tell.
func Busy(d *result.Document) string {
	if s := d.Environment.StolenRatio; s != nil && *s > 0.02 {
		return fmt.Sprintf("the machine's host kept %.0f %% of the processor time", *s*100)
	}
	if s := d.Environment.BusyRatio; s != nil && *s > 0.8 {
		return fmt.Sprintf("the processors were busy for %.0f %% of the time", *s*100)
	}
	return ""
}

// Late is how late the sender or the path was at the worst: what a figure may be more
// astray than on a machine that never stands still.
func Late(d *result.Document) time.Duration {
	if late := d.LateNS(); late != nil {
		return time.Duration(*late)
	}
	return 0
}

// Noise is Busy, or that the machine stood still for a moment: for figures that one
// moment spoils.
func Noise(d *result.Document) string {
	if busy := Busy(d); busy != "" {
		return busy
	}
	if late := Late(d); late > result.StoodStill {
		return fmt.Sprintf("the machine stood still for %v", late)
	}
	return ""
}
