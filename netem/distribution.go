package netem

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
)

// A Distribution is the shape of the jitter around the mean delay: one of the
// names below, or the name of a file with a table (see [Distribution.File]).
type Distribution string

const (
	// Uniform spreads the delay evenly over [delay−jitter, delay+jitter). It is
	// what netem does when it has no table.
	Uniform Distribution = ""
	// Normal is the bell curve with the jitter as its standard deviation, cut
	// at −4 and +3.52 standard deviations by the resolution of netem's table.
	Normal Distribution = "normal"
	// Pareto is a heavy tail: most packets are a little early, a few very late,
	// up to 4 times the jitter, where netem's table is cut.
	Pareto Distribution = "pareto"
	// ParetoNormal is a mixture, a quarter normal and three quarters Pareto.
	ParetoNormal Distribution = "paretonormal"

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
// shortened. A name with a slash is that of a file in tc's format, which is
// read now: "./mine.dist".
func ParseDistribution(name string) (Distribution, error) {
	d := Distribution(name)
	if file, ok := d.File(); ok {
		if _, err := tableFiles.refresh(file); err != nil {
			return Uniform, fmt.Errorf("distribution %w", err)
		}
		return d, nil
	}
	if err := d.check(); err != nil {
		return Uniform, err
	}
	return d.canonical(), nil
}

// File returns the name of the file that holds the table, if it is not one of
// the distributions with a name: a name with a slash. tc, which looks for
// NAME.dist in a directory of its own, does not take it.
func (d Distribution) File() (name string, ok bool) {
	return string(d), strings.Contains(string(d), "/")
}

// canonical returns the zero value for the distribution that it also is by name.
func (d Distribution) canonical() Distribution {
	if d == uniformName {
		return Uniform
	}
	return d
}

func (d Distribution) check() error {
	if d == Uniform || d == uniformName || tables[d] != nil {
		return nil
	}
	if file, ok := d.File(); ok {
		if _, err := tableFiles.get(file); err != nil {
			return fmt.Errorf("distribution %w", err)
		}
		return nil
	}
	return fmt.Errorf("unknown distribution %q: want %s, or a file of tc's format as ./%s.dist", string(d), knownDistributions(), string(d))
}

// table returns the distribution's table; nil for Uniform. The distribution
// has been checked.
func (d Distribution) table() table {
	if computed := tables[d]; computed != nil {
		return computed()
	}
	if file, ok := d.File(); ok {
		t, err := tableFiles.get(file)
		if err != nil {
			panic("netem: distribution " + err.Error())
		}
		return t
	}
	return nil
}

// Table returns the distribution's table as netem takes it: the inverse
// distribution function at equally spaced probabilities, in 1/8192 of the
// jitter. It is nil for Uniform, for which netem needs none.
func (d Distribution) Table() ([]int16, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return slices.Clone(d.canonical().table()), nil
}

func knownDistributions() string {
	names := []string{uniformName}
	for d := range tables {
		names = append(names, d.String())
	}
	sort.Strings(names)
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// A table is an inverse distribution function in the form netem takes: the
// value at equally spaced probabilities, in units of a standard deviation
// divided by tableScale.
type table []int16

const (
	tableSize  = 4096 // entries in the tables that iproute2 ships (TABLESIZE/4)
	tableScale = 8192 // one standard deviation (NETEM_DIST_SCALE)
)

// at returns what the draw makes of a standard deviation in nanoseconds, up to
// MaxJitter: tabledist of sch_netem.c, which splits it into multiples of
// tableScale and a rest that is rounded.
func (t table) at(draw uint32, sigma int64) int64 {
	v := int64(t[int(draw)%len(t)])
	rest := sigma % tableScale * v
	if rest >= 0 {
		rest += tableScale / 2
	} else {
		rest -= tableScale / 2
	}
	return rest/tableScale + sigma/tableScale*v
}

// tables holds the distributions that netem knows by a table. Each is computed
// at its first use.
var tables = map[Distribution]func() table{
	Normal:       sync.OnceValue(func() table { return newTable(normalEntry) }),
	Pareto:       sync.OnceValue(func() table { return newTable(paretoEntry) }),
	ParetoNormal: sync.OnceValue(func() table { return newTable(paretoNormalEntry) }),
}

// newTable makes a table of its unbounded entries by cutting them to 16 bits.
func newTable(entry func(k int) int) table {
	t := make(table, tableSize)
	for k := range t {
		t[k] = int16(max(math.MinInt16, min(math.MaxInt16, entry(k))))
	}
	return t
}

// normalEntry samples the quantile function as iproute2's generator does: at a
// quarter of the steps that it walks, starting half a step from 0. Its
// normal.dist differs in one entry of five, by the last bit: 1/8192 of a
// standard deviation.
func normalEntry(k int) int {
	return int(math.Round(normalQuantile((4*float64(k)+0.5)/(4*tableSize)) * tableScale))
}

// normalQuantile is Φ⁻¹, the quantile function of the standard normal distribution.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
