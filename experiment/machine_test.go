package experiment

import "testing"

func TestProcessorTime(t *testing.T) {
	before := parseProcessorTime("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n")
	after := parseProcessorTime("cpu  150 10 120 850 20 5 5 40 30 0\n")
	busy, stolen := after.shares(before)
	// 200 ticks: 70 idle, 40 stolen. Guest time (30) is in user time already.
	if busy == nil || *busy != 1-70.0/200 || *stolen != 40.0/200 {
		t.Errorf("busy %v, stolen %v", busy, stolen)
	}
	for _, bad := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8 9", "cpu a 0 0 0 0 0 0 0"} {
		if p := parseProcessorTime(bad); p.known {
			t.Errorf("%q is read as %+v", bad, p)
		}
	}
	if busy, stolen := after.shares(processorTime{}); busy != nil || stolen != nil {
		t.Error("shares of what is not known")
	}
	if now := readProcessorTime(); !now.known {
		t.Error("this machine's are not known")
	}
}
