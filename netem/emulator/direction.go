package emulator

import (
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netcmp/netem"
	"netcmp/result"
)

// delayErrorMax is the greatest error of a delay told apart, ns.
const delayErrorMax = 3_600_000_000_000

// sink takes what leaves the path. head is an offload header and, for a part
// of a train, the headers of that part.
type sink interface {
	send(head, payload []byte) error
}

// direction is one direction of the path: the verdict on each packet, the
// delay line, and the counts. It reads no clock: now is passed in. The
// goroutine of Emulator.Run owns it.
type direction struct {
	clean   bool
	limited bool
	verdict *netem.Direction
	last    int64 // when the last packet came
	line    delayLine
	pool    pool
	out     sink
	// Shared by both directions; nil is one without changes.
	timeline *timeline

	counts     result.LinkDirection // without those below
	dropped    int64                // packets that found the queue full
	ahead      int64                // packets that went ahead
	datagrams  datagrams
	delayError *hdrhistogram.Histogram // ns
	queueing   *hdrhistogram.Histogram // ns at the bottleneck; empty without one

	// Here, so that nothing is allocated for each frame.
	current train // the one being admitted
	head    [offloadSize + maxHeader]byte
	scratch [frameSize]byte // a packet that was altered, on its way out
}

func newDirection(i netem.Impairment, seed uint64, out sink, options ...netem.Option) *direction {
	return &direction{
		clean:      i.IsClean(),
		limited:    limited(i),
		verdict:    netem.NewDirection(i, seed, options...),
		last:       math.MinInt64,
		out:        out,
		delayError: hdrhistogram.New(1, delayErrorMax, 3),
		queueing:   hdrhistogram.New(1, 3_600_000_000_000, 3),
	}
}

// limited says whether there is a bottleneck to wait for.
func limited(i netem.Impairment) bool { return i.Rate > 0 || i.Trace != "" }

// change is what the path does from here on.
func (d *direction) change(i netem.Impairment) {
	d.clean, d.limited = false, limited(i) // the packets that wait may not be overtaken
	d.verdict.Change(i)
}

// admit takes in a frame that reached the path at the instant at; now is when
// the path got round to it. What was due by at leaves before the frame is
// decided on, so that a path that is behind with its work finds the queue that
// a punctual one would have found. What is due at once leaves at once.
func (d *direction) admit(at, now int64, off offload, frame []byte) {
	d.current = parse(off, frame)
	t := &d.current
	if t.stray() {
		d.counts.Strays++
		_ = d.emit(t, 0, t.count) // Refused is of Delivered
		return
	}
	// The instants are read from two clocks, one after the other, and may
	// cross. Packets do not.
	at = max(at, d.last)
	d.last = at
	for d.letGo(at, now) {
	}
	d.timeline.advance(at)

	d.counts.Packets += int64(t.count)
	for i := range t.count {
		d.counts.Bytes += int64(t.length(i))
	}
	if d.clean {
		whole := netem.Verdict{N: 1}
		for range t.count {
			d.settle(t, &whole, [2]damage{})
		}
		r := run{due: at, count: int32(t.count)}
		d.record(r, now)
		d.leave(t, r)
		return
	}
	j := joiner{d: d, t: t, at: at, now: now}
	var v netem.Verdict
	packet := netem.Packet{ECNCapable: t.ecnCapable()}
	for i := range t.count {
		packet.Length = t.length(i)
		d.verdict.Decide(at, packet, d.line.packets+j.waiting(), &v)
		d.counts.Lost += int64(v.Lost)
		d.dropped += int64(v.Dropped)
		if v.Duplicated {
			d.counts.Duplicated++
		}
		var harm [len(v.Copies)]damage
		for c := range v.N {
			copied := &v.Copies[c]
			copied.Due = max(copied.Due, at) // jitter beyond the mean delay
			if copied.Ahead {
				d.ahead++
			}
			if copied.Corrupt {
				d.counts.Corrupted++
			}
			if copied.Mark {
				d.counts.Marked++
			}
			if d.limited {
				_ = d.queueing.RecordValue(max(copied.Queued, 1)) // beyond an hour: not recorded
			}
			if copied.Corrupt || copied.Mark {
				harm[c] = j.alter(i, copied)
			} else {
				j.add(i, copied)
			}
		}
		d.settle(t, &v, harm)
	}
	j.flush()
}

// settle counts the fate of a packet of t, whose copies came to harm.
func (d *direction) settle(t *train, v *netem.Verdict, harm [2]damage) {
	if t.count == 1 {
		if key, last, ok := t.fragment(); ok {
			d.datagrams.fragment(key, last, outcome(v, harm, true))
			return
		}
	}
	d.datagrams.packet(outcome(v, harm, false))
}

// outcome is the fate of a packet by its verdict and the harm that its copies
// came to. Any good copy is as good as the packet; but of a fragment a host
// keeps the first copy that it takes, and may find out too late that it was
// damaged.
func outcome(v *netem.Verdict, harm [2]damage, fragment bool) fate {
	switch {
	case v.Dropped > 0:
		return queueDropped
	case v.N == 0:
		return lost
	}
	order := [2]int{0, 1}
	if v.N == 2 && v.Copies[1].Due < v.Copies[0].Due {
		order = [2]int{1, 0}
	}
	for _, c := range order[:v.N] {
		if harm[c] == none {
			return intact
		}
		if harm[c] == hidden && fragment {
			break
		}
	}
	return corrupted
}

// joiner puts successive packets of a train that leave at the same instant
// into one run.
type joiner struct {
	d       *direction
	t       *train
	at, now int64
	kept    *buffer // the train's copy, once a packet of it has to wait
	run     run
}

// waiting is how many packets of the train will wait and are not yet in the
// delay line.
func (j *joiner) waiting() int {
	if j.run.due > j.at {
		return int(j.run.count)
	}
	return 0
}

func (j *joiner) add(i int, c *netem.Copy) {
	if j.run.count > 0 && c.Due == j.run.due && int(j.run.first+j.run.count) == i {
		j.run.count++
		return
	}
	j.flush()
	j.run = run{due: c.Due, first: int32(i), count: 1}
}

// flush sends the joined packets on, or lets them wait.
func (j *joiner) flush() {
	if j.run.count > 0 {
		j.kept = j.d.dispatch(j.t, j.run, j.at, j.now, j.kept)
		j.run = run{}
	}
}

// alter marks or damages a copy of packet i and lets it go its way.
func (j *joiner) alter(i int, c *netem.Copy) (harm damage) {
	j.flush()
	packet := j.t.wire(i, j.d.scratch[:])
	if c.Mark {
		mark(packet[j.t.network:], j.t.ipv6)
	}
	if c.Corrupt {
		at, mask := c.Flip(len(packet))
		packet[at] ^= mask
		harm = j.t.damage(at, mask)
	}
	t := train{frame: packet, header: len(packet), count: 1}
	j.d.dispatch(&t, run{due: c.Due, count: 1}, j.at, j.now, nil)
	return harm
}

// dispatch sends r, packets of t that came at the instant at, on if they are
// due by then: they are ahead of all that waits. Else it lets them wait in
// kept, t's copy, made here where it is nil and given back.
func (d *direction) dispatch(t *train, r run, at, now int64, kept *buffer) *buffer {
	if r.due <= at {
		d.record(r, now)
		d.leave(t, r)
		return kept
	}
	if kept == nil {
		kept = d.pool.keep(t)
	}
	kept.refs++
	r.buf = kept
	d.line.push(r)
	return kept
}

// deliver lets the next run go if it is due at now, and says whether it was.
func (d *direction) deliver(now int64) bool { return d.letGo(now, now) }

// letGo lets the next run go if it is due at the instant by, which is now or
// before it. Packets of one train that stand next to each other go together.
func (d *direction) letGo(by, now int64) bool {
	next := d.line.next()
	if next == nil || next.due > by {
		return false
	}
	r := d.line.pop()
	d.record(r, now)
	for {
		next := d.line.next()
		if next == nil || next.due > by || next.buf != r.buf || next.first != r.first+r.count {
			break
		}
		more := d.line.pop()
		d.record(more, now)
		r.count += more.count
		r.buf.refs--
	}
	d.leave(&r.buf.train, r)
	if r.buf.refs--; r.buf.refs == 0 {
		d.pool.release(r.buf)
	}
	return true
}

func (d *direction) record(r run, now int64) {
	_ = d.delayError.RecordValues(min(max(now-r.due, 1), delayErrorMax), int64(r.count))
}

func (d *direction) leave(t *train, r run) {
	d.counts.Delivered += int64(r.count)
	if err := d.emit(t, int(r.first), int(r.count)); err != nil {
		d.counts.Refused += int64(r.count)
	}
}

func (d *direction) emit(t *train, first, n int) error {
	head, payload := t.slice(first, n, d.head[:])
	return d.out.send(head, payload)
}

// tally is the counts as they stand.
func (d *direction) tally() result.LinkDirection {
	c := d.counts
	c.QueueDropped, c.Reordered = new(d.dropped), new(d.ahead)
	c.InFlight = int64(d.line.packets)
	c.Datagrams = d.datagrams.tally()
	c.LatenessNS = tail(d.delayError)
	c.DelayErrorNS, c.QueueDelayNS = quantiles(d.delayError), quantiles(d.queueing)
	return c
}

func tail(h *hdrhistogram.Histogram) *result.Tail {
	if h.TotalCount() == 0 {
		return nil
	}
	return &result.Tail{
		P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99),
		P999: h.ValueAtQuantile(99.9), Max: h.Max(),
	}
}

func quantiles(h *hdrhistogram.Histogram) *result.Quantiles {
	if h.TotalCount() == 0 {
		return nil
	}
	return &result.Quantiles{P50: h.ValueAtQuantile(50), P99: h.ValueAtQuantile(99), Max: h.Max()}
}
