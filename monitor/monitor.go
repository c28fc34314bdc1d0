// Package monitor repeats light probes of a path, keeps count of what comes of them for
// Prometheus, and says when a condition does not hold.
package monitor

import (
	"context"
	"io"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"netcmp/experiment"
	"netcmp/report"
	"netcmp/result"
)

// Config is what is watched.
type Config struct {
	Probes  []experiment.Config // one of each a round, one after the other
	Every   time.Duration       // from the beginning of a round to that of the next
	Rounds  int                 // 0: until the context ends
	Expects []report.Expect     // of each probe's document
	// Told is given each probe when it is done.
	Told func(Probe)
	// Run makes a probe; nil is experiment.Run.
	Run func(context.Context, experiment.Config) (*result.Document, error)
}

// Probe is what came of one.
type Probe struct {
	Proto    string
	Document *result.Document // nil where nothing was measured
	Err      error
	Alerts   []string // the conditions that do not hold, and what was measured
}

// Monitor makes the probes. Its metrics may be read at any time.
type Monitor struct {
	config Config
	set    *metrics.Set
}

// New makes a monitor; Run makes it work.
func New(c Config) *Monitor {
	if c.Run == nil {
		c.Run = experiment.Run
	}
	return &Monitor{config: c, set: metrics.NewSet()}
}

// Run makes round after round. A probe that fails is told of, and is no reason to
// stop: that is what a monitor is for. A round that takes longer than Every is followed
// by the next at once. It says how many probes failed or had an alert.
func (m *Monitor) Run(ctx context.Context) (bad int) {
	tick := time.NewTicker(m.config.Every)
	defer tick.Stop()
	for round := 0; m.config.Rounds == 0 || round < m.config.Rounds; round++ {
		if round > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return bad
			}
		}
		for _, x := range m.config.Probes {
			x.Seed += uint64(round)
			x.Spec.Plan.Seed = x.Seed
			d, err := m.config.Run(ctx, x)
			if ctx.Err() != nil {
				return bad
			}
			p := Probe{Proto: x.Spec.Proto, Document: d, Err: err}
			if d != nil {
				for _, e := range m.config.Expects {
					if o := e.Check(d); !o.Holds {
						p.Alerts = append(p.Alerts, o.Text)
					}
				}
			}
			if err != nil || len(p.Alerts) > 0 {
				bad++
			}
			m.count(p)
			if m.config.Told != nil {
				m.config.Told(p)
			}
		}
	}
	return bad
}

// count enters a probe into the metrics. A figure that was not measured keeps its last
// value; how old that is, netcmp_probe_timestamp_seconds tells.
func (m *Monitor) count(p Probe) {
	label := `{proto="` + p.Proto + `"`
	outcome := "done"
	if p.Err != nil {
		outcome = "failed"
	}
	m.set.GetOrCreateCounter(`netcmp_probes_total` + label + `,outcome="` + outcome + `"}`).Inc()
	m.set.GetOrCreateCounter(`netcmp_probe_alerts_total` + label + `}`).Add(len(p.Alerts))
	set := func(name, more string, v *float64) {
		if v != nil {
			m.set.GetOrCreateGauge(name+label+more+"}", nil).Set(*v)
		}
	}
	seconds := func(ns *int64) *float64 {
		if ns == nil {
			return nil
		}
		return new(float64(*ns) / 1e9)
	}
	d := p.Document
	if d == nil || p.Err != nil {
		return
	}
	set("netcmp_probe_delivery_ratio", "", d.Delivery.Ratio)
	if d.Trust != nil {
		var disturbed float64
		if d.IsDisturbed() {
			disturbed = 1
		}
		set("netcmp_probe_disturbed", "", &disturbed)
	}
	set("netcmp_probe_connect_seconds", "", seconds(d.Setup.ConnectNS))
	if d.Delay != nil {
		set("netcmp_probe_delay_seconds", `,quantile="0.5"`, seconds(d.Delay.P50NS))
		set("netcmp_probe_delay_seconds", `,quantile="0.99"`, seconds(d.Delay.P99NS))
	}
	if at, err := time.Parse(time.RFC3339Nano, d.Started); err == nil {
		set("netcmp_probe_timestamp_seconds", "", new(float64(at.UnixNano())/1e9))
	}
}

// Metrics writes the counts and the latest figures in Prometheus' text format.
func (m *Monitor) Metrics(w io.Writer) { m.set.WritePrometheus(w) }
