package netem

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// The values of tc's syntax: a number, and a unit right behind it. Units are
// read without regard to case, as tc does. Numbers are decimal, with a point
// and an exponent where wanted.

// errTooLarge marks a number beyond what a value can hold.
var errTooLarge = errors.New("too large")

// splitNumber cuts a word into its number and what follows. A number too large
// for a float64 is infinite.
func splitNumber(word string) (number float64, unit string, ok bool) {
	end, digits := 0, 0
	if end < len(word) && (word[end] == '+' || word[end] == '-') {
		end++
	}
	skipDigits := func() {
		for end < len(word) && '0' <= word[end] && word[end] <= '9' {
			end++
			digits++
		}
	}
	skipDigits()
	if end < len(word) && word[end] == '.' {
		end++
		skipDigits()
	}
	if digits == 0 {
		return 0, word, false
	}
	// An e is an exponent only if a number follows it.
	if mantissa := end; end < len(word) && (word[end] == 'e' || word[end] == 'E') {
		end++
		if end < len(word) && (word[end] == '+' || word[end] == '-') {
			end++
		}
		before := digits
		if skipDigits(); digits == before {
			end = mantissa
		}
	}
	number, _ = strconv.ParseFloat(word[:end], 64) // the form is right, and out of range is ±Inf
	return number, word[end:], true
}

// isNumber reports whether a word of a specification is a value and not a
// keyword. tc looks for a digit; a sign or a point count here as well, so that
// what is wrong with "-5ms" can be said.
func isNumber(word string) bool {
	return word != "" && strings.IndexByte("0123456789.+-", word[0]) >= 0
}

type unit struct {
	name  string
	scale float64
}

func findUnit(units []unit, name string) (scale float64, ok bool) {
	for _, u := range units {
		if strings.EqualFold(u.name, name) {
			return u.scale, true
		}
	}
	return 0, false
}

// timeUnits are those of get_time in iproute2, and those that Go prints.
var timeUnits = []unit{
	{"", 1e3}, // microseconds
	{"s", 1e9}, {"sec", 1e9}, {"secs", 1e9},
	{"ms", 1e6}, {"msec", 1e6}, {"msecs", 1e6},
	{"us", 1e3}, {"usec", 1e3}, {"usecs", 1e3}, {"µs", 1e3}, {"μs", 1e3},
	{"ns", 1}, {"nsec", 1}, {"nsecs", 1},
}

// ParseDuration reads a time as tc does: a number and s, ms, us or ns (sec,
// msec, usec, nsec and their plurals too). A bare number counts microseconds.
// The result is not negative and is rounded to a nanosecond.
func ParseDuration(word string) (time.Duration, error) {
	number, name, ok := splitNumber(word)
	if !ok {
		return 0, fmt.Errorf("%q is not a time: want a number and s, ms, us or ns, such as 20ms", word)
	}
	scale, ok := findUnit(timeUnits, name)
	if !ok {
		return 0, fmt.Errorf("%q is not a time: unknown unit %q, want s, ms, us or ns (a bare number counts microseconds)", word, name)
	}
	ns := math.RoundToEven(number * scale)
	switch {
	case number < 0:
		return 0, fmt.Errorf("%q is negative: a time is 0 or more", word)
	case ns >= math.MaxInt64:
		return 0, fmt.Errorf("%q is %w for a time", word, errTooLarge)
	case ns >= 1<<50:
		// A float64 would be right to half a nanosecond no more (13 days).
		exact, _ := new(big.Rat).SetString(strings.TrimSuffix(word, name))
		exact.Mul(exact, new(big.Rat).SetFloat64(scale))
		whole := new(big.Int).Quo(exact.Add(exact, big.NewRat(1, 2)).Num(), exact.Denom())
		if !whole.IsInt64() {
			return 0, fmt.Errorf("%q is %w for a time", word, errTooLarge)
		}
		return time.Duration(whole.Int64()), nil
	}
	return time.Duration(ns), nil
}

// FormatDuration writes a time exactly and in the units that tc reads: "20ms",
// "1.5s", "0.25us".
func FormatDuration(d time.Duration) string {
	sign, ns := "", uint64(d)
	if d < 0 {
		sign, ns = "-", -ns
	}
	one, digits, name := uint64(1e3), 3, "us"
	switch {
	case ns >= 1e9 || ns == 0:
		one, digits, name = 1e9, 9, "s"
	case ns >= 1e6:
		one, digits, name = 1e6, 6, "ms"
	}
	fraction := strings.TrimRight(fmt.Sprintf("%0*d", digits, ns%one), "0")
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + strconv.FormatUint(ns/one, 10) + fraction + name
}

// A Probability is a share of 2³²−1, which is how netem keeps it and compares
// it with a draw of 32 bits: 0 is never, 2³²−1 is always.
type Probability uint32

// Always is the probability 1.
const Always Probability = math.MaxUint32

// Percent returns the probability nearest to p per cent. It is for constants
// and panics outside 0 to 100; ParsePercent is for input.
func Percent(p float64) Probability {
	if !(p >= 0 && p <= 100) {
		panic(fmt.Sprintf("netem: %g per cent is no probability", p))
	}
	return Probability(math.RoundToEven(p / 100 * math.MaxUint32))
}

// ParsePercent reads a percentage as tc does: "1%" and "1" are both one per
// cent. The result is rounded to a step of 1/(2³²−1).
func ParsePercent(word string) (Probability, error) {
	number, name, ok := splitNumber(word)
	switch {
	case !ok || name != "" && name != "%":
		return 0, fmt.Errorf("%q is not a percentage: want a number from 0%% to 100%%, such as 2.5%%", word)
	case number < 0 || number > 100:
		return 0, fmt.Errorf("%q is out of range: want 0%% to 100%%", word)
	}
	return Percent(number), nil
}

// Float64 returns the probability as a number from 0 to 1.
func (p Probability) Float64() float64 { return float64(p) / math.MaxUint32 }

// String returns the percentage with as many digits as it takes to read the
// same probability back: "2%", "0.1%", "33.333333%".
func (p Probability) String() string {
	for digits := 0; ; digits++ {
		number := strconv.FormatFloat(100*p.Float64(), 'f', digits, 64)
		// A step is 2.3·10⁻⁸ per cent, so this ends at nine digits at the latest.
		if v, err := strconv.ParseFloat(number, 64); err == nil && v <= 100 && Percent(v) == p {
			return number + "%"
		}
	}
}

// A Rate is a speed in bit/s.
type Rate uint64

const (
	bitsPerByte = 8

	// MinRate is one byte a second, the unit in which tc and the kernel keep a
	// rate. Less would be no byte at all, which the kernel takes for no limit.
	MinRate Rate = bitsPerByte
	// MaxRate is far above any link, and below what a float64 counts exactly.
	MaxRate Rate = 1e15
)

// rateUnits are those of tc's table of suffixes. An i makes the multiples
// binary; "bps" is bytes a second.
var rateUnits = []unit{
	{"", 1}, {"bit", 1},
	{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"tbit", 1e12},
	{"kibit", 1 << 10}, {"mibit", 1 << 20}, {"gibit", 1 << 30}, {"tibit", 1 << 40},
	{"bps", 8},
	{"kbps", 8e3}, {"mbps", 8e6}, {"gbps", 8e9}, {"tbps", 8e12},
	{"kibps", 8 << 10}, {"mibps", 8 << 20}, {"gibps", 8 << 30}, {"tibps", 8 << 40},
}

// ParseRate reads a rate as tc does: a number and bit, kbit, mbit, gbit or tbit
// (kibit and so on in powers of 1024), or bps, kbps and so on, which are BYTES a
// second. A bare number is bit/s. The result is rounded down to whole bytes a
// second, as tc does.
func ParseRate(word string) (Rate, error) {
	number, name, ok := splitNumber(word)
	if !ok {
		return 0, fmt.Errorf("%q is not a rate: want a number and bit, kbit, mbit or gbit, such as 10mbit", word)
	}
	scale, ok := findUnit(rateUnits, name)
	switch {
	case strings.HasPrefix(name, "%"):
		return 0, fmt.Errorf("%q is not a rate: a share of the device's speed has no meaning here, want a number and bit, kbit, mbit or gbit", word)
	case !ok:
		return 0, fmt.Errorf("%q is not a rate: unknown unit %q, want bit, kbit, mbit, gbit, tbit, or bps, kbps, mbps… for bytes (a bare number is bit/s)", word, name)
	case number < 0:
		return 0, fmt.Errorf("%q is negative: want a rate from %s to %s", word, MinRate, MaxRate)
	}
	bits := math.RoundToEven(number * scale)
	if bits > float64(MaxRate) {
		bits = float64(MaxRate) + 1 // out of range whatever it was, and an integer
	}
	r := Rate(bits)
	if err := r.check(word); err != nil {
		return 0, err
	}
	return r / bitsPerByte * bitsPerByte, nil
}

// check returns an error about the word that gave this rate if it is out of range.
func (r Rate) check(word string) error {
	switch {
	case r == 0:
		return fmt.Errorf("%q is no rate: want %s to %s, or leave it out for a link without limit", word, MinRate, MaxRate)
	case r < MinRate || r > MaxRate:
		return fmt.Errorf("%q is out of range: want a rate from %s to %s", word, MinRate, MaxRate)
	}
	return nil
}

// String returns the rate in the largest of tc's units that keeps it whole:
// "10mbit", "1500kbit".
func (r Rate) String() string {
	names := [...]string{"bit", "kbit", "mbit", "gbit", "tbit"}
	n := 0
	for n < len(names)-1 && r != 0 && r%1000 == 0 {
		r /= 1000
		n++
	}
	return strconv.FormatUint(uint64(r), 10) + names[n]
}

// sizeUnits are those of get_size in iproute2: multiples of 1024, of bytes or
// of bits.
var sizeUnits = []unit{
	{"", 1}, {"b", 1},
	{"k", 1 << 10}, {"kb", 1 << 10}, {"m", 1 << 20}, {"mb", 1 << 20}, {"g", 1 << 30}, {"gb", 1 << 30},
	{"kbit", 1 << 7}, {"mbit", 1 << 17}, {"gbit", 1 << 27},
}

// parseSize reads a number of bytes as tc does: "1500", "64k", "1mb".
func parseSize(word string) (uint32, error) {
	number, name, ok := splitNumber(word)
	scale, known := findUnit(sizeUnits, name)
	bytes := math.Trunc(number * scale)
	if !ok || !known || !(bytes >= 0 && bytes <= math.MaxInt32) {
		return 0, fmt.Errorf("%q is not a size: want a number of bytes from 0 to %d, or with k, m or g", word, math.MaxInt32)
	}
	return uint32(bytes), nil
}
