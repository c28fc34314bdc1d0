package workload_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/workload"
)

func TestDefaults(t *testing.T) {
	for _, c := range []struct{ name, plan, want string }{
		{"zero", `{}`,
			`{"count":2000,"duration_ns":0,"size_bytes":500,"rate_per_s":500,"saturate":false,"arrival":"constant","seed":0}`},
		{"duration", `{"duration_ns":1000}`,
			`{"count":0,"duration_ns":1000,"size_bytes":500,"rate_per_s":500,"saturate":false,"arrival":"constant","seed":0}`},
		{"saturate", `{"saturate":true}`,
			`{"count":2000,"duration_ns":0,"size_bytes":500,"rate_per_s":0,"saturate":true,"arrival":"constant","seed":0}`},
		{"burst", `{"arrival":"burst"}`,
			`{"count":2000,"duration_ns":0,"size_bytes":500,"rate_per_s":500,"saturate":false,"arrival":"burst","burst":10,"seed":0}`},
		{"all given", `{"count":3,"duration_ns":4,"size_bytes":50,"rate_per_s":0.5,"saturate":true,"arrival":"poisson","burst":6,"seed":18446744073709551615}`,
			`{"count":3,"duration_ns":4,"size_bytes":50,"rate_per_s":0.5,"saturate":true,"arrival":"poisson","burst":6,"seed":18446744073709551615}`},
	} {
		var p workload.Plan
		if err := json.Unmarshal([]byte(c.plan), &p); err != nil {
			t.Fatal(err)
		}
		p = p.WithDefaults()
		got, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
		if p != p.WithDefaults() {
			t.Errorf("%s: defaults of the defaults differ", c.name)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*workload.Plan)
		want   string // "" is valid
	}{
		{func(p *workload.Plan) { p.Size = 39 }, "size 39: must be at least 40 (the header)"},
		{func(p *workload.Plan) { p.Size = 40 }, ""},
		{func(p *workload.Plan) { p.Size = 16 << 20 }, ""},
		{func(p *workload.Plan) { p.Size = 16<<20 + 1 }, "size 16777217: must be at most 16777216 (16 MiB)"},
		{func(p *workload.Plan) { p.Rate = 0 }, "rate 0: must be above 0, at most 10000000 messages/s"},
		{func(p *workload.Plan) { p.Rate = -1 }, "rate -1: must be above 0, at most 10000000 messages/s"},
		{func(p *workload.Plan) { p.Rate = math.NaN() }, "rate NaN: must be above 0, at most 10000000 messages/s"},
		{func(p *workload.Plan) { p.Rate = math.Inf(1) }, "rate +Inf: must be above 0, at most 10000000 messages/s"},
		{func(p *workload.Plan) { p.Rate = 10e6 }, ""},
		{func(p *workload.Plan) { p.Rate = 10e6 + 1 }, "rate 1.0000001e+07: must be above 0, at most 10000000 messages/s"},
		{func(p *workload.Plan) { p.Rate = 1e-9 }, "rate 1e-09: 2000 messages would take more than 100 days; at least 0.000231 messages/s"},
		{func(p *workload.Plan) { p.Rate, p.Saturate = 0, true }, ""},
		{func(p *workload.Plan) { p.Count = 0 }, "count 0: must be 1 to 4294967296 messages"},
		{func(p *workload.Plan) { p.Count = -1 }, "count -1: must be 1 to 4294967296 messages"},
		{func(p *workload.Plan) { p.Count = 1 << 32 }, ""},
		{func(p *workload.Plan) { p.Count = 1<<32 + 1 }, "count 4294967297: must be 1 to 4294967296 messages"},
		{func(p *workload.Plan) { p.Count, p.Duration = 0, 1 }, ""},
		{func(p *workload.Plan) { p.Count, p.Duration = -1, 1 }, "count -1: must be 1 to 4294967296 messages"},
		{func(p *workload.Plan) { p.Duration = -time.Second }, "duration -1s: must be above 0, at most 100 days"},
		{func(p *workload.Plan) { p.Duration = math.MaxInt64 }, "duration 2562047h47m16.854775807s: must be above 0, at most 100 days"},
		{func(p *workload.Plan) { p.Arrival = "pareto" }, `arrival "pareto": must be one of constant, poisson, burst`},
		{func(p *workload.Plan) { p.Arrival = "" }, `arrival "": must be one of constant, poisson, burst`},
		{func(p *workload.Plan) { p.Arrival = workload.Burst }, "burst 0: must be 1 to 4294967296 messages"},
		{func(p *workload.Plan) { p.Burst = -1 }, "burst -1: must be 1 to 4294967296 messages"},
		{func(p *workload.Plan) { p.Size, p.Rate, p.Arrival = 1, -2, "x" },
			"size 1: must be at least 40 (the header)\n" +
				"rate -2: must be above 0, at most 10000000 messages/s\n" +
				`arrival "x": must be one of constant, poisson, burst`},
	} {
		p := workload.Plan{}.WithDefaults()
		c.change(&p)
		got := ""
		if err := p.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v\n%s\nwant\n%s", p, got, c.want)
		}
	}
}

// Whatever a plan from the other end holds: it is refused in so many words, or
// it runs.
func TestValidOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := workload.Plan{
			Count:    rapid.Int64().Draw(t, "count"),
			Duration: time.Duration(rapid.Int64().Draw(t, "duration")),
			Size:     rapid.Int().Draw(t, "size"),
			Rate:     rapid.Float64().Draw(t, "rate"),
			Saturate: rapid.Bool().Draw(t, "saturate"),
			Arrival:  rapid.OneOf(arrivals(), rapid.Map(rapid.String(), func(s string) workload.Arrival { return workload.Arrival(s) })).Draw(t, "arrival"),
			Burst:    rapid.Int().Draw(t, "burst"),
		}
		// Most fields must be valid for the rest to be reached.
		if rapid.Bool().Draw(t, "size within") {
			p.Size = 40 + int(uint(p.Size)%1000)
		}
		if rapid.Bool().Draw(t, "count within") {
			p.Count = int64(uint64(p.Count) % workload.MaxCount)
		}
		if rapid.Bool().Draw(t, "burst within") {
			p.Burst = int(uint(p.Burst) % workload.MaxCount)
		}
		if rapid.Bool().Draw(t, "duration within") {
			p.Duration = time.Duration(uint64(p.Duration) % uint64(workload.MaxSpan))
		}
		p = p.WithDefaults()
		if err := p.Validate(); err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.Contains(line, "must be") && !strings.Contains(line, "at least") {
					t.Fatalf("%q does not say what is allowed", line)
				}
			}
			return
		}
		if n := p.Expected(); n < -1 || n > workload.MaxCount {
			t.Fatalf("expects %d", n)
		}
		s := workload.NewSchedule(p)
		var last time.Duration
		for range 100 {
			m, ok := s.Next()
			if !ok {
				return
			}
			if m.Offset < last || m.Offset > workload.MaxSpan {
				t.Fatalf("%+v after %v", m, last)
			}
			last = m.Offset
		}
	})
}

// An invalid plan is a fault of the program by the time it comes here.
func TestNewSchedulePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	workload.NewSchedule(workload.Plan{Size: 1})
}

// Messages are never offered faster than their rate: n of them take n/rate, or the
// plan's duration where that ends it.
func TestSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := workload.Plan{
			Count:    rapid.Int64Range(0, 500).Draw(t, "count"),
			Duration: time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "duration")),
			Rate:     rapid.Float64Range(1, 1e4).Draw(t, "rate"),
			Arrival:  rapid.SampledFrom([]workload.Arrival{workload.Constant, workload.Burst}).Draw(t, "arrival"),
			Burst:    rapid.IntRange(1, 20).Draw(t, "burst"),
		}.WithDefaults()
		var n int64
		var last time.Duration
		s := workload.NewSchedule(p)
		for m, ok := s.Next(); ok; m, ok = s.Next() {
			n, last = n+1, m.Offset
		}
		span := p.Span(n, last)
		whole := float64(n)
		if p.Arrival == workload.Burst { // its last burst counts in full
			whole = math.Ceil(whole/float64(p.Burst)) * float64(p.Burst)
		}
		want := whole / p.Rate * 1e9
		if p.Duration > 0 {
			want = min(want, float64(p.Duration))
		}
		if span < last || math.Abs(float64(span)-want) > 2 {
			t.Fatalf("%d messages, the last at %v: span %v, want %v", n, last, span, time.Duration(want))
		}
	})
}
