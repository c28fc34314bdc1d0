package netem

// jitteredDelay is how long netem holds back a packet before any rate.
type jitteredDelay struct {
	mean   int64 // ns
	jitter int64 // ns, at most MaxJitter
	table  table // nil: uniform
	draws  correlated
}

func newJitteredDelay(i Impairment, seed uint64) jitteredDelay {
	return jitteredDelay{
		mean:   i.Delay.Nanoseconds(),
		jitter: i.Jitter.Nanoseconds(),
		table:  i.Distribution.table(),
		draws:  newCorrelated(seed, drawJitter, i.DelayCorrelation),
	}
}

// at returns the delay of the copy at place n, in nanoseconds. It may be
// negative, where the jitter exceeds the mean: such a packet leaves at once.
//
// This is tabledist of sch_netem.c in its own integers, with its artefacts. A
// uniform delay is a 32-bit draw modulo twice the jitter, so the smallest
// delays are a little likelier where 2³² is no multiple of that: by 0.2 % at a
// jitter of 5 ms, by half at one of 1 s. And whatever correlation the draws
// have, the remainder by such a number, or by the size of a table, has none:
// correlated delay is void (see [Impairment.Warnings]).
func (d *jitteredDelay) at(n uint64) int64 {
	if d.jitter == 0 {
		return d.mean
	}
	draw := d.draws.uint32(n)
	if d.table == nil {
		return int64(draw%uint32(2*d.jitter)) + d.mean - d.jitter
	}
	return d.table.at(draw, d.jitter) + d.mean
}
