package peer

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

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

func TestOneHost(t *testing.T) {
	if bootID() == "" {
		t.Skip("this kernel has no boot id")
	}
	r := newRig(t, real()...)
	c, err := r.channel().readClock(t.Context())
	if err != nil || c != (clocks{source: "one host, CLOCK_MONOTONIC"}) {
		t.Errorf("%+v, %v", c, err)
	}
}
