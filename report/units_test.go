package report

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDuration(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0 s", 1: "1 ns", 7: "7 ns", 850: "850 ns", 999: "999 ns", 1000: "1.00 µs",
		30_000: "30.0 µs", 999_499: "999 µs", 999_500: "1.00 ms", 999_999: "1.00 ms", 1_000_000: "1.00 ms",
		20_100_000: "20.1 ms", 99_949_999: "99.9 ms", 99_950_001: "100 ms", 280_000_000: "280 ms",
		999_499_999: "999 ms", 999_500_000: "1.00 s", 4_018_000_000: "4.02 s", 9_995_000_001: "10.0 s",
		90 * 1e9: "90.0 s", 3600 * 1e9: "3600 s", -300_000: "-300 µs", -999_999: "-1.00 ms",
		math.MaxInt64: "9223372037 s", math.MinInt64: "-9223372037 s",
	} {
		if got := Duration(ns); got != want {
			t.Errorf("Duration(%d) = %q, want %q", ns, got, want)
		}
	}
}

func TestExactDuration(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0 s", 5: "5 ns", 1500: "1.5 µs", 50 * ms: "50 ms", 1500 * ms: "1.5 s", 1_000_000_001: "1.000000001 s",
		999_999: "999.999 µs", -1500: "-1.5 µs", 60_000 * ms: "60 s", math.MinInt64: "-9223372036.854775808 s",
	} {
		if got := ExactDuration(ns); got != want {
			t.Errorf("ExactDuration(%d) = %q, want %q", ns, got, want)
		}
	}
}

func TestBitRate(t *testing.T) {
	for bps, want := range map[float64]string{
		0: "0 bit/s", math.Copysign(0, -1): "0 bit/s", 0.5: "0.5 bit/s", 9: "9 bit/s", 999: "999 bit/s",
		999.6: "1.00 kbit/s", 1000: "1.00 kbit/s", 3_920_000: "3.92 Mbit/s", 999_600_000: "1.00 Gbit/s",
		92_010_000: "92.0 Mbit/s", 1.2e9: "1.20 Gbit/s", 4.5e15: "4500 Tbit/s", math.NaN(): "–", math.Inf(1): "∞ Tbit/s",
	} {
		if got := BitRate(bps); got != want {
			t.Errorf("BitRate(%g) = %q, want %q", bps, got, want)
		}
	}
}

func TestCountBytesRate(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 99_999: "99999", 100_000: "100 000", 1_234_567: "1 234 567", -1_234_567: "-1 234 567",
		-99_999: "-99999", math.MinInt64: "-9 223 372 036 854 775 808",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 500: "500 B", 65_507: "65507 B", 1_500_000: "1.50 MB", 999_999: "1.00 MB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for r, want := range map[float64]string{
		0: "0", 490: "490", 488.1: "488", 49.25: "49.2", 0.5: "0.500", 8215.4: "8215", 999.7: "1000", 250_000: "250 000", 1e20: "1e+20", math.NaN(): "–",
	} {
		if got := Rate(r); got != want {
			t.Errorf("Rate(%g) = %q, want %q", r, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for r, want := range map[float64]string{
		0: "0 %", 1: "100 %", 0.9805: "98.05 %", 0.5: "50.00 %", 0.99999: "99.999 %", 0.9999999: "99.99999 %",
		0.999999999: ">99.9999 %", 0.00001: "0.001 %", 1e-12: "<0.0001 %", 1.5: "150.00 %", 1.000000001: ">100 %", math.NaN(): "–",
	} {
		if got := Percent(r); got != want {
			t.Errorf("Percent(%g) = %q, want %q", r, got, want)
		}
	}
}

// checkScaled holds the laws of a scaled figure: within half of its third
// digit of the truth, at least 1 and below 1000 of its unit where the scale
// goes on, and no minus before nothing.
func checkScaled(t *rapid.T, got string, x float64, units []unit) {
	digits, name, ok := strings.Cut(got, " ")
	v, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil {
		t.Fatalf("%g: %q is no figure with a unit", x, got)
	}
	if v == 0 && strings.HasPrefix(digits, "-") {
		t.Fatalf("%g: negative zero: %q", x, got)
	}
	for i, u := range units {
		if u.name != name {
			continue
		}
		if math.Abs(v) >= 1000 && i < len(units)-1 {
			t.Fatalf("%g: %q has a larger unit", x, got)
		}
		if i > 0 && math.Abs(v) < 1 {
			t.Fatalf("%g: %q has a smaller unit", x, got)
		}
		if math.Abs(v*u.factor-x) > math.Abs(x)*0.00501 {
			t.Fatalf("%g: %q is not near", x, got)
		}
		return
	}
	t.Fatalf("%g: %q has no known unit", x, got)
}

func TestDurationLaws(t *testing.T) {
	edges := rapid.Custom(func(t *rapid.T) int64 { // near a change of unit
		factor := rapid.SampledFrom([]int64{1e3, 1e6, 1e9, 1e10, 1e11}).Draw(t, "factor")
		return factor - rapid.Int64Range(-5, factor/200).Draw(t, "below")
	})
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1e10, 1e10), edges).Draw(t, "ns")
		if ns == 0 {
			return
		}
		checkScaled(t, Duration(ns), float64(ns), timeUnits)
	})
}

func TestExactDurationIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64().Draw(t, "ns")
		literal := strings.ReplaceAll(ExactDuration(ns), " ", "")
		v, err := parseNumber(path{quantity: timeQuantity}, literal)
		if err != nil || v.integer == nil || v.integer.Int64() != ns {
			t.Fatalf("%d → %s → %v, %v", ns, literal, v.integer, err)
		}
	})
}

func TestBitRateLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bps := rapid.Float64Range(-1e15, 1e15).Draw(t, "bps")
		if math.Abs(bps) < 1e-6 {
			return
		}
		checkScaled(t, BitRate(bps), bps, bitUnits)
	})
}

func TestPercentLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.Float64Range(0, 1).Draw(t, "ratio")
		got := Percent(r)
		if (got == "100 %") != (r == 1) || (got == "0 %") != (r == 0) || strings.HasPrefix(got, "100.0") || strings.HasPrefix(got, "0.00 ") {
			t.Fatalf("%g: %q", r, got)
		}
	})
}
