package workload

// SkipTo makes message i the next one: four thousand million calls of Next are
// too many for a test. Not for Poisson arrivals, where each rests on the last.
func (s *Schedule) SkipTo(i int64) { s.next = i }
