package report

import (
	"bytes"
	"strings"
	"testing"

	"netcmp/result"
)

// Every form of a disturbed run says so before anything else, and no form of a good one
// does.
func TestDisturbedComesFirst(t *testing.T) {
	for _, verdict := range []string{result.Good, result.Disturbed} {
		d := udpLossy()
		d.Trust = &result.Trust{Verdict: verdict, WorstNS: 70e6}
		if verdict == result.Disturbed {
			d.Trust.Reasons = []string{"the path ran late: by up to 70ms"}
		}
		d.Trial = &result.Trial{Arm: "udp"}
		x := &result.Comparison{Plan: result.ComparisonPlan{Arms: []string{"udp"}, Repeat: 1}, Trials: []*result.Document{d}, Verdict: Sentences(d)}
		if d.IsDisturbed() {
			x.Disturbed = 1
		}
		for name, write := range map[string]func(*bytes.Buffer) error{
			"text":     func(b *bytes.Buffer) error { return Text(b, d, Options{Width: 80}) },
			"one line": func(b *bytes.Buffer) error { b.WriteString(OneLine(d)); return nil },
			"table":    func(b *bytes.Buffer) error { return ComparisonText(b, x, Options{Width: 80}) },
			"markdown": func(b *bytes.Buffer) error { return ComparisonMarkdown(b, x) },
			"sentence": func(b *bytes.Buffer) error { b.WriteString(Sentences(d)[0]); return nil },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
			if said := strings.Contains(strings.ToLower(first), "disturbed"); said != d.IsDisturbed() {
				t.Errorf("%s of a %s run begins with %q", name, verdict, first)
			}
		}
		var page bytes.Buffer
		if err := HTML(&page, x); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(page.String(), "DISTURBED"); said != d.IsDisturbed() {
			t.Errorf("the page of a %s run", verdict)
		}
		e, err := ParseExpect("delivery.sent>0")
		if err != nil {
			t.Fatal(err)
		}
		if o := e.Check(d); !o.Holds || strings.Contains(o.Text, "disturbed") != d.IsDisturbed() {
			t.Errorf("a condition on a %s run: %s", verdict, o.Text)
		}
	}
}
