package ledger

import "netcmp/result"

// orderWindow is how many of the latest in-order arrivals are remembered. A
// message that was overtaken longer ago than that gets the extent and the
// late-time offset to the oldest of them: too small, never too great.
const orderWindow = 1 << 16

// A record is an arrival that raised the highest number.
type record struct {
	number uint64
	index  int64 // place in the order of arrival
	at     int64
}

// order measures reordering as RFC 4737 defines it. Arrivals are distinct
// numbers: copies never get here.
//
// The extent of a reordered message needs the earliest arrival with a greater
// number. That one exceeded all before it — otherwise an earlier one would
// have been greater too — so it is among the records, whose numbers ascend.
type order struct {
	next     uint64 // NextExp
	arrivals int64

	records []record // a ring; its length is a power of two
	made    int64    // records ever made

	reordered int64
	extentMax int64
	extentSum int64
	late      histogram
	degree    degree
	runs      freeRuns
}

func newOrder(window, degrees int) order {
	return order{
		records: make([]record, window),
		late:    newHistogram(),
		degree:  newDegree(degrees),
	}
}

// arrive enters a message. RFC 4737 §3: it is reordered when s < NextExp;
// otherwise it is in order, and NextExp becomes s + 1.
func (o *order) arrive(number uint64, at int64) {
	index := o.arrivals
	o.arrivals++
	o.degree.arrive(number, index)
	if number >= o.next {
		o.next = number + 1
		o.records[o.made&int64(len(o.records)-1)] = record{number, index, at}
		o.made++
		o.runs.inOrder()
		return
	}
	o.reordered++
	o.runs.reordered()
	// RFC 4737 §4.2: e = i − j for the smallest j with s[j] > s[i]; §4.3:
	// LateTime = DstTime(i) − DstTime(i−e).
	overtook := o.overtook(number)
	extent := index - overtook.index
	o.extentMax = max(o.extentMax, extent)
	o.extentSum += extent
	o.late.record(at - overtook.at)
}

// overtook is the earliest record, of those remembered, with a greater number.
// Most overtaking is recent: the search doubles its steps back from the newest
// record, and halves from there. The newest one is always greater.
func (o *order) overtook(number uint64) record {
	mask := int64(len(o.records) - 1)
	oldest := max(0, o.made-int64(len(o.records)))
	high := o.made - 1 // greater than number
	low := oldest - 1  // not greater, or not there
	for step := int64(1); high-step > low; step *= 2 {
		if o.records[(high-step)&mask].number <= number {
			low = high - step
			break
		}
		high -= step
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		if o.records[middle&mask].number > number {
			high = middle
		} else {
			low = middle
		}
	}
	return o.records[high&mask]
}

// report leaves Density to others.
func (o *order) report() *result.Order {
	r := &result.Order{
		Reordered:   o.reordered,
		ExtentMax:   o.extentMax,
		LateTimeNS:  o.late.quantiles(),
		NReordering: o.degree.report(o.arrivals),
		FreeRuns:    o.runs.report(),
	}
	if o.arrivals > 0 {
		r.ReorderedRatio = new(float64(o.reordered) / float64(o.arrivals))
	}
	if o.reordered > 0 {
		r.ExtentMean = new(float64(o.extentSum) / float64(o.reordered))
	}
	return r
}
