package netem

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for word, want := range map[string]time.Duration{
		"20ms": 20 * time.Millisecond, "20msec": 20 * time.Millisecond, "20MSECS": 20 * time.Millisecond,
		"1s": time.Second, "1sec": time.Second, ".5secs": time.Second / 2, "1.": time.Microsecond,
		"7": 7 * time.Microsecond, "7us": 7 * time.Microsecond, "7usec": 7 * time.Microsecond, "7usecs": 7 * time.Microsecond,
		"7µs": 7 * time.Microsecond, "7μs": 7 * time.Microsecond, "3ns": 3, "3nsec": 3, "3nsecs": 3,
		"0": 0, "-0ms": 0, "+1ms": time.Millisecond, "1e3us": time.Millisecond, "1E-3s": time.Millisecond, "0.4ns": 0,
	} {
		if got, err := ParseDuration(word); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", word, got, err, want)
		}
	}
	for _, word := range []string{"", "ms", "-1", "1 ms", "1m", "1h", "1m30s", "1e", "1e+", ".", "-", "9223372037s", "1e400", "inf", "0x1p3", "1_0"} {
		if got, err := ParseDuration(word); err == nil {
			t.Errorf("ParseDuration(%q) = %v", word, got)
		}
	}
}

func TestParsePercent(t *testing.T) {
	for word, want := range map[string]Probability{
		"1%": 42949673, "1": 42949673, "0": 0, "0%": 0, "-0%": 0, "100": Always, "100%": Always,
		"50%":   1 << 31, // halfway between two steps: to the even one, as rint
		"1e-3%": 42950,
	} {
		if got, err := ParsePercent(word); err != nil || got != want {
			t.Errorf("ParsePercent(%q) = %d, %v; want %d", word, got, err, want)
		}
	}
	for _, word := range []string{"", "%", "-1", "100.0000001", "1%%", "1 %", "one", "nan", "1e400"} {
		if got, err := ParsePercent(word); err == nil {
			t.Errorf("ParsePercent(%q) = %v", word, got)
		}
	}
	if got := Percent(1).Float64(); math.Abs(got-0.01) > 1e-9 {
		t.Errorf("1 %% is %v", got)
	}
}

func TestParseRate(t *testing.T) {
	for word, want := range map[string]Rate{
		"800": 800, "800bit": 800, "8kbit": 8e3, "10mbit": 10e6, "10Mbit": 10e6, "1gbit": 1e9, "2tbit": 2e12,
		"8kibit": 8 << 10, "1mibit": 1 << 20, "1gibit": 1 << 30, "1tibit": 1 << 40,
		"1bps": 8, "1kbps": 8e3, "1Mbps": 8e6, "1gbps": 8e9, "1tbps": 8e12,
		"1kibps": 8 << 10, "1mibps": 8 << 20, "1gibps": 8 << 30, "1tibps": 8 << 40,
		"10.7mbit": 10_700_000, "0.5kbit": 496,
	} {
		if got, err := ParseRate(word); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %d, %v; want %d", word, got, err, want)
		}
	}
	for _, word := range []string{"", "fast", "0", "0mbit", "-1mbit", "7", "1mb", "10 mbit", "1e16", "1e400", "5%"} {
		if got, err := ParseRate(word); err == nil {
			t.Errorf("ParseRate(%q) = %v", word, got)
		}
	}
}

func TestUnitsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64-1<<10).Draw(t, "duration"))
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("%d prints %s, is read as %d, %v", d, FormatDuration(d), got, err)
		}
		if got, err := ParseDuration(d.String()); d < time.Minute && (err != nil || got != d) {
			t.Fatalf("Go's %s is read as %d, %v", d, got, err)
		}
		p := Probability(rapid.Uint32().Draw(t, "probability"))
		if got, err := ParsePercent(p.String()); err != nil || got != p {
			t.Fatalf("%d prints %s, is read as %d, %v", p, p, got, err)
		}
		if v, err := strconv.ParseFloat(p.String()[:len(p.String())-1], 64); err != nil || math.Abs(v/100-p.Float64()) > 1e-9 {
			t.Fatalf("%d prints %s", p, p)
		}
		r := 8 * Rate(rapid.Uint64Range(1, uint64(MaxRate/8)).Draw(t, "rate"))
		if got, err := ParseRate(r.String()); err != nil || got != r {
			t.Fatalf("%d prints %s, is read as %d, %v", r, r, got, err)
		}
	})
}

// A long time is exact however its number is written.
func TestParseLongDuration(t *testing.T) {
	for _, word := range []string{"2000000s", "02000000s", "+2000000s", "2000000.s", ".2e7s", "2e6sec", "0.2E+7s", "20000000e-1s", "2000000000MS", "2e15ns", "2000000000000"} {
		if got, err := ParseDuration(word); err != nil || got != 2_000_000*time.Second {
			t.Errorf("ParseDuration(%q) = %v, %v", word, got, err)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "20ms": 20 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "1.000000001s": 1000000001,
		"0.001us": 1, "999.999us": 999999, "-2.5ms": -2500 * time.Microsecond, "-9223372036.854775808s": math.MinInt64,
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestPercentPanics(t *testing.T) {
	for _, p := range []float64{-1, 100.1, math.NaN(), math.Inf(1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Percent(%v) is a probability", p)
				}
			}()
			Percent(p)
		}()
	}
}
