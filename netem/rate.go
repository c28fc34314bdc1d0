package netem

import "math"

// Framing is what the link adds to every packet before it counts the time that
// it takes: the arguments of tc's "rate RATE [PACKETOVERHEAD [CELLSIZE
// [CELLOVERHEAD]]]". Its zero value adds nothing.
type Framing struct {
	Packet       int32  // bytes added to every packet, up to MaxFraming; negative to take off what the link does not carry
	Cell         uint32 // bytes of payload in a cell, up to MaxFraming; 0 for no cells. A cell that is begun is paid in full
	CellOverhead int32  // bytes added to every cell, from 1−Cell to MaxFraming
}

// MaxFraming bounds the overheads and the cells, far above those of any link.
// tc takes any 32 bits, of which the kernel makes sums that wrap around.
const MaxFraming = 1 << 16

func (f Framing) canonical() Framing {
	if f.Cell == 0 {
		f.CellOverhead = 0 // of no cell
	}
	return f
}

// length returns what the link carries for a packet of that many bytes:
// packet_time_ns of sch_netem.c. An overhead that takes off more than there is
// leaves nothing, where the kernel's count wraps around.
func (f Framing) length(bytes int) int64 {
	n := max(0, int64(bytes)+int64(f.Packet))
	if f.Cell != 0 {
		cell := int64(f.Cell)
		n = (n + cell - 1) / cell * (cell + int64(f.CellOverhead))
	}
	return min(n, math.MaxUint32) // a frame of 64 KiB in cells of a byte, with an overhead of 64 KiB each
}

// A bottleneck is a link that sends one packet after another: at a fixed rate,
// at the opportunities of a trace, or, where it has neither, any number at
// once. It may have a bucket of tokens, or a queue that drops to stay short.
type bottleneck struct {
	bytesPerSecond int64 // 0: no rate
	framing        Framing
	lastDue        int64 // when the last packet has left the link
	bucket         tokenBucket
	codel          codel
	trace          player
}

func newBottleneck(i Impairment) bottleneck {
	b := bottleneck{
		bytesPerSecond: int64(i.Rate / bitsPerByte),
		framing:        i.Framing,
		lastDue:        math.MinInt64,
		trace:          newPlayer(i.Trace),
	}
	b.codel = newCodel(i.Queue, b.transmission(fullFrame))
	b.bucket = newTokenBucket(i.Queue, b.bytesPerSecond)
	return b
}

// follow takes over the state of the bottleneck that this one replaces.
func (b *bottleneck) follow(old *bottleneck) {
	b.lastDue = old.lastDue
	b.bucket.follow(&old.bucket)
	b.codel.follow(&old.codel)
	b.trace.follow(&old.trace)
}

// fullFrame is an Ethernet frame with a packet of 1500 bytes.
const (
	fullFrame      = 1514
	ethernetHeader = 14
)

// transmission returns how long the link is busy with a packet, in whole
// nanoseconds, rounded down as packet_time_ns does.
func (b *bottleneck) transmission(length int) int64 {
	if b.bytesPerSecond == 0 {
		return 0
	}
	return b.framing.length(length) * 1e9 / b.bytesPerSecond
}

// send returns when a packet of that length has left the link, if its delay
// alone would let it go at ready:
//
//	max(when the last one has left, ready) + length/rate
//
// and how long it waited for that, its own transmission not counted. It is not
// ok if the queue drops the packet.
//
// This is monotone, so jitter in front of a rate does not reorder. Nothing is
// saved up while the link is idle, unless there is a bucket for it.
//
// The kernel reads "the last one" from its queue and forgets it when the queue
// is empty. That differs only for a packet with a negative delay that finds the
// queue empty, which the kernel lets exceed the rate.
func (b *bottleneck) send(ready int64, length int) (due, queued int64, ok bool) {
	if b.bytesPerSecond == 0 && b.trace.trace == nil {
		return ready, 0, true
	}
	start := max(b.lastDue, ready)
	if b.trace.trace != nil {
		start = b.trace.begin(start)
	}
	if b.codel.on && b.codel.drop(start, ready) {
		return 0, 0, false
	}
	switch busy := b.transmission(length); {
	case b.trace.trace != nil:
		due = b.trace.deliver(length)
	case b.bucket.size != 0:
		due = b.bucket.take(start, busy)
		start = max(start, due-busy)
	default:
		due = later(start, busy)
	}
	b.lastDue = due
	return due, start - ready, true
}

// later returns t + d, or the end of time where that is beyond it.
func later(t, d int64) int64 {
	if d > 0 && t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}
