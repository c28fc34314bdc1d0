package experiment

import (
	"slices"
	"testing"
	"time"

	"netcmp/workload"
)

// The phone call and the letter, by one lost packet. Over TCP the message in it
// comes after L0 = OWD + RTT + min(3T, max(T, RTT/4)): the third message after it
// draws the third duplicate acknowledgment, or RACK's reordering window of a
// quarter of a round trip has passed (RFC 8985 §6.2). Message j after it waits
// for it: max(OWD, L0 − jT). Until the repair is acknowledged a new message leaves
// with the next acknowledgment only, one for one (RFC 6937), which come RTT mod T
// after a message is due. Over UDP one is missing and none is late.
func TestOneLoss(t *testing.T) {
	// The kernel's timer of RACK goes by its ticks, of 4 ms on many machines, and
	// may be one and a part of another late.
	const tolerance = 10 * time.Millisecond
	for _, x := range []struct {
		path      string
		owd, step time.Duration
	}{
		{"delay 25ms loss list 40", 25 * time.Millisecond, 20 * time.Millisecond},
		{"delay 25ms loss list 40", 25 * time.Millisecond, 50 * time.Millisecond},
		{"delay 50ms loss list 40", 50 * time.Millisecond, 20 * time.Millisecond},
	} {
		t.Run(x.path+" every "+x.step.String(), func(t *testing.T) {
			plan := workload.Plan{Count: 80, Size: 200, Rate: float64(time.Second) / float64(x.step)}
			c := config(t, "tcp", x.path, plan)
			c.Path.Down.Loss = nil // acknowledgments pass
			c.Spec.Messages, c.Spec.Congestion = true, "reno"
			d := try(t, c)
			delay := d.Messages.DelayNS
			lost := slices.Index(delay, slices.Max(delay))
			rtt := 2 * x.owd
			late := x.owd + rtt + min(3*x.step, max(x.step, rtt/4))
			t.Logf("message %d was lost; delays from there: %v", lost, durations(delay[lost:min(lost+8, len(delay))]))
			if d.Link.Up.Lost != 1 {
				t.Fatalf("the path lost %d packets", d.Link.Up.Lost)
			}
			if noisy(d) {
				t.Skip("the machine is too noisy")
			}
			for i, v := range delay {
				want := x.owd
				if j := i - lost; j >= 0 {
					after := time.Duration(j) * x.step
					want = max(x.owd, late-after)
					if repaired := late - x.owd; after >= repaired && after < repaired+rtt {
						want = max(want, x.owd+rtt%x.step)
					}
				}
				if off := time.Duration(v) - want; off < -tolerance || off > tolerance {
					t.Errorf("message %d took %v, want %v", i, time.Duration(v), want)
				}
			}

			c.Spec.Proto, c.Spec.Congestion = "udp", ""
			d = try(t, c)
			missing := 0
			for i, v := range d.Messages.DelayNS {
				switch {
				case v < 0:
					missing++
				case time.Duration(v)-x.owd > tolerance && !noisy(d):
					t.Errorf("udp: message %d took %v", i, time.Duration(v))
				}
			}
			if missing != 1 || *d.Delivery.Lost != 1 {
				t.Errorf("udp: %d are missing", missing)
			}
		})
	}
}

func durations(ns []int64) []time.Duration {
	var all []time.Duration
	for _, v := range ns {
		all = append(all, time.Duration(v).Round(100*time.Microsecond))
	}
	return all
}
