package peer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"netcmp/quic"
	"netcmp/tcp"
	"netcmp/transport/transporttest"
	"netcmp/udp"
	"netcmp/workload"
)

// A session that is resumed is accounted for as any other: the connection before
// is over, and nobody counts it. Where messages leave with the first packets, the
// client does not wait for the handshake.
func TestResume(t *testing.T) {
	r := newRig(t, tcp.NewTLS(), quic.New(), quic.NewStreams(), quic.NewDatagram())
	begun := 0
	r.client.Begin = func(context.Context) error { begun++; return nil }
	for i, tr := range r.client.Transports {
		for _, s := range []Spec{
			{Direction: Up}, {Direction: Down}, {Direction: Both}, {Pattern: RequestResponse},
		} {
			s.Proto, s.Plan, s.Resume, s.Quiet = tr.Name(), plan(60, 500), true, 100*time.Millisecond
			t.Run(fmt.Sprint(s.Proto, "/", s.Direction, s.Pattern), func(t *testing.T) {
				transporttest.SkipEarlyData(t, tr)
				rig := *r
				rig.t = t
				begun = 0
				out := rig.must(t.Context(), s, nil)
				checkOutcome(t, s, out)
				rig.gone()
				got := out.Client.Stats
				if got.Resumed == nil || !*got.Resumed || begun != 1 {
					t.Errorf("resumed %v, begun %d times", got.Resumed, begun)
				}
				if early := got.EarlyData != nil && *got.EarlyData; early != (i > 0) {
					t.Errorf("early data: %v", early)
				}
				if out.SecureNS == nil || *out.SecureNS < *out.ConnectNS {
					t.Errorf("connected after %v, secured after %v", out.ConnectNS, out.SecureNS)
				}
			})
		}
	}
}

// A transport without sessions is told so, and so is a client that expects a
// connection where nobody has visited.
func TestResumeRefused(t *testing.T) {
	r := newRig(t, udp.New(), tcp.NewTLS())
	_, err := r.run(t.Context(), Spec{Proto: "udp", Plan: plan(1, 500), Resume: true}, nil)
	wantError(t, err, true, "udp", "tls")
	c := r.open(Spec{Proto: "tls", Plan: plan(1, 500), Resume: true})
	wantError(t, r.call("/v1/sessions/"+c.ID+"/expect", expectOrder{}, nil), false, "visited")
}

// Every message of a session is accounted for, whatever its shape.
func TestRun(t *testing.T) {
	quiet := 100 * time.Millisecond
	type shape struct {
		name string
		spec Spec
	}
	var shapes []shape
	for _, proto := range []string{"tcp", "udp"} {
		for _, d := range []Direction{Up, Down, Both} {
			shapes = append(shapes, shape{string(d), Spec{Proto: proto, Direction: d, Plan: plan(60, 500)}})
		}
		shapes = append(shapes,
			shape{"request-response", Spec{Proto: proto, Pattern: RequestResponse, Plan: plan(60, 500)}},
			shape{"request-response in turns", Spec{Proto: proto, Pattern: RequestResponse, Plan: workload.Plan{Count: 60, Saturate: true}}},
			shape{"poisson", Spec{Proto: proto, Plan: workload.Plan{Count: 60, Rate: 1000, Arrival: workload.Poisson, Seed: 7}}},
			shape{"poisson, duration", Spec{Proto: proto, Plan: workload.Plan{Duration: 60 * time.Millisecond, Rate: 1000, Arrival: workload.Poisson, Seed: 7}}},
			shape{"burst", Spec{Proto: proto, Plan: workload.Plan{Count: 60, Rate: 1000, Arrival: workload.Burst, Burst: 20}}},
			shape{"duration", Spec{Proto: proto, Plan: workload.Plan{Duration: 60 * time.Millisecond, Rate: 1000}}},
			shape{"saturate, count", Spec{Proto: proto, Plan: workload.Plan{Count: 3000, Saturate: true}}},
			shape{"saturate, duration", Spec{Proto: proto, Plan: workload.Plan{Duration: 50 * time.Millisecond, Saturate: true}}},
			shape{"saturate, both", Spec{Proto: proto, Direction: Both, Plan: workload.Plan{Count: 2000, Saturate: true}}},
			shape{"the smallest", Spec{Proto: proto, Plan: plan(60, 40)}},
			shape{"a single message", Spec{Proto: proto, Plan: plan(1, 500)}},
			shape{"many intervals", Spec{Proto: proto, Interval: 5 * time.Millisecond, Plan: plan(60, 500)}},
		)
	}
	shapes = append(shapes,
		shape{"60,000 bytes", Spec{Proto: "udp", Plan: workload.Plan{Count: 12, Size: 60_000, Rate: 200}}},
		shape{"60,000 bytes, there and back", Spec{Proto: "udp", Pattern: RequestResponse, Plan: workload.Plan{Count: 12, Size: 60_000, Rate: 200}}},
		shape{"1 MiB", Spec{Proto: "tcp", Plan: workload.Plan{Count: 12, Size: 1 << 20, Rate: 200}}},
		shape{"1 MiB, there and back", Spec{Proto: "tcp", Pattern: RequestResponse, Plan: workload.Plan{Count: 12, Size: 1 << 20, Rate: 200}}},
		shape{"Nagle and small buffers", Spec{Proto: "tcp", Direction: Both, Nagle: true, SendBuffer: 8192, ReceiveBuffer: 8192, Plan: plan(60, 5000)}},
	)
	// quic-go refuses connections that come faster than they are made: at no rate that a
	// busy machine cannot keep up with.
	calm := workload.Plan{Count: 60, Size: 500, Rate: 150}
	for _, proto := range []string{"tcp", "tls", "quic", "quic-streams"} {
		shapes = append(shapes,
			shape{"short", Spec{Proto: proto, Connection: Short, Plan: calm}},
			shape{"short, request-response", Spec{Proto: proto, Connection: Short, Pattern: RequestResponse, Plan: calm}},
			shape{"short, saturate", Spec{Proto: proto, Connection: Short, Plan: workload.Plan{Count: 300, Saturate: true}}},
			shape{"short, in turns", Spec{Proto: proto, Connection: Short, Pattern: RequestResponse, Plan: workload.Plan{Count: 30, Saturate: true}}},
			shape{"short, 100,000 bytes", Spec{Proto: proto, Connection: Short, Pattern: RequestResponse, Plan: workload.Plan{Count: 12, Size: 100_000, Rate: 200}}},
		)
	}
	r := newRig(t, append(real(), tcp.NewTLS(), quic.New(), quic.NewStreams())...)
	for _, s := range shapes {
		t.Run(s.spec.Proto+"/"+s.name, func(t *testing.T) {
			s.spec.Quiet = quiet
			rig := *r
			rig.t = t
			out := rig.must(t.Context(), s.spec, nil)
			checkOutcome(t, s.spec, out)
			rig.gone()
			if n := s.spec.WithDefaults().Plan.Expected(); n > 0 {
				for _, e := range []*EndReport{out.Client, out.Server} {
					if e.Sent != nil && (e.Sent.Sent != n || e.Sent.Scheduled != n) {
						t.Errorf("%d of %d sent, the plan has %d", e.Sent.Sent, e.Sent.Scheduled, n)
					}
				}
			}
			if n := s.spec.WithDefaults().Plan.Expected(); s.spec.Connection == Short {
				for _, e := range []*EndReport{out.Client, out.Server} {
					if c := e.Stats.Connections; c == nil || c.Opened != n || c.Failed != 0 {
						t.Errorf("%d messages over %+v", n, c)
					}
				}
			}
			if s.spec.Interval > 0 && len(out.Client.Sent.PerInterval) != 12 {
				t.Errorf("60 ms in intervals of 5: %v", out.Client.Sent.PerInterval)
			}
		})
	}
}

// Sessions over TCP, from clients at the same time.
func TestRunConcurrently(t *testing.T) {
	r := newRemote(t, ServerConfig{Token: "let me in"})
	done := make(chan error, 6)
	for i := range cap(done) {
		go func() {
			s := Spec{Proto: []string{"tcp", "udp"}[i%2], Direction: []Direction{Up, Down, Both}[i/2], Plan: plan(100, 500), Quiet: 200 * time.Millisecond}
			out, err := Run(t.Context(), r.client, s, nil)
			if err == nil && out.Error != "" {
				err = fmt.Errorf("%s", out.Error)
			}
			if err == nil {
				checkOutcome(t, s, out)
			}
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	r.gone()
}

// Progress grows to the whole, and its partial outcomes are whole ones.
func TestProgress(t *testing.T) {
	for _, d := range []Direction{Up, Down, Both} {
		t.Run(string(d), func(t *testing.T) {
			r := newRig(t, real()...)
			all := int64(100)
			if d == Both {
				all *= 2
			}
			var last Progress
			partials, after := 0, false
			spec := Spec{Proto: "udp", Direction: d, Plan: plan(100, 500), Quiet: 200 * time.Millisecond}
			out := r.must(t.Context(), spec, func(p Progress) {
				if after {
					t.Error("progress after Run")
				}
				if p.Scheduled != all || p.Total != 100*time.Millisecond {
					t.Errorf("scheduled %d in %v", p.Scheduled, p.Total)
				}
				if p.Sent < last.Sent || p.Delivered < last.Delivered || p.Elapsed < last.Elapsed || p.Delivered > all {
					t.Errorf("%+v after %+v", p, last)
				}
				if x := p.Partial; x != nil {
					partials++
					if x.StartedNS == 0 || x.ClockSource == "" || x.Client == nil || x.Server == nil || x.Interrupted || x.Error != "" {
						t.Errorf("partial outcome %+v", x)
					}
					if d != Up {
						if s := x.Client.Received.Delivery; s.Sent < *s.Delivered || x.Server.Sent.Sent < *s.Delivered {
							t.Errorf("the partial account has more delivered than sent: %+v", s)
						}
					}
				}
				last = p
			})
			after = true
			checkOutcome(t, spec, out)
			if partials == 0 || last.Sent == 0 {
				t.Errorf("%d partial outcomes, the last line %+v", partials, last)
			}
		})
	}
}

func TestTotal(t *testing.T) {
	for _, x := range []struct {
		plan workload.Plan
		want time.Duration
	}{
		{workload.Plan{}, 4 * time.Second}, // the defaults: 2000 at 500/s
		{workload.Plan{Count: 100, Rate: 10}, 10 * time.Second},
		{workload.Plan{Duration: 3 * time.Second}, 3 * time.Second},
		{workload.Plan{Count: 100, Rate: 100, Duration: 3 * time.Second}, time.Second},
		{workload.Plan{Count: 1000, Rate: 100, Duration: 3 * time.Second}, 3 * time.Second},
		{workload.Plan{Count: 1000, Saturate: true}, 0},
		{workload.Plan{Count: 1000, Rate: 10, Saturate: true, Duration: time.Second}, time.Second},
	} {
		if got := total(x.plan.WithDefaults()); got != x.want {
			t.Errorf("%+v: %v, want %v", x.plan, got, x.want)
		}
	}
}
