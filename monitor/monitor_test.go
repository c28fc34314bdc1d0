package monitor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netcmp/experiment"
	"netcmp/peer"
	"netcmp/report"
	"netcmp/result"
)

// Every round makes each probe once, at its time; one that fails is counted and keeps
// none from being made; a condition that does not hold is an alert each time.
func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expect, err := report.ParseExpect("delivery.ratio>=0.9")
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var at []time.Duration
		var seeds []uint64
		var told []Probe
		m := New(Config{
			Probes: []experiment.Config{{Spec: peer.Spec{Proto: "tcp"}, Seed: 5}, {Spec: peer.Spec{Proto: "udp"}, Seed: 5}},
			Every:  time.Minute, Rounds: 3, Expects: []report.Expect{expect},
			Told: func(p Probe) { told = append(told, p) },
			Run: func(_ context.Context, c experiment.Config) (*result.Document, error) {
				at, seeds = append(at, time.Since(begun)), append(seeds, c.Seed)
				if c.Spec.Proto == "tcp" && len(at) == 3 {
					return nil, errors.New("the server is gone")
				}
				d := &result.Document{Schema: result.Schema, Proto: c.Spec.Proto, Started: "2026-01-02T03:04:05Z"}
				d.Delivery.Ratio = new(1.0)
				if c.Spec.Proto == "udp" {
					d.Delivery.Ratio = new(0.5)
				}
				d.Delay = &result.Delay{P50NS: new(int64(20e6))}
				time.Sleep(time.Second)
				return d, nil
			},
		})
		if bad := m.Run(t.Context()); bad != 4 || len(told) != 6 {
			t.Errorf("%d of %d were bad", bad, len(told))
		}
		for i, want := range []time.Duration{0, 1, 60, 60, 120, 121} {
			if at[i] != want*time.Second || seeds[i] != 5+uint64(i/2) {
				t.Errorf("probe %d at %v with seed %d, want %v s", i, at[i], seeds[i], int(want))
			}
		}
		if len(told[1].Alerts) != 1 || len(told[0].Alerts) != 0 || told[2].Err == nil {
			t.Errorf("%+v", told)
		}
		var b strings.Builder
		m.Metrics(&b)
		for _, want := range []string{
			`netcmp_probes_total{proto="tcp",outcome="done"} 2`, `netcmp_probes_total{proto="tcp",outcome="failed"} 1`,
			`netcmp_probe_alerts_total{proto="udp"} 3`, `netcmp_probe_delivery_ratio{proto="udp"} 0.5`,
			`netcmp_probe_delay_seconds{proto="tcp",quantile="0.5"} 0.02`,
		} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is not in\n%s", want, b.String())
			}
		}
	})
}

// Who ends it waits for nothing.
func TestMonitorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		probes := 0
		m := New(Config{Probes: make([]experiment.Config, 1), Every: time.Hour, Run: func(context.Context, experiment.Config) (*result.Document, error) {
			probes++
			return &result.Document{}, nil
		}})
		time.AfterFunc(90*time.Minute, stop)
		begun := time.Now()
		m.Run(ctx)
		if took := time.Since(begun); probes != 2 || took != 90*time.Minute {
			t.Errorf("%d probes in %v", probes, took)
		}
	})
}
