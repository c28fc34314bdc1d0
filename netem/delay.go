package netem

// jitteredDelay is how long netem holds back a packet before any rate.
type jitteredDelay struct {
	mean   int64  // ns
	jitter int64  // ns, at most MaxJitter
	table  *table // nil: uniform
	draws  stream
}

func newJitteredDelay(i Impairment, seed uint64) jitteredDelay {
	d := jitteredDelay{
		mean:   i.Delay.Nanoseconds(),
		jitter: i.Jitter.Nanoseconds(),
		draws:  newStream(seed, drawJitter),
	}
	if computed := tables[i.Distribution]; computed != nil {
		d.table = computed()
	}
	return d
}

// at returns the delay of the copy at place n, in nanoseconds. It may be
// negative, where the jitter exceeds the mean: such a packet leaves at once.
//
// This is tabledist of sch_netem.c in its own integers, with its two artefacts.
// A uniform delay is a 32-bit draw modulo twice the jitter, so the smallest
// delays are a little likelier where 2³² is no multiple of that: by 0.2 % at a
// jitter of 5 ms, by half at one of 1 s. And a tabled delay is computed with
// the jitter split into multiples of tableScale and a rest that is rounded.
func (d *jitteredDelay) at(n uint64) int64 {
	if d.jitter == 0 {
		return d.mean
	}
	draw := d.draws.uint32(n)
	if d.table == nil {
		return int64(draw%uint32(2*d.jitter)) + d.mean - d.jitter
	}
	t := int64(d.table[draw%tableSize])
	rest := d.jitter % tableScale * t
	if rest >= 0 {
		rest += tableScale / 2
	} else {
		rest -= tableScale / 2
	}
	return rest/tableScale + d.jitter/tableScale*t + d.mean
}
