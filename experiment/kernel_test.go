package experiment

import (
	"errors"
	"math"
	"testing"
	"time"

	"netcmp/lab"
	"netcmp/netem"
	"netcmp/peer"
	"netcmp/result"
	"netcmp/workload"
)

// The kernel's netem as the path: these run where the kernel has one (tools/vm).

// kernelRun is one experiment through the kernel's netem.
func kernelRun(t *testing.T, c Config) *result.Document {
	t.Helper()
	c.Engine, c.Seed = Kernel, 7
	d, err := Run(t.Context(), c)
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.Engine != "kernel" {
		t.Errorf("engine %s", d.Engine)
	}
	for name, l := range map[string]result.LinkDirection{"up": d.Link.Up, "down": d.Link.Down} {
		dropped := int64(0)
		if l.QueueDropped != nil {
			dropped = *l.QueueDropped
		}
		if in, out := l.Packets+l.Duplicated, l.Lost+dropped+l.Delivered+l.InFlight; in != out {
			t.Errorf("%s: %d in, %d out: %+v", name, in, out, l)
		}
	}
	return d
}

func plan(count int64, rate float64, size int) workload.Plan {
	return workload.Plan{Count: count, Rate: rate, Size: size}
}

// lawful holds a count of n independent trials to its law: 5.2 standard
// deviations either way are exceeded twice in ten million runs.
func lawful(t *testing.T, name string, got int64, p float64, n int64) {
	t.Helper()
	mean, sd := p*float64(n), math.Sqrt(p*(1-p)*float64(n))
	if math.Abs(float64(got)-mean) > 5.2*sd+1 {
		t.Errorf("%s: %d, want %.0f ± %.0f (sd)", name, got, mean, sd)
	}
}

// Every message is accounted for, whatever the kernel does to the packets.
func TestKernelUDP(t *testing.T) {
	for _, x := range []struct {
		spec  string
		size  int
		check func(*testing.T, *result.Document)
	}{
		{"", 200, func(t *testing.T, d *result.Document) {
			if *d.Delivery.Delivered != 1500 || d.Link.Up.Packets != 1500 || d.Link.Down.Packets != 0 {
				t.Errorf("%+v, %+v", d.Delivery, d.Link)
			}
		}},
		{"loss 10%", 200, func(t *testing.T, d *result.Document) {
			lawful(t, "lost", *d.Delivery.Lost, 0.1, 1500)
			if *d.Account.LinkLost != *d.Delivery.Lost || d.Link.Up.Lost != *d.Delivery.Lost {
				t.Errorf("%+v, %+v", d.Account, d.Link.Up)
			}
		}},
		{"delay 5ms duplicate 10%", 200, func(t *testing.T, d *result.Document) {
			lawful(t, "duplicated", *d.Delivery.Duplicated, 0.1, 1500)
			if d.Link.Up.Duplicated != *d.Delivery.Duplicated {
				t.Errorf("%+v, %+v", d.Delivery, d.Link.Up)
			}
		}},
		{"delay 5ms corrupt 10%", 200, func(t *testing.T, d *result.Document) {
			lawful(t, "corrupted", d.Link.Up.Corrupted, 0.1, 1500)
		}},
		{"delay 5ms loss 10% duplicate 20%", 200, nil},
		{"delay 20ms limit 5", 200, func(t *testing.T, d *result.Document) {
			if *d.Account.QueueDropped == 0 || *d.Account.LinkLost != 0 {
				t.Errorf("%+v", d.Account)
			}
		}},
		{"delay 20ms loss 10% limit 5", 200, func(t *testing.T, d *result.Document) {
			if d.Account.QueueDropped != nil || *d.Account.LinkLost == 0 {
				t.Errorf("%+v", d.Account)
			}
		}},
		{"delay 5ms loss 5%", 4000, nil}, // three fragments each
		{"delay 10ms 5ms loss gemodel 5% 30%", 200, nil},
		{"delay 10ms reorder 25%", 200, func(t *testing.T, d *result.Document) {
			if d.Order.Reordered == 0 || d.Link.Up.Reordered != nil {
				t.Errorf("%+v, %+v", d.Order, d.Link.Up)
			}
		}},
	} {
		t.Run(x.spec, func(t *testing.T) {
			t.Parallel()
			p, err := parsePath(x.spec)
			if err != nil {
				t.Fatal(err)
			}
			d := kernelRun(t, Config{Spec: peer.Spec{Proto: "udp", Plan: plan(1500, 1000, x.size)}, Path: p})
			if *d.Account.Unexplained != 0 {
				t.Errorf("unexplained: %+v, %+v, %+v", d.Delivery, d.Account, d.Link.Up)
			}
			if x.check != nil {
				x.check(t, d)
			}
			if t.Failed() {
				t.Log(d.Warnings)
			}
		})
	}
}

// A reliable transport hides what the kernel's netem does.
func TestKernelTCP(t *testing.T) {
	p, err := parsePath("delay 10ms loss 3%")
	if err != nil {
		t.Fatal(err)
	}
	d := kernelRun(t, Config{Spec: peer.Spec{Proto: "tcp", Plan: plan(1000, 500, 500)}, Path: p})
	if *d.Delivery.Delivered != 1000 || d.Order.Reordered != 0 || d.Link.Up.Lost == 0 || *d.Wire.Retransmitted == 0 {
		t.Errorf("%+v, %+v", d.Delivery, d.Link)
	}
	if got := time.Duration(*d.Setup.ConnectNS); got < 20*time.Millisecond {
		t.Errorf("connected in %v: below the round trip", got)
	}
	if got := time.Duration(*d.Delay.P50NS); got < 10*time.Millisecond {
		t.Errorf("p50 %v: below the path's delay", got)
	}
}

// The path changes in the middle of a run.
func TestKernelTimeline(t *testing.T) {
	p, err := parsePath("delay 1ms")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := p.Timeline([]string{"500ms up loss 100%", "1s up loss 0%"})
	if err != nil {
		t.Fatal(err)
	}
	d := kernelRun(t, Config{Spec: peer.Spec{Proto: "udp", Plan: plan(1500, 1000, 200)}, Path: p, Changes: changes})
	if lost := *d.Delivery.Lost; lost < 400 || lost > 600 || *d.Account.Unexplained != 0 {
		t.Errorf("%d of 500 lost in the blackout, %+v", lost, d.Account)
	}
}

// The path begins with the connection that is measured: the one before, which
// brings the ticket, is not on it.
func TestKernelResume(t *testing.T) {
	p, err := parsePath("delay 10ms loss 3%")
	if err != nil {
		t.Fatal(err)
	}
	d := kernelRun(t, Config{Spec: peer.Spec{Proto: "tls", Plan: plan(1000, 500, 200), Resume: true}, Path: p})
	if d.Setup.Resumed == nil || !*d.Setup.Resumed || *d.Delivery.Delivered != 1000 {
		t.Errorf("%+v, %+v, %q", d.Setup, d.Delivery, d.Warnings)
	}
	const farewell = 4 // packets after TCP_INFO was read; the earlier connection has more
	if got, sent := d.Link.Up.Packets, int64(d.TCPInfo.SegsOut); got > sent+farewell || d.Link.Up.Lost == 0 {
		t.Errorf("the path saw %d packets and lost %d, TCP sent %d", got, d.Link.Up.Lost, sent)
	}
}

// What the kernel's netem cannot do is an error with this engine, and the
// emulator's with auto.
func TestKernelRefuses(t *testing.T) {
	list, err := netem.Parse("loss list 1-3")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Spec: peer.Spec{Proto: "udp", Plan: plan(20, 100, 200)}, Path: netem.Path{Up: list}, Engine: Kernel}
	if _, err := Run(t.Context(), c); !errors.Is(err, ErrUsage) {
		t.Errorf("a list of losses: %v", err)
	}
	c.Engine = Auto
	d, err := Run(t.Context(), c)
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || d.Engine != "emulator" || *d.Delivery.Lost != 3 {
		t.Errorf("auto: %v, %+v", err, d)
	}
	c.Engine, c.Path, c.Fate = Kernel, netem.Path{}, netem.FateByTime
	if _, err := Run(t.Context(), c); !errors.Is(err, ErrUsage) {
		t.Errorf("fate by time: %v", err)
	}
}

// Auto is the kernel where it has netem; and where somebody asks for a seed
// that this kernel does not take, the emulator.
func TestKernelAuto(t *testing.T) {
	c := Config{Spec: peer.Spec{Proto: "udp", Plan: plan(20, 100, 200)}}
	kernelRun(t, c) // skips without
	c.Engine = Auto
	d, err := Run(t.Context(), c)
	if err != nil || d.Engine != "kernel" {
		t.Errorf("auto: %v, %v", d.Engine, err)
	}
	takes := len(d.Warnings) == 0
	c.SeedGiven = true
	d, err = Run(t.Context(), c)
	if err != nil || (d.Engine == "kernel") != takes {
		t.Errorf("auto with a seed: %v, %v", d.Engine, err)
	}
}
