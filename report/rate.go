package report

import (
	"encoding/json"
	"io"
	"strings"

	"netcmp/result"
)

// RateText writes a search for the highest rate for a person.
func RateText(w io.Writer, x *result.RateSearch, o Options) error {
	if x == nil {
		return errNoDocument
	}
	p := &page{o: o}
	d := &result.Document{Proto: x.Proto, Engine: x.Engine, Seed: x.Seed, Plan: x.Plan}
	p.rows(append([]row{pathRow(d)}, changeRows(d)...))
	p.rows([]row{{label: "trials", c: Count(int64(len(x.Trials))) + " of " + ExactDuration(x.Plan.DurationNS) + ", messages of " +
		Bytes(int64(x.Plan.SizeBytes)) + " over " + printable(x.Proto) + ", of which at most " + Percent(x.LossLimit) + " may be lost"}})
	p.blank()
	found := row{label: "rate", a: "none was found", loud: true}
	if x.RatePerS != nil {
		found = row{label: "rate", a: wholeRate(*x.RatePerS)}
		if x.GoodputBPS != nil {
			found.b = BitRate(*x.GoodputBPS)
		}
		switch x.Confirmations {
		case 0:
			found.c = "not confirmed"
		case 1:
			found.c = "confirmed by one more trial"
		default:
			found.c = "confirmed by " + Count(int64(x.Confirmations)) + " more trials"
		}
		if why := faultWords(x.Limit); why != "" {
			found.c += "; " + Percent(x.Resolution) + " above it " + why
		}
	}
	rows := []row{found}
	if s := x.Saturated; s.SentPerS != nil && s.Delivers != nil {
		rows = append(rows, row{
			label: "saturated", a: wholeRate(*s.SentPerS), b: Percent(1-s.LossRatio) + " came",
			c: "as fast as the transport takes them: " + wholeRate(*s.Delivers) + " delivered",
		})
	}
	p.rows(rows)
	if t := limiting(x.Trials); t != nil && t.LateNS != nil && *t.LateNS >= result.StoodStill {
		p.rows([]row{{label: "warning", c: "the sender, or the path's emulator, was up to " + Duration(*t.LateNS) + " late in the trial that set the limit: that may be this machine, and not the path"}})
	}
	if x.Plan.Command != "" {
		p.blank()
		p.verbatim("again", printable(x.Plan.Command))
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// limiting is the trial with the lowest rate that did not hold; nil if all did.
func limiting(trials []result.RateTrial) (lowest *result.RateTrial) {
	for i := range trials {
		if t := &trials[i]; t.RatePerS > 0 && t.Fault != "" && (lowest == nil || t.RatePerS < lowest.RatePerS) {
			lowest = t
		}
	}
	return lowest
}

// wholeRate is messages a second.
func wholeRate(v float64) string { return Count(int64(v)) + "/s" }

// faultWords say why a rate does not hold.
func faultWords(fault string) string {
	switch fault {
	case result.FaultLoss:
		return "messages are lost"
	case result.FaultLag:
		return "messages come later and later"
	case result.FaultSender:
		return "the sender does not send all of them"
	}
	return ""
}

// RateTrialText is what a terminal shows while trials are made.
func RateTrialText(n int, t result.RateTrial) string {
	parts := []string{"trial " + Count(int64(n+1))}
	switch {
	case t.RatePerS == 0:
		parts = append(parts, "saturating")
	case t.Fault == "":
		parts = append(parts, wholeRate(t.RatePerS)+" came whole")
	default:
		parts = append(parts, wholeRate(t.RatePerS)+": "+faultWords(t.Fault))
	}
	if t.LossRatio > 0 {
		parts = append(parts, Percent(t.LossRatio)+" lost")
	}
	return strings.Join(parts, " · ")
}

// RateJSON writes a search for a program.
func RateJSON(w io.Writer, x *result.RateSearch) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(x)
}
