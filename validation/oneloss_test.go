package validation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"netcmp/result"
	"netcmp/result/resulttest"
	"netcmp/workload"
)

// The phone call and the letter, by one lost packet. Over TCP the message in it
// comes after L0 = OWD + RTT + min(3T, max(T, RTT/4)): the third message after it
// draws the third duplicate acknowledgment, or RACK's reordering window of a
// quarter of a round trip has passed (RFC 8985 §6.2). Message j after it waits
// for it: max(OWD, L0 − jT). Until the repair is acknowledged a new message leaves
// with the next acknowledgment only, one for one (RFC 6937), which come RTT mod T
// after a message is due. Over UDP one is missing and none is late.
type oneLoss struct {
	owd, step time.Duration
}

var oneLosses = []oneLoss{
	{25 * time.Millisecond, 20 * time.Millisecond},
	{25 * time.Millisecond, 50 * time.Millisecond},
	{50 * time.Millisecond, 20 * time.Millisecond},
}

// oneLossTolerance: the kernel's timer of RACK goes by its ticks, of 4 ms on many
// machines, and may be one and a part of another late.
const oneLossTolerance = 10 * time.Millisecond

func (x oneLoss) String() string { return fmt.Sprintf("OWD %v, T %v", x.owd, x.step) }

// late is L0.
func (x oneLoss) late() time.Duration {
	rtt := 2 * x.owd
	return x.owd + rtt + min(3*x.step, max(x.step, rtt/4))
}

// delay is what message j after the lost one takes; the lost one is 0.
func (x oneLoss) delay(j int) time.Duration {
	if j < 0 {
		return x.owd
	}
	rtt, after := 2*x.owd, time.Duration(j)*x.step
	want := max(x.owd, x.late()-after)
	if repaired := x.late() - x.owd; after >= repaired && after < repaired+rtt {
		want = max(want, x.owd+rtt%x.step)
	}
	return want
}

// run sends the messages; the acknowledgments pass.
func (x oneLoss) run(t *testing.T, proto, congestion string) *result.Document {
	t.Helper()
	plan := workload.Plan{Count: 80, Size: 200, Rate: float64(time.Second) / float64(x.step)}
	c := config(t, proto, "delay "+x.owd.String()+" loss list 40", "delay "+x.owd.String(), plan)
	c.Spec.Messages, c.Spec.Congestion = true, congestion
	return try(t, c)
}

// tcp gives the delays of a run over TCP and the number of the lost message.
func (x oneLoss) tcp(t *testing.T) (d *result.Document, delay []int64, lost int) {
	t.Helper()
	d = x.run(t, "tcp", "reno")
	delay = d.Messages.DelayNS
	lost = slices.Index(delay, slices.Max(delay))
	if d.Link.Up.Lost != 1 {
		t.Fatalf("the path lost %d packets", d.Link.Up.Lost)
	}
	return d, delay, lost
}

// off is how far the delays are from the law, at the most.
func (x oneLoss) off(delay []int64, lost int) (worst time.Duration) {
	for i, v := range delay {
		if by := (time.Duration(v) - x.delay(i-lost)).Abs(); by > worst {
			worst = by
		}
	}
	return worst
}

// udp gives how many are missing, and the greatest delay of the others.
func (x oneLoss) udp(t *testing.T) (d *result.Document, missing int, slowest time.Duration) {
	t.Helper()
	d = x.run(t, "udp", "")
	for _, v := range d.Messages.DelayNS {
		if v < 0 {
			missing++
		}
		slowest = max(slowest, time.Duration(v))
	}
	return d, missing, slowest
}

func TestOneLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("figures, which the first run has held")
	}
	for _, x := range oneLosses {
		t.Run(x.String(), func(t *testing.T) {
			d, delay, lost := x.tcp(t)
			t.Logf("message %d was lost; delays from there: %v", lost, durations(delay[lost:min(lost+8, len(delay))]))
			if busy := resulttest.Busy(d); busy != "" {
				t.Skip(busy)
			}
			tolerance := oneLossTolerance + 2*resulttest.Late(d)
			for i, v := range delay {
				want := x.delay(i - lost)
				if off := time.Duration(v) - want; off < -tolerance || off > tolerance {
					t.Errorf("message %d took %v, want %v", i, time.Duration(v), want)
				}
			}
			d, missing, slowest := x.udp(t)
			if slowest-x.owd > oneLossTolerance+2*resulttest.Late(d) && resulttest.Busy(d) == "" {
				t.Errorf("udp: the slowest message took %v", slowest)
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

// oneLossTable shows the lost message and those that waited for it.
func oneLossTable(t *testing.T, p *part) {
	for _, x := range oneLosses {
		d, delay, lost := x.tcp(t)
		p.Environment = d.Environment
		var want, got []string
		for j := 0; lost+j < len(delay) && (j == 0 || x.delay(j-1) > x.owd); j++ {
			want = append(want, fmt.Sprintf("%.1f", x.delay(j).Seconds()*1e3))
			got = append(got, fmt.Sprintf("%.1f", float64(delay[lost+j])/1e6))
		}
		worst := x.off(delay, lost)
		p.add(worst <= oneLossTolerance, "tcp, "+x.String(), strings.Join(want, ", ")+" ms",
			fmt.Sprintf("%s ms (worst of all 80: %.1f ms off)", strings.Join(got, ", "), worst.Seconds()*1e3), "±10 ms, every message")
		_, missing, slowest := x.udp(t)
		p.add(missing == 1 && slowest-x.owd <= oneLossTolerance, "udp, "+x.String(), "1 missing, none late",
			fmt.Sprintf("%d missing, slowest %.1f ms", missing, slowest.Seconds()*1e3), fmt.Sprintf("1; %.0f ms at the most", (x.owd+oneLossTolerance).Seconds()*1e3))
	}
}
