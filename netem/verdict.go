package netem

import "math"

// A Copy is one copy of a packet that the path lets in.
type Copy struct {
	Due     int64  // when it leaves, in nanoseconds on the clock of now; in the past: at once
	Ahead   bool   // it overtakes all that is queued (Due is now): netem's reorder
	Mark    bool   // it is to be marked as having met congestion (CE), where it would have been lost: netem's ecn
	Corrupt bool   // one bit of it is to be flipped: see Flip
	Draw    uint64 // chance for Flip; 0 if the copy is whole
	Queued  int64  // how long it waits for the bottleneck, in nanoseconds, its own transmission excluded; of Due
}

// Flip returns what corruption does to this copy of a packet of that length:
// the byte at index is to be XORed with mask, which has one bit set. The mask
// of a copy that is whole, or that has no bytes, is 0.
//
// Any bit of the packet is as likely as any other, headers included, as in
// netem: a flipped bit in an address or a checksum is a loss to the receiver.
func (c *Copy) Flip(length int) (index int, mask byte) {
	if !c.Corrupt || length <= 0 {
		return 0, 0
	}
	return int(uint64(uint32(c.Draw)) % uint64(length)), 1 << ((c.Draw >> 32) % 8)
}

// A Verdict is what the path does to one packet. For every packet
//
//	1 + (1 if Duplicated) = N + Lost + Dropped
type Verdict struct {
	Copies     [2]Copy // the first N are the copies let in, in the order in which they enter the queue: a clone before its original
	N          int     // how many copies enter the queue: 0, 1 or 2
	Lost       int     // how many copies the loss model takes
	Dropped    int     // how many copies the queue takes: a full one, or one that drops to stay short
	Duplicated bool    // a clone was made
}

// A Packet is what a path has to know of a packet.
type Packet struct {
	// Length of the frame in bytes with its Ethernet header, which is what a
	// qdisc sees. A rate, a trace and a slot look at it.
	Length int
	// ECNCapable says that the packet may be marked: its ECN field (RFC 3168) is
	// not 00. An impairment with ECN looks at it.
	ECNCapable bool
}

// A Direction decides the fate of the packets of one direction of a path, one
// after another. It has one owner: its methods must not be called at the same
// time. It reads no clock, and [Direction.Admit] does not allocate.
type Direction struct {
	impairment Impairment // canonical
	seed       uint64     // as given; the impairment may have its own

	duplicate chance
	loss      lossProcess // nil: none is lost
	timed     timedLoss
	corrupt   chance
	damage    stream
	limit     int
	overtake  overtaking
	delay     jitteredDelay
	lastReady int64 // the latest instant at which a packet was through with its delay
	link      bottleneck
	slot      slotGate

	place   uint64 // of the next packet in the streams: two places a packet, the second for its clone
	started bool   // the clock runs
	origin  int64  // where it began
}

// NewDirection returns a direction at its beginning. Give each direction of a
// path a seed of its own (see [DirectionSeed]); an impairment with a seed of its
// own takes that. It panics where [Impairment.Validate] returns an error.
func NewDirection(i Impairment, seed uint64, options ...Option) *Direction {
	d := &Direction{seed: seed, lastReady: math.MinInt64}
	for _, o := range options {
		o(d)
	}
	d.apply(i)
	return d
}

// Change replaces the impairment for the packets to come; those that have been
// admitted keep the fate that they were told. The numbers of packets go on, and
// so does what the impairments remember, as far as they are in both: the last
// correlated draws, the state of an unchanged loss model, the packets since the
// last that overtook, the time until which the link is busy and the tokens that
// it has saved up. An impairment that is taken away and comes back meets the
// draws of the packets of then. It panics where [Impairment.Validate] returns an
// error, and allocates.
func (d *Direction) Change(i Impairment) {
	old := *d
	d.apply(i)
	d.duplicate.draws.follow(&old.duplicate.draws)
	d.corrupt.draws.follow(&old.corrupt.draws)
	d.delay.draws.follow(&old.delay.draws)
	d.overtake.draws.follow(&old.overtake.draws)
	d.overtake.delayed = old.overtake.delayed
	d.link.follow(&old.link)
	d.slot.follow(&old.slot)
	if old.loss == nil || d.loss == nil {
		return
	}
	if d.impairment.Loss == old.impairment.Loss && d.impairment.Seed == old.impairment.Seed {
		d.loss, d.timed = old.loss, old.timed
	}
}

// apply sets the direction up for the impairment, from the seed on.
func (d *Direction) apply(i Impairment) {
	if err := i.Validate(); err != nil {
		panic("netem: a Direction of an invalid impairment: " + err.Error())
	}
	i = i.canonical()
	seed := d.seed
	if i.Seed != 0 {
		seed = i.Seed
	}
	d.impairment = i
	d.duplicate = chance{i.Duplicate, newCorrelated(seed, drawDuplicate, i.EffectiveDuplicateCorrelation())}
	d.loss = nil
	if i.Loss != nil {
		d.loss = i.Loss.start(seed)
	}
	d.timed.reset(d.loss)
	d.corrupt = chance{i.Corrupt, newCorrelated(seed, drawCorrupt, i.CorruptCorrelation)}
	d.damage = newStream(seed, drawDamage)
	d.limit = i.QueueLimit()
	d.overtake = newOvertaking(i, seed)
	d.delay = newJitteredDelay(i, seed)
	d.link = newBottleneck(i)
	d.link.trace.origin = d.origin
	d.slot = newSlotGate(i.Slot, seed)
}

// StartClock says that the time of this direction begins now: the ticks of
// FateByTime, which meet the same losses from here on as at their first
// beginning, and the trace. The clock begins by itself with the first packet.
func (d *Direction) StartClock(now int64) {
	d.started, d.origin = true, now
	d.link.trace.restart(now)
	if d.timed.tick != 0 && d.loss != nil {
		seed := d.seed
		if d.impairment.Seed != 0 {
			seed = d.impairment.Seed
		}
		if _, list := d.impairment.Loss.(LossList); !list {
			d.loss = d.impairment.Loss.start(seed)
		}
		d.timed.reset(d.loss)
	}
}

// Admit is Decide for a packet of that length in bytes that cannot be marked.
func (d *Direction) Admit(now int64, length, backlog int, v *Verdict) {
	d.Decide(now, Packet{Length: length}, backlog, v)
}

// Decide decides on the next packet and writes the verdict to v, all of it.
//
// now is in nanoseconds on any clock and never decreases. backlog is how many
// packets this direction holds at now, those that merely wait for their delay
// included.
//
// The steps are those of netem_enqueue, in its order. Some draws are made where
// the kernel would not get to them, so that what one impairment draws for a
// packet does not depend on what the others did to those before.
func (d *Direction) Decide(now int64, p Packet, backlog int, v *Verdict) {
	*v = Verdict{}
	if !d.started {
		d.StartClock(now)
	}
	n := d.place
	d.place += 2

	// Both are drawn before either acts. A packet that is both duplicated and
	// lost is one copy less and one copy more: it passes, with no clone.
	twice := d.duplicate.hit(n)
	lost := d.isLost(now, n)
	corrupt := d.corrupt.hit(n)
	delay := d.delay.at(n)

	// A packet that can be marked is not lost.
	mark := lost && d.impairment.ECN && p.ECNCapable
	lost = lost && !mark
	if lost && !twice {
		v.Lost = 1
		return
	}
	v.Duplicated = twice && !lost

	// The clone exists before the original is damaged, and falls with it if the
	// queue is full.
	if backlog >= d.limit {
		v.Dropped = 1
		if v.Duplicated {
			v.Dropped = 2
		}
		return
	}

	// The clone starts over at the root of the qdisc, with duplication off, and
	// is queued before its original. It is marked if that is, and meets loss and
	// damage of its own. The limit it meets is the one that the original has just
	// passed, since the original is not queued yet: two copies may enter a queue
	// with one place.
	if v.Duplicated {
		cloneLost := d.isLost(now, n+1)
		cloneMark := mark || cloneLost && d.impairment.ECN && p.ECNCapable
		if cloneLost && !cloneMark {
			v.Lost = 1
		} else {
			d.enqueue(now, p.Length, n+1, d.delay.at(n+1), Copy{Mark: cloneMark, Corrupt: d.corrupt.hit(n + 1)}, v)
		}
	}
	d.enqueue(now, p.Length, n, delay, Copy{Mark: mark, Corrupt: corrupt}, v)
}

func (d *Direction) isLost(now int64, n uint64) bool {
	switch {
	case d.loss == nil:
		return false
	case d.timed.tick == 0:
		return d.loss.lost(n)
	}
	if list, ok := d.loss.(*dropList); ok {
		return list.lost(n)
	}
	return d.timed.ask(d.loss, now-d.origin)
}

// enqueue lets the copy at place n in, ahead of the others or with its delay,
// unless the queue at the bottleneck drops it.
func (d *Direction) enqueue(now int64, length int, n uint64, delay int64, c Copy, v *Verdict) {
	if c.Corrupt {
		c.Draw = d.damage.bits(n)
	}
	if d.overtake.next(n) {
		c.Due, c.Ahead = now, true
	} else {
		ready := later(now, delay)
		if d.impairment.NoReorder {
			ready = max(ready, d.lastReady)
		}
		d.lastReady = max(d.lastReady, ready)
		var ok bool
		if c.Due, c.Queued, ok = d.link.send(ready, length); !ok {
			v.Dropped++
			return
		}
		c.Queued = max(0, c.Queued-max(0, now-ready)) // it does not wait before it comes
		if d.slot.on {
			c.Due = d.slot.hold(max(c.Due, now), length)
		}
	}
	v.Copies[v.N] = c
	v.N++
}
