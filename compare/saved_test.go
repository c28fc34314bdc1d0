package compare

import (
	"strings"
	"testing"
	"time"

	"netcmp/result"
)

// Runs over other paths or of other plans are told apart from each other, and nothing
// is judged between them.
func TestSavedGroups(t *testing.T) {
	run := func(proto, netem string, rate float64) *result.Document {
		d := made(proto, 0, 2, proto == "udp", 10*time.Millisecond, 10*time.Millisecond)
		d.Trial = nil
		d.Plan.NetemUp, d.Plan.RatePerS = netem, rate
		return d
	}
	all := Saved([]*result.Document{
		run("tcp", "delay 10ms", 500), run("udp", "delay 20ms", 500), run("udp", "delay 10ms", 500), run("tcp", "delay 10ms", 100),
	})
	if len(all) != 3 {
		t.Fatalf("%d groups", len(all))
	}
	if arms := strings.Join(all[0].Plan.Arms, " "); arms != "tcp udp" || all[0].Trials[1].Plan.NetemUp != "delay 10ms" {
		t.Errorf("the first group has %s", arms)
	}
	for _, x := range all {
		if w := strings.Join(x.Warnings, "\n"); !strings.Contains(w, "3 kinds, which differ in path, rate") {
			t.Errorf("warnings %q", w)
		}
	}
	if one := Saved([]*result.Document{run("tcp", "", 1), run("udp", "", 1)}); len(one) != 1 || len(one[0].Warnings) != 0 {
		t.Errorf("%d groups of one kind", len(one))
	}
}

// A run that stands alone is no comparison: its page says what the run says.
func TestSavedAlone(t *testing.T) {
	d := made("udp", 0, 2, true, 10*time.Millisecond, 10*time.Millisecond)
	d.Trial = nil
	x := Saved([]*result.Document{d})[0]
	if v := strings.Join(x.Verdict, "\n"); !strings.HasPrefix(v, "Letters: all 2 messages arrived") {
		t.Errorf("verdict %q", v)
	}
}
