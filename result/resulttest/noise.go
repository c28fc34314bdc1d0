// Package resulttest tells tests what a result can be held to.
package resulttest

import (
	"fmt"
	"time"

	"netcmp/result"
)

// latest is how late a sender or the path may have been, at the worst, in a run
// whose every message is held to milliseconds. A run on two quiet cores stays far
// below it; a host that takes the machine away for a moment does not.
const latest = 2 * time.Millisecond

// Noise says why the timing of a run tells nothing of ours: others used the
// machine, or kept it from running. "" if it does tell.
func Noise(d *result.Document) string {
	if s := d.Environment.StolenRatio; s != nil && *s > 0.02 {
		return fmt.Sprintf("the machine's host kept %.0f %% of the processor time", *s*100)
	}
	if s := d.Environment.BusyRatio; s != nil && *s > 0.8 {
		return fmt.Sprintf("the processors were busy for %.0f %% of the time", *s*100)
	}
	late := []*result.Quantiles{d.Instrument.PacingErrorNS}
	if d.Link != nil {
		late = append(late, d.Link.Up.DelayErrorNS, d.Link.Down.DelayErrorNS)
	}
	for _, q := range late {
		if q != nil && q.Max > int64(latest) {
			return fmt.Sprintf("the machine stood still for %v", time.Duration(q.Max))
		}
	}
	return ""
}
