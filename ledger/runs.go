package ledger

import "netcmp/result"

// freeRuns measures RFC 4737's reordering-free runs: r is the length of the
// run that goes on, n the runs ended, a the messages in them, q the sum
// of their squared lengths. Each reordered message ends a run, after another
// reordered one a run of length 0. The run that goes on has not ended and is
// in none of n, a and q, only in the longest.
type freeRuns struct {
	r, n, a, longest int64
	q                float64
}

func (f *freeRuns) inOrder() { f.r++ }

func (f *freeRuns) reordered() {
	f.longest = max(f.longest, f.r)
	f.n++
	f.a += f.r
	f.q += float64(f.r) * float64(f.r)
	f.r = 0
}

func (f *freeRuns) report() *result.Runs {
	r := &result.Runs{Count: f.n, Max: max(f.longest, f.r)}
	if f.n > 0 {
		r.Mean = new(float64(f.a) / float64(f.n))
	}
	if f.a > 0 {
		r.QuadraticMean = new(f.q / float64(f.a))
	}
	return r
}
