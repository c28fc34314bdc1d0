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
	percent := func(name string, p, correlation Probability) {
		if p != 0 {
			add(name, p.String())
			if correlation != 0 {
				add(correlation.String())
			}
		}
	}
	if i.Delay != 0 || i.Jitter != 0 {
		add("delay", FormatDuration(i.Delay))
	}
	if i.Jitter != 0 {
		add(FormatDuration(i.Jitter))
	}
	if i.DelayCorrelation != 0 {
		add(i.DelayCorrelation.String())
	}
	if i.NoReorder {
		add("noreorder")
	}
	if i.Distribution != Uniform {
		add("distribution", i.Distribution.String())
	}
	if i.Loss != nil {
		add("loss", i.Loss.String())
	}
	if i.ECN {
		add("ecn")
	}
	percent("duplicate", i.Duplicate, i.DuplicateCorrelation)
	percent("corrupt", i.Corrupt, i.CorruptCorrelation)
	percent("reorder", i.Reorder, i.ReorderCorrelation)
	if i.Gap > 1 {
		add("gap", strconv.FormatUint(uint64(i.Gap), 10))
	}
	if i.Rate != 0 {
		add("rate", i.Rate.String())
	}
	if f := i.Framing; f != (Framing{}) {
		add(strconv.Itoa(int(f.Packet)))
		if f.Cell != 0 {
			add(strconv.FormatUint(uint64(f.Cell), 10))
		}
		if f.CellOverhead != 0 {
			add(strconv.Itoa(int(f.CellOverhead)))
		}
	}
	if i.Queue != (Queue{}) {
		add("queue", i.Queue.String())
	}
	if i.Trace != "" {
		add("trace", i.Trace)
	}
	if i.Slot != (Slot{}) {
		add("slot", i.Slot.String())
	}
	if i.Limit != 0 {
		add("limit", strconv.FormatUint(uint64(i.Limit), 10))
	}
	if i.Seed != 0 {
		add("seed", strconv.FormatUint(i.Seed, 10))
	}
	return strings.Join(words, " ")
}
