package compare

import (
	"strings"
	"testing"

	"netcmp/experiment"
	"netcmp/peer"
	"netcmp/workload"
)

// Whose packets show it is split, and who was held back is known by the packets of
// all that can hold anything back, or of none.
func TestDissect(t *testing.T) {
	for _, x := range []struct {
		protos   string
		asked    bool
		rate     float64
		split    string
		estimate bool
		err      string
	}{
		{"tcp,udp", false, 500, "tcp,udp", false, ""},
		{"tcp,tcp", false, 500, "tcp,tcp#2", false, ""},
		{"tcp,udp,quic", false, 500, "tcp,udp", true, ""},
		{"udp,tls", false, 500, "udp", true, ""},
		{"udp,quic-datagram", false, 500, "udp", false, ""},
		{"udp,quic-streams", false, 500, "udp", false, ""},
		{"tcp,udp", false, 2 * experiment.AnatomyRate, "", true, ""},
		{"tcp,udp", true, 2 * experiment.AnatomyRate, "tcp,udp", false, ""},
		{"tls,quic", false, 500, "", true, ""},
		{"tls,quic", true, 500, "", true, "tls are encrypted"},
	} {
		base := experiment.Config{Spec: peer.Spec{Plan: workload.Plan{Count: 10, Rate: x.rate}}}
		arms := Arms(base, strings.Split(x.protos, ","))
		err := Dissect(arms, x.asked)
		if x.err == "" && err != nil || x.err != "" && (err == nil || !strings.Contains(err.Error(), x.err)) {
			t.Errorf("%s: %v", x.protos, err)
		}
		var split []string
		for _, a := range arms {
			if a.Config.Anatomy {
				split = append(split, strings.TrimSuffix(a.Label, "#1"))
			}
			if a.Config.EstimateHeld != x.estimate {
				t.Errorf("%s: estimated %v", x.protos, a.Config.EstimateHeld)
			}
		}
		if got := strings.Join(split, ","); got != x.split {
			t.Errorf("%s: %q are split, want %q", x.protos, got, x.split)
		}
	}
}
