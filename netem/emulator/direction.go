package emulator

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"netcmp/netem"
	"netcmp/result"
)

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
	verdict *netem.Direction
	line    delayLine
	pool    pool
	out     sink

	counts     result.LinkDirection
	datagrams  datagrams
	delayError *hdrhistogram.Histogram // ns

	head    [offloadSize + maxHeader]byte
	scratch [frameSize]byte // a corrupted packet on its way out
}

func newDirection(i netem.Impairment, seed uint64, out sink) *direction {
	return &direction{
		clean:      i.IsClean(),
		verdict:    netem.NewDirection(i, seed),
		out:        out,
		delayError: hdrhistogram.New(1, 60_000_000_000, 3),
	}
}

// admit takes in a frame that reached the path at the instant at; now is when
// the path got round to it. What is due by now leaves at once.
func (d *direction) admit(at, now int64, off offload, frame []byte) {
	t := parse(off, frame)
	if t.stray() {
		d.counts.Strays++
		d.emit(&t, 0, t.count)
		return
	}
	d.counts.Packets += int64(t.count)
	for i := range t.count {
		d.counts.Bytes += int64(t.length(i))
	}
	if d.clean {
		for range t.count {
			d.settle(&t, intact)
		}
		d.dispatch(&t, run{due: at, count: int32(t.count)}, now, nil)
		return
	}
	j := joiner{d: d, t: &t, now: now}
	var v netem.Verdict
	for i := range t.count {
		d.verdict.Admit(at, t.length(i), d.line.packets+j.waiting(), &v)
		d.counts.Lost += int64(v.Lost)
		d.counts.QueueDropped += int64(v.Dropped)
		if v.Duplicated {
			d.counts.Duplicated++
		}
		f := lost
		if v.Dropped > 0 {
			f = queueDropped
		}
		for c := range v.N {
			copied := &v.Copies[c]
			if copied.Ahead {
				d.counts.Reordered++
			}
			if copied.Corrupt {
				d.counts.Corrupted++
				f = min(f, j.corrupt(i, copied))
			} else {
				f = intact
				j.add(i, copied)
			}
		}
		d.settle(&t, f)
	}
	j.flush()
}

// settle counts the fate of a packet of t.
func (d *direction) settle(t *train, f fate) {
	if t.count == 1 {
		if key, last, ok := t.fragment(); ok {
			d.datagrams.fragment(key, last, f)
			return
		}
	}
	d.datagrams.packet(f)
}

// joiner puts successive packets of a train that leave at the same instant
// into one run.
type joiner struct {
	d    *direction
	t    *train
	now  int64
	kept *buffer // the train's copy, once a packet of it has to wait
	run  run
}

func (j *joiner) waiting() int {
	if j.run.due > j.now {
		return int(j.run.count)
	}
	return 0
}

func (j *joiner) add(i int, c *netem.Copy) {
	if c.Ahead {
		j.d.overtake(j.t, i, c.Due, j.now)
		return
	}
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
		j.kept = j.d.dispatch(j.t, j.run, j.now, j.kept)
		j.run = run{}
	}
}

// corrupt damages a copy of packet i and lets it go its way. A flip in the
// sender's Ethernet address harms nobody.
func (j *joiner) corrupt(i int, c *netem.Copy) fate {
	j.flush()
	packet := j.t.wire(i, j.d.scratch[:])
	at, mask := c.Flip(len(packet))
	packet[at] ^= mask
	t := train{frame: packet, header: len(packet), count: 1}
	if c.Ahead {
		j.d.overtake(&t, 0, c.Due, j.now)
	} else {
		j.d.dispatch(&t, run{due: c.Due, count: 1}, j.now, nil)
	}
	if at >= 6 && at < 12 {
		return intact
	}
	return corrupted
}

// dispatch sends r, packets of t, on if it is due and nothing that was due
// before is still waiting; else it lets it wait in kept, t's copy, made here
// where it is nil and given back.
func (d *direction) dispatch(t *train, r run, now int64, kept *buffer) *buffer {
	if first := d.line.next(); r.due <= now && (first == nil || first.due > r.due) {
		d.record(now, r)
		d.leave(t, int(r.first), int(r.count))
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

// overtake sends packet i of t on ahead of all that waits.
func (d *direction) overtake(t *train, i int, due, now int64) {
	d.record(now, run{due: due, count: 1})
	d.leave(t, i, 1)
}

// deliver lets go what is due at now, most runs at the most, and says whether
// there was anything. Packets of one train that stand next to each other and
// are all due leave together.
func (d *direction) deliver(now int64, most int) bool {
	for n := range most {
		r := d.line.next()
		if r == nil || r.due > now {
			return n > 0
		}
		joined := d.line.pop()
		d.record(now, joined)
		for {
			n := d.line.next()
			if n == nil || n.due > now || n.buf != joined.buf || n.first != joined.first+joined.count {
				break
			}
			more := d.line.pop()
			d.record(now, more)
			joined.count += more.count
			joined.buf.refs--
		}
		d.leave(&joined.buf.train, int(joined.first), int(joined.count))
		if joined.buf.refs--; joined.buf.refs == 0 {
			d.pool.release(joined.buf)
		}
	}
	return true
}

func (d *direction) record(now int64, r run) {
	_ = d.delayError.RecordValues(max(now-r.due, 1), int64(r.count)) // beyond a minute: not recorded
}

func (d *direction) leave(t *train, first, n int) {
	d.counts.Delivered += int64(n)
	d.emit(t, first, n)
}

func (d *direction) emit(t *train, first, n int) {
	if t.count > 1 && t.header > maxHeader {
		first, n = 0, t.count
	}
	head, payload := t.slice(first, n, d.head[:])
	if err := d.out.send(head, payload); err != nil {
		d.counts.Refused++
	}
}

// tally is the counts as they stand.
func (d *direction) tally() result.LinkDirection {
	c := d.counts
	c.InFlight = int64(d.line.packets)
	c.Datagrams = d.datagrams.tally()
	if d.delayError.TotalCount() > 0 {
		c.DelayErrorNS = &result.Quantiles{
			P50: d.delayError.ValueAtQuantile(50),
			P99: d.delayError.ValueAtQuantile(99),
			Max: d.delayError.Max(),
		}
	}
	return c
}
