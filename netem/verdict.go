package netem

// A Copy is one copy of a packet that the path lets in.
type Copy struct {
	Due     int64  // when it leaves, in nanoseconds on the clock of now; in the past: at once
	Ahead   bool   // it overtakes all that is queued (Due is now): netem's reorder
	Corrupt bool   // one bit of it is to be flipped: see Flip
	Draw    uint64 // chance for Flip; 0 if the copy is whole
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
	Dropped    int     // how many copies a full queue takes
	Duplicated bool    // a clone was made
}

// A Direction decides the fate of the packets of one direction of a path, one
// after another. It has one owner: its methods must not be called at the same
// time. It neither allocates nor reads a clock.
type Direction struct {
	duplicate chance
	loss      lossProcess // nil: none is lost
	corrupt   chance
	damage    stream
	limit     int
	overtake  overtaking
	delay     jitteredDelay
	link      bottleneck
	place     uint64 // of the next packet in the streams: two places a packet, the second for its clone
}

// NewDirection returns a direction at its beginning. Give each direction of a
// path a seed of its own (see [DirectionSeed]). It panics where
// [Impairment.Validate] returns an error.
func NewDirection(i Impairment, seed uint64) *Direction {
	if err := i.Validate(); err != nil {
		panic("netem: NewDirection of an invalid impairment: " + err.Error())
	}
	i = i.canonical()
	d := &Direction{
		duplicate: chance{i.Duplicate, newStream(seed, drawDuplicate)},
		corrupt:   chance{i.Corrupt, newStream(seed, drawCorrupt)},
		damage:    newStream(seed, drawDamage),
		limit:     i.QueueLimit(),
		overtake:  newOvertaking(i, seed),
		delay:     newJitteredDelay(i, seed),
		link:      newBottleneck(i.Rate),
	}
	if i.Loss != nil {
		d.loss = i.Loss.start(seed)
	}
	return d
}

// Admit decides on the next packet and writes the verdict to v, all of it.
//
// now is in nanoseconds on any clock and never decreases. length is that of the
// frame in bytes with its Ethernet header, which is what a qdisc sees; only a
// rate looks at it. backlog is how many packets this direction holds at now,
// those that merely wait for their delay included.
//
// The steps are those of netem_enqueue, in its order.
func (d *Direction) Admit(now int64, length, backlog int, v *Verdict) {
	*v = Verdict{}
	n := d.place
	d.place += 2

	// Both are drawn before either acts. A packet that is both duplicated and
	// lost is one copy less and one copy more: it passes, with no clone.
	twice := d.duplicate.hit(n)
	lost := d.isLost(n)
	if lost && !twice {
		v.Lost = 1
		return
	}
	v.Duplicated = twice && !lost

	// The clone exists before the original is damaged, and falls with it if the
	// queue is full.
	corrupt := d.corrupt.hit(n)
	if backlog >= d.limit {
		v.Dropped = 1
		if v.Duplicated {
			v.Dropped = 2
		}
		return
	}

	// The clone starts over at the root of the qdisc, with duplication off, and
	// is queued before its original. It meets loss and damage of its own. The
	// limit it meets is the one that the original has just passed, since the
	// original is not queued yet: two copies may enter a queue with one place.
	if v.Duplicated {
		if d.isLost(n + 1) {
			v.Lost = 1
		} else {
			d.enqueue(now, length, n+1, d.corrupt.hit(n+1), v)
		}
	}
	d.enqueue(now, length, n, corrupt, v)
}

func (d *Direction) isLost(n uint64) bool { return d.loss != nil && d.loss.lost(n) }

// enqueue lets the copy at place n in, ahead of the others or with its delay.
func (d *Direction) enqueue(now int64, length int, n uint64, corrupt bool, v *Verdict) {
	c := &v.Copies[v.N]
	v.N++
	if corrupt {
		c.Corrupt = true
		c.Draw = d.damage.bits(n)
	}
	if d.overtake.next(n) {
		c.Due, c.Ahead = now, true
		return
	}
	c.Due = d.link.send(now+d.delay.at(n), length)
}
