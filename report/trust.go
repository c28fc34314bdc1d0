package report

import (
	"strings"

	"netcmp/result"
)

// disturbedRow is the first line of a disturbed run; nil for any other.
func disturbedRow(d *result.Document) []row {
	if !d.IsDisturbed() {
		return nil
	}
	return []row{{label: "DISTURBED", c: disturbedText(d), loud: true}}
}

// disturbedText says in one sentence what disturbed a run and what to do.
func disturbedText(d *result.Document) string {
	reasons := make([]string, len(d.Trust.Reasons))
	for i, r := range d.Trust.Reasons {
		reasons[i] = printable(r)
	}
	return "do not trust these figures: " + strings.Join(reasons, "; ") + ". Close other programs and repeat."
}

// trustRow says of an undisturbed run how late its machine was at most.
func trustRow(d *result.Document) []row {
	if d.Trust == nil || d.IsDisturbed() {
		return nil
	}
	return []row{{label: "trust", c: "good: " + parts(d) + " at most " + Duration(d.Trust.WorstNS) + " late"}}
}

// parts names the parts of the instrument whose lateness was measured.
func parts(d *result.Document) string {
	x := d.Instrument.LatenessNS
	if x == nil {
		return "the instrument"
	}
	var names []string
	for _, p := range []struct {
		name string
		tail *result.Tail
	}{{"sender", x.Sender}, {"path", x.Path}, {"receiver", x.Receiver}} {
		if p.tail != nil {
			names = append(names, p.name)
		}
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
