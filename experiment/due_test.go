package experiment

import (
	"math"
	"strings"
	"testing"
	"time"

	"netcmp/netem"
	"netcmp/peer"
	"netcmp/workload"
)

// What a transport that is blocked never takes is due all the same: it is infinitely
// late in every figure, and the account names it.
func TestBlockedMessagesAreDue(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for its paths, which the first run has done")
	}
	for _, proto := range []string{"tcp", "tls", "quic", "quic-datagram"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel() // they wait for their paths
			c := config(t, proto, "rate 100kbit delay 5ms", workload.Plan{Duration: time.Second, Rate: 400, Size: 1000})
			c.Spec.SendBuffer = 4096
			d := try(t, c)
			x := d.Delivery
			if x.Due != 400 || x.Scheduled != 400 || x.Unsent <= 0 || x.Unsent != x.Due-x.Sent {
				t.Fatalf("%+v", x)
			}
			if want := float64(*x.Delivered) / 400; *x.Ratio != want {
				t.Errorf("ratio %v, want %v", *x.Ratio, want)
			}
			if d.Account == nil || *d.Account.Unsent != x.Unsent {
				t.Errorf("account %+v", d.Account)
			}
			if d.Delay.P99NS != nil {
				t.Errorf("p99 is %v with %d of 400 delivered", *d.Delay.P99NS, *x.Delivered)
			}
			if !strings.Contains(strings.Join(d.Warnings, "\n"), "were due and never sent") {
				t.Errorf("warnings %q", d.Warnings)
			}
			var lost int64
			for _, i := range d.Intervals {
				lost += *i.Lost
			}
			if lost != 400-*x.Delivered {
				t.Errorf("%d missing in intervals, %d in all", lost, 400-*x.Delivered)
			}
		})
	}
}

// A run whose path is cut off in the middle goes on to its plan's end in every figure.
func TestRatesEndWithThePlan(t *testing.T) {
	c := config(t, "udp", "delay 5ms", workload.Plan{Duration: 2 * time.Second, Rate: 100, Size: 500})
	cut, err := parsePath("delay 5ms loss 100%")
	if err != nil {
		t.Fatal(err)
	}
	c.Changes = []netem.Change{{At: 250 * time.Millisecond, Path: cut}}
	d := try(t, c)
	delivered := float64(*d.Delivery.Delivered)
	if delivered < 20 || delivered > 30 {
		t.Fatalf("%v delivered", delivered)
	}
	near := func(what string, got, want, by float64) {
		t.Helper()
		if math.Abs(got-want) > by {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("seconds", float64(*d.Speed.DurationNS)/1e9, 2, 0)
	near("messages/s", *d.Speed.MessagesPS, delivered/2, 1e-9)
	near("bit/s", *d.Speed.GoodputBPS, delivered*500*8/2, 1e-6)
	last := delivered*0.01 - 0.01 + 0.005 // when the last one came
	if !d.IsDisturbed() {
		near("silence", float64(*d.Stall.LongestSilenceNS)/1e9, 2-last, 0.02)
	}
	if n := len(d.Intervals); n != 2 || d.Intervals[1].LengthNS != int64(time.Second) || d.Intervals[1].Delivered != 0 {
		t.Errorf("%d intervals: %+v", n, d.Intervals)
	}
}

// Messages are never delivered faster than they were offered, and one has no rate.
func TestFewMessages(t *testing.T) {
	for _, proto := range []string{"udp", "tcp"} {
		d := try(t, config(t, proto, "delay 5ms", workload.Plan{Count: 2, Rate: 4}))
		if v := d.Speed.MessagesPS; v == nil || *v > 4 || *v < 3.9 {
			t.Errorf("%s: 2 messages at 4/s are delivered at %v", proto, v)
		}
		if d = try(t, config(t, proto, "delay 5ms", workload.Plan{Count: 1, Rate: 4})); d.Speed.MessagesPS != nil || d.Speed.GoodputBPS != nil {
			t.Errorf("%s: one message has a rate: %+v", proto, d.Speed)
		}
	}
}

// A path that is late delivers its messages all the same: none is unexplained.
func TestALatePathIsWaitedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for its paths, which the first run has done")
	}
	for _, spec := range []peer.Spec{
		{Proto: "udp"},
		{Proto: "quic-datagram"},
		{Proto: "udp", Pattern: peer.RequestResponse},
		{Proto: "udp", Direction: peer.Both},
	} {
		// Most of what is sent is in the path for longer than any silence before.
		c := config(t, spec.Proto, "delay 10ms", workload.Plan{Count: 50, Rate: 500, Size: 200})
		spec.Plan, c.Spec = c.Spec.Plan, spec
		late, err := parsePath("delay 1500ms")
		if err != nil {
			t.Fatal(err)
		}
		c.Changes = []netem.Change{{At: 60 * time.Millisecond, Path: late}}
		d := try(t, c)
		accounted(t, &d.Measured)
		if *d.Delivery.Delivered != d.Delivery.Due {
			t.Errorf("%s %s: %d of %d delivered", spec.Proto, spec.Pattern, *d.Delivery.Delivered, d.Delivery.Due)
		}
	}
}
