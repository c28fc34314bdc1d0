package experiment

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/result"
)

const ms = int64(time.Millisecond)

// paced is a run of n messages whose delays and latenesses are given, ms.
func paced(n int64, p50, p99 float64, parts map[string]result.Tail) *result.Document {
	d := &result.Document{}
	ns := func(v float64) *int64 { return new(int64(v * float64(ms))) }
	d.Delivery.Due, d.Delivery.Sent, d.Delivery.Delivered = n, n, new(n)
	d.Delay = &result.Delay{MinNS: ns(p50), P50NS: ns(p50), P90NS: ns(p50), P99NS: ns(p99), P999NS: ns(p99), MaxNS: ns(p99)}
	d.Speed.DurationNS = new(n * 2 * ms)
	x := &result.Lateness{}
	for name, t := range parts {
		switch name {
		case "sender":
			x.Sender = &t
		case "path":
			x.Path = &t
		case "receiver":
			x.Receiver = &t
		}
	}
	d.Instrument.LatenessNS = x
	return d
}

func TestTrust(t *testing.T) {
	late := func(p50, p90, p99, p999, most int64) result.Tail {
		return result.Tail{P50: p50, P90: p90, P99: p99, P999: p999, Max: most}
	}
	for name, x := range map[string]struct {
		d    *result.Document
		want string // what the first reason holds; "" is a good run
	}{
		"punctual":                              {paced(2000, 20, 20, map[string]result.Tail{"sender": late(1000, 20_000, 90_000, 300_000, 900_000), "path": late(5000, 9000, 60_000, 400_000, ms)}), ""},
		"one hiccup of 2000":                    {paced(2000, 20, 20, map[string]result.Tail{"path": late(0, 0, 0, ms, 30*ms)}), ""},
		"one hiccup of 500":                     {paced(500, 20, 20, map[string]result.Tail{"path": late(0, 0, 0, ms, 30*ms)}), "the path ran late: by up to 30ms, and by 30ms at p99.9"},
		"a stop of the receiver":                {paced(2000, 20, 60, map[string]result.Tail{"receiver": late(0, 0, 40*ms, 50*ms, 52*ms)}), "the receiver ran late: by up to 52ms"},
		"a median moved":                        {paced(2000, 62, 70, map[string]result.Tail{"sender": late(20*ms, 21*ms, 22*ms, 23*ms, 24*ms), "receiver": late(30*ms, 31*ms, 32*ms, 33*ms, 34*ms)}), "the sender ran late"},
		"late, and little beside the delay":     {paced(2000, 2000, 3000, map[string]result.Tail{"path": late(40*ms, 50*ms, 60*ms, 70*ms, 80*ms)}), ""},
		"the parts together":                    {paced(2000, 20, 20, map[string]result.Tail{"sender": late(0, 0, 900_000, ms, 2*ms), "path": late(0, 0, 900_000, ms, 2*ms), "receiver": late(0, 0, 900_000, ms, 2*ms)}), "at p99,"},
		"nothing was measured of its lateness:": {paced(2000, 20, 20, nil), "no verdict"},
	} {
		got := trust(x.d)
		switch {
		case x.want == "no verdict":
			if got != nil {
				t.Errorf("%s: %+v", name, got)
			}
		case x.want == "":
			if got.Verdict != result.Good || len(got.Reasons) != 0 {
				t.Errorf("%s: %+v", name, got)
			}
		case got.Verdict != result.Disturbed || !strings.Contains(strings.Join(got.Reasons, "\n"), x.want):
			t.Errorf("%s: %+v, want %q", name, got, x.want)
		}
	}
}

// A percentile that is lost does not hide a stop: shares within a deadline rest on it.
func TestTrustOfLostPercentiles(t *testing.T) {
	d := paced(2000, 20, 20, map[string]result.Tail{"path": {P99: 30 * ms, P999: 40 * ms, Max: 50 * ms}})
	d.Delay.P99NS, d.Delay.P999NS, d.Delay.MaxNS = nil, nil, new(70*ms)
	if got := trust(d); got.Verdict != result.Disturbed || got.WorstNS != 50*ms {
		t.Errorf("%+v", got)
	}
}

// Delays of a saturating run are those of its queues; it is disturbed when a process was
// not run for long.
func TestTrustOfSaturation(t *testing.T) {
	for stop, want := range map[time.Duration]string{50 * time.Millisecond: result.Good, 700 * time.Millisecond: result.Disturbed} {
		d := paced(2000, 300, 400, map[string]result.Tail{"receiver": {P50: 90 * ms, P99: int64(stop), P999: int64(stop), Max: int64(stop)}})
		d.Plan.Saturate = true
		if got := trust(d); got.Verdict != want {
			t.Errorf("stopped for %v of 4 s: %+v", stop, got)
		}
	}
}

// More lateness never makes a disturbed run good, and the other way is what its own
// delays allow.
func TestTrustIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(0, 100*ms)
		p := result.Tail{P50: v.Draw(t, "p50")}
		p.P90 = p.P50 + v.Draw(t, "p90")
		p.P99 = p.P90 + v.Draw(t, "p99")
		p.P999 = p.P99 + v.Draw(t, "p999")
		p.Max = p.P999 + v.Draw(t, "max")
		n := rapid.Int64Range(1, 5000).Draw(t, "n")
		more := p
		by := v.Draw(t, "more")
		more.P50, more.P90, more.P99, more.P999, more.Max = p.P50+by, p.P90+by, p.P99+by, p.P999+by, p.Max+by
		one := trust(paced(n, 200, 300, map[string]result.Tail{"path": p}))
		other := trust(paced(n, 200, 300, map[string]result.Tail{"path": more}))
		if one.Verdict == result.Disturbed && other.Verdict != result.Disturbed {
			t.Fatalf("%+v is disturbed, %+v is not", p, more)
		}
	})
}
