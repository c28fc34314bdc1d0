package netem

import "math"

// codel is the CoDel queue of RFC 8289: once packets have waited longer than
// the target for an interval, it drops one, and then more and more often until
// they do not.
//
// CoDel decides when a packet leaves the queue. The bottleneck serves packets in
// the order in which they are admitted, so when a packet will be at the head of
// the queue, and how long it will have waited by then, is known when it is
// admitted, and the decision falls there. What is not known then is what comes
// behind it. The RFC does not drop while no more than one packet's bytes remain
// in the queue, so as not to drop the last one. In its place stands here a
// target of at least the transmission time of a full frame: a packet that had no
// more than that before it never counts as late. One that arrived behind
// several, and that nobody followed, may be dropped here and not there.
//
// A dropped packet is told as dropped when it is admitted, and takes no place in
// the backlog until its turn.
type codel struct {
	on       bool
	target   int64 // ns
	interval int64 // ns

	above    int64 // when packets will have been late for an interval; never if they are not
	dropping bool
	next     int64 // when to drop next
	count    uint32
	before   uint32 // count when dropping was last begun

	dropped dropStep
	at      int64 // when the last one was dropped
}

// never is an instant that does not come.
const never = math.MaxInt64

// dropStep is where the RFC's dequeue stands between two packets that it takes
// out at one instant.
type dropStep uint8

const (
	stepNone  dropStep = iota
	stepFirst          // it has dropped the first of a row: the next goes out
	stepMore           // it has dropped a later one: the next may have to follow
)

func newCodel(q Queue, fullFrame int64) codel {
	if q.Kind != CoDel {
		return codel{}
	}
	c := codel{on: true, target: DefaultTarget.Nanoseconds(), interval: DefaultInterval.Nanoseconds(), above: never}
	if q.Target != 0 {
		c.target = q.Target.Nanoseconds()
	}
	if q.Interval != 0 {
		c.interval = q.Interval.Nanoseconds()
	}
	c.target = max(c.target, fullFrame+1)
	return c
}

func (c *codel) follow(old *codel) {
	if c.on && old.on {
		target, interval := c.target, c.interval
		*c = *old
		c.target, c.interval = target, interval
	}
}

// late is the RFC's dodequeue: whether, at the instant start, packets have been
// above the target for an interval.
func (c *codel) late(start, ready int64) bool {
	switch {
	case start-ready < c.target:
		c.above = never
	case c.above == never:
		c.above = later(start, c.interval)
	default:
		return start >= c.above
	}
	return false
}

// control is the RFC's control law: an interval divided by √count.
func (c *codel) control(t int64) int64 {
	return later(t, int64(float64(c.interval)/math.Sqrt(float64(c.count))))
}

// drop reports whether the packet that entered the queue at ready and would be
// sent at start is dropped instead.
func (c *codel) drop(start, ready int64) bool {
	step := c.dropped
	c.dropped = stepNone
	if step != stepNone && ready > c.at { // the drop left the queue empty
		step, c.above = stepNone, never
	}
	late := c.late(start, ready)
	switch {
	case step == stepFirst:
		return false
	case !c.dropping:
		if !late {
			return false
		}
		c.dropping = true
		// What was found out when it last dropped still holds, if that was not
		// long ago.
		if since := c.count - c.before; since > 1 && start-c.next < 16*c.interval {
			c.count = since
		} else {
			c.count = 1
		}
		c.next = c.control(start)
		c.before = c.count
		c.dropped, c.at = stepFirst, start
		return true
	case !late:
		c.dropping = false
		return false
	case step == stepMore:
		c.next = c.control(c.next)
	}
	if start < c.next {
		return false
	}
	c.count++
	c.dropped, c.at = stepMore, start
	return true
}
