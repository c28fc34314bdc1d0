package experiment

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"netcmp/lab"
	"netcmp/peer"
	"netcmp/result"
	"netcmp/workload"
)

// The path's speed and punctuality, through the real lab: make bench-path. Each
// round is one experiment; what it costs beside the path (sender, receiver) is
// in it, on the same CPUs.

func measure(b *testing.B, c Config) *result.Document {
	b.Helper()
	var d *result.Document
	for b.Loop() {
		var err error
		d, err = Run(b.Context(), c)
		if errors.Is(err, lab.ErrUnsupported) {
			b.Skip(err)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op") // the run's length says nothing
	return d
}

// BenchmarkPathTCP is bulk TCP in messages of 128 KiB: what the path can carry.
func BenchmarkPathTCP(b *testing.B) {
	for _, path := range []string{"", "delay 5ms limit 200000", "delay 20ms limit 200000", "loss 0.01%"} {
		name := path
		if name == "" {
			name = "clean"
		}
		b.Run(name, func(b *testing.B) {
			c := benchConfig(b, "tcp", path, workload.Plan{Saturate: true, Duration: 3 * time.Second, Size: 128 << 10})
			c.Spec.Congestion = "cubic"
			c.Spec.SendBuffer, c.Spec.ReceiveBuffer = 16<<20, 16<<20
			d := measure(b, c)
			seconds := float64(*d.Speed.DurationNS) / 1e9
			b.ReportMetric(*d.Speed.GoodputBPS/1e9, "Gbit/s")
			b.ReportMetric(float64(d.Link.Up.Packets+d.Link.Down.Packets)/seconds, "packets/s")
			b.ReportMetric(float64(d.Link.Up.Overrun+*d.Link.Up.QueueDropped), "dropped")
		})
	}
}

// BenchmarkPathDelay is the error of the path's delay, at rates of small
// datagrams.
func BenchmarkPathDelay(b *testing.B) {
	for _, rate := range []int{1_000, 10_000, 100_000} {
		for _, delay := range []int{0, 5, 20, 100} {
			b.Run(fmt.Sprintf("%dpps/%dms", rate, delay), func(b *testing.B) {
				path := fmt.Sprintf("delay %dms limit 100000", delay)
				d := measure(b, benchConfig(b, "udp", path, workload.Plan{
					Count: int64(2 * rate), Rate: float64(rate), Size: 200,
				}))
				e := d.Link.Up.DelayErrorNS
				b.ReportMetric(float64(e.P50)/1e3, "p50-µs")
				b.ReportMetric(float64(e.P99)/1e3, "p99-µs")
				b.ReportMetric(float64(e.Max)/1e3, "max-µs")
				b.ReportMetric(float64(d.Link.Up.Overrun), "overrun")
				b.ReportMetric(float64(*d.Account.Unexplained), "unexplained")
			})
		}
	}
}

func benchConfig(b *testing.B, proto, path string, p workload.Plan) Config {
	b.Helper()
	up, err := parsePath(path)
	if err != nil {
		b.Fatal(err)
	}
	return Config{Spec: peer.Spec{Proto: proto, Plan: p}, Path: up, Engine: Auto, Seed: 7}
}
