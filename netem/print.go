package netem

import (
	"strconv"
	"strings"
)

// String returns the impairment as the arguments of tc's netem, in one spelling
// for all that mean the same: Parse(i.String()) is i for every i that Parse
// returned. A clean impairment is the empty string. Not printed is what tc
// assumes: a limit of 1000, a gap of 1, the uniform distribution.
func (i Impairment) String() string {
	i = i.canonical()
	var words []string
	add := func(w ...string) { words = append(words, w...) }
	if i.Delay != 0 || i.Jitter != 0 {
		add("delay", FormatDuration(i.Delay))
	}
	if i.Jitter != 0 {
		add(FormatDuration(i.Jitter))
	}
	if i.Distribution != Uniform {
		add("distribution", i.Distribution.String())
	}
	if i.Loss != nil {
		add("loss", i.Loss.String())
	}
	if i.Duplicate != 0 {
		add("duplicate", i.Duplicate.String())
	}
	if i.Corrupt != 0 {
		add("corrupt", i.Corrupt.String())
	}
	if i.Reorder != 0 {
		add("reorder", i.Reorder.String())
	}
	if i.Gap > 1 {
		add("gap", strconv.FormatUint(uint64(i.Gap), 10))
	}
	if i.Rate != 0 {
		add("rate", i.Rate.String())
	}
	if i.Limit != 0 {
		add("limit", strconv.FormatUint(uint64(i.Limit), 10))
	}
	return strings.Join(words, " ")
}
