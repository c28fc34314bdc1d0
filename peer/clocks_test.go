package peer

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/clock"
)

// elsewhere makes a server one of another host, whose clock is ahead by so
// much.
func elsewhere(ahead time.Duration) func(*Server) {
	return func(s *Server) {
		inner := s.http.Handler
		s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/clock" {
				inner.ServeHTTP(w, r)
				return
			}
			_ = json.NewEncoder(w).Encode(clockReading{NowNS: clock.Now() + int64(ahead), BootID: "another"})
		})
	}
}

// The offset between two hosts' clocks is found, and taken out of every delay.
func TestClockOffset(t *testing.T) {
	for name, x := range map[string]struct {
		ahead time.Duration
		spec  Spec
	}{
		"up, the server ahead":      {time.Hour, Spec{}},
		"up, the server behind":     {-time.Hour, Spec{}},
		"down, the server behind":   {-time.Hour, Spec{Direction: Down}},
		"there and back":            {time.Hour, Spec{Pattern: RequestResponse}},
		"there and back, behind it": {-time.Hour, Spec{Pattern: RequestResponse}},
	} {
		t.Run(name, func(t *testing.T) {
			f := datagrams()
			f.ahead = int64(x.ahead)
			r := newRigWith(t, elsewhere(x.ahead), f)

			spec := x.spec
			spec.Proto, spec.Plan, spec.Quiet = "fake", plan(20, 100), 50*time.Millisecond
			out := r.must(t.Context(), spec, nil)
			if off := time.Duration(out.OffsetNS) - x.ahead; off.Abs() > time.Duration(out.UncertaintyNS) || out.UncertaintyNS <= 0 || out.ClockSource != "estimated over the control channel" {
				t.Errorf("offset %v ± %v by %q, want %v", time.Duration(out.OffsetNS), time.Duration(out.UncertaintyNS), out.ClockSource, x.ahead)
			}
			to := out.Server
			if to.Received == nil {
				to = out.Client
			}
			m := to.Received
			if *m.Delivery.Delivered != 20 || out.Error != "" {
				t.Fatalf("%d delivered, error %q", *m.Delivery.Delivered, out.Error)
			}
			least, most := time.Duration(*m.Delay.MinNS), time.Duration(*m.Delay.MaxNS)
			if least < -bound || most > bound || to.FirstNS == nil || *to.FirstNS > int64(bound) || len(m.Intervals) != 1 {
				t.Errorf("delay %v to %v, first %v, %d intervals", least, most, to.FirstNS, len(m.Intervals))
			}
		})
	}
}

// A channel whose beginning breaks is begun anew, a few times; one that is refused, as
// it is at once, is not.
func TestReach(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		breaks int           // so many connections
		after  time.Duration // from their beginning
		dials  int
		ok     bool
	}{
		"broken twice": {reachTries - 1, reachBroken + 100*time.Millisecond, reachTries, true},
		"broken":       {reachTries, reachBroken + 100*time.Millisecond, reachTries, false},
		"refused":      {1, 0, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := socketPair(t)
			r := newServer(t, ServerConfig{}, Listen(far), nil)
			t.Cleanup(func() { near.Close() })
			dials := 0
			r.client.Control = over(0, func(context.Context, string, string) (net.Conn, error) {
				if dials++; dials > x.breaks {
					return near, nil
				}
				broken, end := socketPair(t)
				time.AfterFunc(x.after, func() { end.Close() })
				return broken, nil
			})
			c := control{base: "http://lab", http: r.client.Control}
			_, _, err := c.reach(t.Context())
			if (err == nil) != x.ok || dials != x.dials {
				t.Errorf("%d were dialled, want %d: %v", dials, x.dials, err)
			}
		})
	}
}

func TestOneHost(t *testing.T) {
	if bootID() == "" {
		t.Skip("this kernel has no boot id")
	}
	r := newRig(t, real()...)
	c, err := r.channel().readClock(t.Context(), ClockAuto)
	if err != nil || c.estimated() || c.source != "one host, CLOCK_MONOTONIC" {
		t.Errorf("%+v, %v", c, err)
	}
}

// The offset is within the uncertainty that is stated, whatever the two ways take and
// however the clocks go apart within what crystals do.
func TestClocksLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drift := rapid.Float64Range(-wander, wander).Draw(t, "drift")
		begin := rapid.Int64Range(-1e18, 1e18).Draw(t, "offset")
		up := rapid.Int64Range(0, 50e6).Draw(t, "up")
		down := rapid.Int64Range(0, 50e6).Draw(t, "down")
		jitter := rapid.Int64Range(1, 20e6).Draw(t, "jitter")
		draws := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		truth := func(at int64) int64 { return begin + int64(drift*float64(at)) }
		c := &clocks{}
		at := int64(0)
		for range rapid.IntRange(1, 400).Draw(t, "exchanges") {
			there := up + draws.Int64N(jitter)
			back := down + draws.Int64N(jitter)
			half := (there + back + 1) / 2
			server := at + there + truth(at+there)
			c.add(exchange{at: at + half, offset: server - at - half, half: half})
			now := at + there + back
			offset, uncertainty, _, _ := c.state()
			// Until the next exchange, as long as they come in time.
			for _, later := range []int64{now, now + int64(clockEvery)/2} {
				if off := truth(later) - offset; max(off, -off) > uncertainty+2 {
					t.Fatalf("at %v: %d off, stated ± %d", time.Duration(later), off, uncertainty)
				}
			}
			at = now + int64(clockEvery)/2 + draws.Int64N(int64(clockEvery)/4)
		}
	})
}

// A drift is found to a few parts in a million where the path is steady.
func TestClocksDrift(t *testing.T) {
	for _, want := range []float64{0, 50e-6, -80e-6} {
		draws := rand.New(rand.NewPCG(9, 9))
		c := &clocks{}
		for i := range 4 * 60 {
			at := int64(i) * int64(clockEvery)
			half := int64(20e6) + draws.Int64N(100e3)
			c.add(exchange{at: at + half, offset: 1e9 + int64(want*float64(at)) + draws.Int64N(50e3), half: half})
		}
		_, _, drift, n := c.state()
		if drift == nil || math.Abs(*drift-want) > 3e-6 || n != 240 {
			t.Errorf("drift %v of %v, %d samples", drift, want, n)
		}
	}
	c := &clocks{}
	c.add(exchange{half: 1})
	if _, _, drift, _ := c.state(); drift != nil {
		t.Error("a drift of one exchange")
	}
}
