package report

import (
	"math"
	"strconv"
	"strings"
)

// unit is one step of a scale: its name, and how many of the smallest unit it
// is worth.
type unit struct {
	name   string
	factor float64
}

var (
	timeUnits = []unit{{"ns", 1}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}}
	bitUnits  = []unit{{"bit/s", 1}, {"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9}, {"Tbit/s", 1e12}}
	byteUnits = []unit{{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}}
)

const (
	unknown  = "–" // a quantity that was not measured
	infinite = "∞"
)

// Duration writes a measured time with three significant digits, in the unit
// that needs the fewest zeros: "850 ns", "20.1 ms", "4.02 s".
func Duration(ns int64) string {
	if ns == 0 {
		return "0 s"
	}
	return scaled(float64(ns), timeUnits)
}

// ExactDuration writes a time that somebody chose, such as a deadline, with
// all the digits it has and no more: "50 ms", "1.5 s".
func ExactDuration(ns int64) string {
	if ns == 0 {
		return "0 s"
	}
	u := timeUnits[0]
	for _, next := range timeUnits[1:] {
		if math.Abs(float64(ns)) < next.factor {
			break
		}
		u = next
	}
	factor := int64(u.factor)
	// Whole units and the rest apart, since a float64 would not hold every
	// digit.
	whole, rest := strconv.FormatInt(ns/factor, 10), ns%factor
	if rest == 0 {
		return whole + " " + u.name
	}
	if rest < 0 {
		rest = -rest
	}
	digits := strconv.FormatInt(factor+rest, 10)[1:] // zero-padded
	return whole + "." + strings.TrimRight(digits, "0") + " " + u.name
}

// BitRate writes bits per second with three significant digits and SI
// prefixes: 1 kbit is 1000 bits.
func BitRate(bps float64) string { return scaled(bps, bitUnits) }

// Bytes writes a size: as it is up to 99999 B, since a packet's size is
// compared digit by digit, and with three significant digits and SI prefixes
// beyond.
func Bytes(n int64) string {
	if n > -100_000 && n < 100_000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return scaled(float64(n), byteUnits)
}

// Count writes a number of things with every digit, because accounts have to
// add up: plain up to 99999, in groups of three beyond ("1 234 567").
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if len(s) <= 5 {
		return sign + s
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Percent writes a ratio. "100 %" and "0 %" mean exactly that: a share that is
// merely close gets more digits, or a "<" or ">".
func Percent(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return unknown
	case math.IsInf(ratio, 0):
		return strings.Repeat("-", signbit(ratio)) + infinite + " %"
	case ratio == 0:
		return "0 %"
	case ratio == 1:
		return "100 %"
	}
	for decimals := 2; decimals <= 5; decimals++ {
		s := strconv.FormatFloat(ratio*100, 'f', decimals, 64)
		if v, _ := strconv.ParseFloat(s, 64); v != 0 && v != 100 {
			return s + " %"
		}
	}
	switch {
	case ratio > 1:
		return ">100 %"
	case ratio > 0.5:
		return ">99.9999 %"
	case ratio > 0:
		return "<0.0001 %"
	default:
		return ">-0.0001 %"
	}
}

// Rate writes events per second without the unit's noun: three significant
// digits, and every digit before the point.
func Rate(perSecond float64) string {
	switch {
	case math.IsNaN(perSecond):
		return unknown
	case math.IsInf(perSecond, 0) || math.Abs(perSecond) < 1000:
		return significant(perSecond)
	case math.Abs(perSecond) < 1e15:
		return Count(int64(math.Round(perSecond)))
	default:
		return strconv.FormatFloat(perSecond, 'g', 3, 64)
	}
}

// scaled writes x, counted in the first of the units, with three significant
// digits and the unit that keeps the digits before the point below 1000. The
// rounded value decides, so that 999.7 µs is 1.00 ms and not 1000 µs.
func scaled(x float64, units []unit) string {
	if math.IsNaN(x) {
		return unknown
	}
	if math.IsInf(x, 0) {
		return strings.Repeat("-", signbit(x)) + infinite + " " + units[len(units)-1].name
	}
	for i, u := range units {
		s := significant(x / u.factor)
		v, _ := strconv.ParseFloat(s, 64)
		if math.Abs(v) >= 1000 && i < len(units)-1 {
			continue
		}
		if i == 0 && strings.Contains(s, ".") { // no zeros to show for digits that the smallest unit has not
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		if i == 0 && x == math.Trunc(x) {
			s = strconv.FormatFloat(x+0, 'f', 0, 64)
		}
		return s + " " + u.name
	}
	panic("unreachable: the last unit takes everything")
}

// significant writes three significant digits without an exponent: 1234,
// 123, 12.3, 1.23, 0.12. Below 1 it keeps two decimals, or three significant
// digits where that would be nothing.
func significant(x float64) string {
	if math.IsInf(x, 0) {
		return strings.Repeat("-", signbit(x)) + infinite
	}
	if x == 0 {
		return "0"
	}
	if math.Abs(x) < 0.995 {
		decimals := 3
		for limit := 0.1; math.Abs(x) < limit && decimals < 12; limit /= 10 {
			decimals++
		}
		s := strconv.FormatFloat(x, 'f', decimals, 64)
		if v, _ := strconv.ParseFloat(s, 64); v == 0 {
			return "0"
		}
		return s
	}
	for decimals := 2; decimals >= 0; decimals-- {
		s := strconv.FormatFloat(x, 'f', decimals, 64)
		// "12.3" and "1.23" have three digits and a point.
		if decimals == 0 || len(strings.TrimPrefix(s, "-")) <= 4 {
			return s
		}
	}
	panic("unreachable: no decimals always fit")
}

func signbit(x float64) int {
	if math.Signbit(x) {
		return 1
	}
	return 0
}
