package netem

import "math"

// A bottleneck is a link that sends one packet after another at a fixed rate.
type bottleneck struct {
	bytesPerSecond int64 // 0: no rate
	lastDue        int64 // when the last packet has left the link
}

func newBottleneck(r Rate) bottleneck {
	return bottleneck{bytesPerSecond: int64(r / bitsPerByte), lastDue: math.MinInt64}
}

// send returns when a packet of that length has left the link, if its delay
// alone would let it go at ready:
//
//	max(when the last one has left, ready) + length/rate
//
// This is monotone, so jitter in front of a rate does not reorder. Nothing is
// saved up while the link is idle: there is no burst.
//
// The kernel reads "the last one" from its queue and forgets it when the queue
// is empty. That differs only for a packet with a negative delay that finds the
// queue empty, which the kernel lets exceed the rate.
func (b *bottleneck) send(ready int64, length int) int64 {
	if b.bytesPerSecond == 0 {
		return ready
	}
	// As packet_time_ns does: whole nanoseconds, rounded down.
	b.lastDue = max(b.lastDue, ready) + int64(length)*1e9/b.bytesPerSecond
	return b.lastDue
}
