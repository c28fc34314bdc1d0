package netem

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
)

// A Distribution is the shape of the jitter around the mean delay.
type Distribution string

const (
	// Uniform spreads the delay evenly over [delay−jitter, delay+jitter). It is
	// what netem does when it has no table.
	Uniform Distribution = ""
	// Normal is the bell curve with the jitter as its standard deviation, cut
	// at −4 and +3.52 standard deviations by the resolution of netem's table.
	Normal Distribution = "normal"

	uniformName = "uniform"
)

// String returns the name that tc and the command line use.
func (d Distribution) String() string {
	if d == Uniform {
		return uniformName
	}
	return string(d)
}

// ParseDistribution returns the distribution with that name; the empty
// name is Uniform. As in tc, where the name is that of a file, it cannot be
// shortened.
func ParseDistribution(name string) (Distribution, error) {
	d := Distribution(name)
	if err := d.check(); err != nil {
		return Uniform, err
	}
	return d.canonical(), nil
}

// canonical returns the zero value for the distribution that it also is by name.
func (d Distribution) canonical() Distribution {
	if d == uniformName {
		return Uniform
	}
	return d
}

func (d Distribution) check() error {
	switch d {
	case Uniform, uniformName:
		return nil
	case "pareto", "paretonormal", "experimental":
		return fmt.Errorf("%w: distribution %q", ErrNotSupported, string(d))
	}
	if _, known := tables[d]; !known {
		return fmt.Errorf("unknown distribution %q: want %s", string(d), knownDistributions())
	}
	return nil
}

func knownDistributions() string {
	names := []string{uniformName}
	for d := range tables {
		names = append(names, d.String())
	}
	sort.Strings(names)
	return strings.Join(names, " or ")
}

// A table is an inverse distribution function in the form netem takes: the
// value at equally spaced probabilities, in units of a standard deviation
// divided by tableScale.
type table [tableSize]int16

const (
	tableSize  = 4096 // entries in the tables that iproute2 ships (TABLESIZE)
	tableScale = 8192 // one standard deviation (NETEM_DIST_SCALE)
)

// tables holds the distributions that netem knows by a table. Each is computed
// at its first use.
var tables = map[Distribution]func() *table{
	Normal: sync.OnceValue(func() *table { return newTable(normalQuantile) }),
}

// newTable samples a quantile function as iproute2's generators do: at a
// quarter of the steps that they walk, starting half a step from 0, rounded and
// cut to 16 bits. Their normal.dist differs in one entry of five, by the last
// bit: 1/8192 of a standard deviation.
func newTable(quantile func(p float64) float64) *table {
	t := new(table)
	for k := range t {
		v := math.Round(quantile((4*float64(k)+0.5)/(4*tableSize)) * tableScale)
		t[k] = int16(max(math.MinInt16, min(math.MaxInt16, v)))
	}
	return t
}

// normalQuantile is Φ⁻¹, the quantile function of the standard normal distribution.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
