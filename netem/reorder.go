package netem

// overtaking decides which packets skip the delay and go to the head of the
// queue. This is how netem reorders: not the chosen packets arrive late, but
// the packets they overtake, so the share of reordered packets (RFC 4737) is
// not the probability that was asked for. At a probability r, a delay D and a
// packet every T it is
//
//	(1−r)(1−(1−r)^m)  with  m = ⌈D/T⌉ − 1
type overtaking struct {
	gap         uint32 // 0: none overtake
	delayed     uint32 // packets delayed since the last that overtook: netem's counter
	probability uint32
	draws       correlated
}

func newOvertaking(i Impairment, seed uint64) overtaking {
	return overtaking{gap: i.Gap, probability: uint32(i.Reorder), draws: newCorrelated(seed, drawReorder, i.ReorderCorrelation)}
}

// next reports whether the copy at place n overtakes. Of the packets after one
// that did, the first gap−1 cannot; each later one may.
func (o *overtaking) next(n uint64) bool {
	if o.gap == 0 {
		return false
	}
	if o.delayed < o.gap-1 || o.probability < o.draws.uint32(n) {
		o.delayed++
		return false
	}
	o.delayed = 0
	return true
}
