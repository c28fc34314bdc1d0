package experiment

import (
	"slices"
	"testing"
	"time"

	"netcmp/peer"
	"netcmp/result/resulttest"
	"netcmp/workload"
)

// TestAnatomyOfOneLoss: over TCP the message in the lost packet spends its delay
// on the way, since nothing is in front of it at the receiver's door. Message j
// after it comes there after the path's delay and waits for the lost one, which
// is read L0 after it was due: L0 − jT − OWD. Nothing else is held back, and the
// parts add up to each message's delay.
func TestAnatomyOfOneLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("figures, which the first run has held")
	}
	const owd = 25 * time.Millisecond
	for _, step := range []time.Duration{20 * time.Millisecond, 10 * time.Millisecond} {
		t.Run("every "+step.String(), func(t *testing.T) {
			plan := workload.Plan{Count: 80, Size: 200, Rate: float64(time.Second) / float64(step)}
			c := config(t, "tcp", "delay 25ms loss list 40", plan)
			c.Path.Down.Loss = nil // acknowledgments pass
			c.Spec.Messages, c.Spec.Congestion, c.Anatomy = true, "reno", true
			d := try(t, c)
			if d.Link.Up.Lost != 1 {
				t.Fatalf("the path lost %d packets", d.Link.Up.Lost)
			}
			if busy := resulttest.Busy(d); busy != "" {
				t.Skip(busy)
			}
			// What the machine was late may be in what two messages have in common.
			tolerance := 5*time.Millisecond + 2*resulttest.Late(d)
			t.Logf("within %v", tolerance)
			x := d.Messages
			lost := slices.Index(x.DelayNS, slices.Max(x.DelayNS))
			l0 := time.Duration(x.DelayNS[lost])
			behind := int64(0)
			for i := range x.DelayNS {
				waiting, crossing, held := time.Duration(x.WaitingNS[i]), time.Duration(x.CrossingNS[i]), time.Duration(x.HeldNS[i])
				if waiting+crossing+held != time.Duration(x.DelayNS[i]) {
					t.Errorf("message %d: %v + %v + %v is not %v", i, waiting, crossing, held, time.Duration(x.DelayNS[i]))
				}
				wantCrossing, wantHeld := owd, time.Duration(0)
				if j := i - lost; j == 0 {
					wantCrossing = l0
				} else if j > 0 {
					wantHeld = max(l0-time.Duration(j)*step-owd, 0)
				}
				if off := crossing - wantCrossing; off < -tolerance || off > tolerance || crossing < owd {
					t.Errorf("message %d crossed in %v, want %v", i, crossing, wantCrossing)
				}
				// One that was handed over while the repair was under way, and had to
				// wait to be sent, is at the door by so much later.
				if off := held - wantHeld; off < -tolerance-waiting || off > tolerance {
					t.Errorf("message %d was held back for %v, want %v", i, held, wantHeld)
				}
				blocked, late := time.Duration(x.BlockedNS[i]), time.Duration(x.ReadLateNS[i])
				if blocked+late != held {
					t.Errorf("message %d: blocked %v and read late %v are not %v", i, blocked, late, held)
				}
				if blocked > 0 && i <= lost {
					t.Errorf("message %d was blocked for %v before the lost one, %d", i, blocked, lost)
				}
				if blocked > time.Millisecond {
					behind++
				}
			}
			if s := d.Stall; !s.Exact || *s.Held != behind || *s.ReleasedMax < 3 || s.HeldNS.Max != slices.Max(x.BlockedNS) {
				t.Errorf("the stall is %+v, %d were blocked", s, behind)
			}
			if a := d.Anatomy; a.Slowest[0].Number != int64(lost) || a.Messages != 80 {
				t.Errorf("%d messages, the slowest is %+v, want number %d", a.Messages, a.Slowest[0], lost)
			}
		})
	}
}

// TestAnatomyAddsUp: whatever the path does, in either direction, every message
// that came is split, no part is negative, none crossed faster than the path
// allows, and the sum is the delay.
func TestAnatomyAddsUp(t *testing.T) {
	for _, x := range []struct {
		proto, path string
		direction   peer.Direction
		plan        workload.Plan
	}{
		{"tcp", "delay 10ms loss 3% duplicate 2%", peer.Both, workload.Plan{Count: 3000, Size: 1000, Rate: 3000}},
		{"tcp", "delay 10ms corrupt 2%", peer.Down, workload.Plan{Count: 2000, Size: 5000, Rate: 1000}},
		{"tcp", "delay 10ms 3ms", peer.Up, workload.Plan{Count: 2000, Size: 300, Rate: 5000, Arrival: workload.Burst, Burst: 50}},
		{"udp", "delay 10ms loss 3% duplicate 2% corrupt 2%", peer.Both, workload.Plan{Count: 3000, Size: 1000, Rate: 3000}},
		{"udp", "delay 10ms 3ms", peer.Up, workload.Plan{Count: 2000, Size: 300, Rate: 1000, Arrival: workload.Poisson}},
		{"udp", "delay 10ms loss 3% duplicate 2%", peer.Up, workload.Plan{Count: 2000, Size: 300, Rate: 5000, Arrival: workload.Burst, Burst: 50}},
		{"udp", "delay 10ms 3ms loss 2% duplicate 2%", peer.Up, workload.Plan{Count: 1000, Size: 4000, Rate: 1000}}, // in fragments
	} {
		if testing.Short() && x.direction != peer.Both {
			continue
		}
		t.Run(x.proto+" "+x.path, func(t *testing.T) {
			c := config(t, x.proto, x.path, x.plan)
			c.Spec.Messages, c.Spec.Direction, c.Anatomy = true, x.direction, true
			d := try(t, c)
			fastest := int64(10 * time.Millisecond)
			if c.Path.Up.Jitter != 0 {
				fastest -= int64(3 * time.Millisecond)
			}
			m := &d.Measured
			for _, m := range []*struct{ delivered, split int64 }{{*m.Delivery.Delivered, m.Anatomy.Messages}} {
				if m.delivered != m.split {
					t.Errorf("%d messages came, %d were split", m.delivered, m.split)
				}
			}
			if x.direction == peer.Both {
				if d.Reverse.Anatomy == nil || d.Reverse.Anatomy.Messages != *d.Reverse.Delivery.Delivered {
					t.Errorf("down: %+v of %d", d.Reverse.Anatomy, *d.Reverse.Delivery.Delivered)
				}
			}
			for i, delay := range m.Messages.DelayNS {
				waiting, crossing, held := m.Messages.WaitingNS[i], m.Messages.CrossingNS[i], m.Messages.HeldNS[i]
				blocked, late := m.Messages.BlockedNS[i], m.Messages.ReadLateNS[i]
				switch {
				case delay >= 0 && (blocked+late != held || min(blocked, late) < 0):
					t.Errorf("message %d: blocked %d and read late %d are not %d", i, blocked, late, held)
				case blocked > 0 && x.proto == "udp":
					t.Errorf("message %d is a datagram, and was blocked for %d", i, blocked)
				case delay < 0 && (waiting >= 0 || crossing >= 0 || held >= 0):
					t.Errorf("message %d did not come, and has parts", i)
				case delay >= 0 && waiting+crossing+held != delay:
					t.Errorf("message %d: %d + %d + %d is not %d", i, waiting, crossing, held, delay)
				case delay >= 0 && (min(waiting, held) < 0 || crossing < fastest):
					t.Errorf("message %d: waiting %d, crossing %d, held %d", i, waiting, crossing, held)
				}
			}
			if exact := m.Stall.Exact; exact != (x.proto == "tcp") {
				t.Errorf("exact: %v", exact)
			}
		})
	}
}

// What is encrypted has no anatomy, and says so where one is asked for. What
// nobody asks for is not in the document.
func TestAnatomyWhereThereIsNone(t *testing.T) {
	c := config(t, "tls", "delay 1ms", workload.Plan{Count: 20, Size: 100, Rate: 500})
	if c.AnatomyFits() {
		t.Error("an anatomy of tls")
	}
	c.Anatomy = true
	if err := c.Validate(); err == nil {
		t.Error("an anatomy of tls passes")
	}
	c.Anatomy = false
	if d := try(t, c); d.Anatomy != nil || d.Capture != nil || d.Stall.Exact {
		t.Errorf("%+v, %+v", d.Anatomy, d.Capture)
	}
	c.Spec.Proto, c.Anatomy = "udp", true
	if d := try(t, c); d.Anatomy == nil || d.Messages != nil || d.Capture == nil {
		t.Errorf("%+v, %+v, %+v", d.Anatomy, d.Messages, d.Capture)
	}
	c.Spec.Plan.Rate = AnatomyRate + 1
	if c.AnatomyFits() {
		t.Errorf("without being asked at %v/s", c.Spec.Plan.Rate)
	}
}
