package netem

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"
)

// A Slot is the grid on which a link sends that waits for its turn, such as
// WiFi, cable or a radio link: packets that are due are held until the next
// slot and leave together. tc's "slot MIN [MAX]" or "slot distribution NAME
// DELAY JITTER", either with "[packets N] [bytes N]". Its zero value holds
// nothing.
type Slot struct {
	Min, Max     time.Duration // a slot opens that long after the one before, evenly spread; up to MaxDelay
	Distribution Distribution  // instead: how Jitter spreads it around Delay. Not Uniform
	Delay        time.Duration // up to MaxDelay
	Jitter       time.Duration // above 0, up to MaxJitter
	Packets      uint32        // how many leave in a slot, up to 2³¹−1; 0 for any number
	Bytes        uint32        // how many bytes leave in a slot, the packet that exceeds it being the last; 0 for any number
}

func (s Slot) canonical() Slot {
	s.Distribution = s.Distribution.canonical()
	if s.Min == 0 && s.Max == 0 && s.Jitter == 0 && s.Distribution == Uniform && s.Delay == 0 {
		return Slot{} // slots at once: netem has none
	}
	return s
}

func (s Slot) check() error {
	if s.canonical() == (Slot{}) {
		return nil
	}
	for _, t := range []struct {
		name  string
		value time.Duration
		most  time.Duration
	}{{"slot", s.Min, MaxDelay}, {"slot", s.Max, MaxDelay}, {"slot delay", s.Delay, MaxDelay}, {"slot jitter", s.Jitter, MaxJitter}} {
		if err := checkTime(t.name, t.value, t.most, "as for a delay"); err != nil {
			return err
		}
	}
	switch {
	case s.Max < s.Min:
		return fmt.Errorf("slot: the longest time %s is below the shortest %s", FormatDuration(s.Max), FormatDuration(s.Min))
	case s.Packets > math.MaxInt32 || s.Bytes > math.MaxInt32:
		return fmt.Errorf("slot: packets and bytes are at most %d", math.MaxInt32)
	case s.Distribution == Uniform && (s.Delay != 0 || s.Jitter != 0):
		return errSlotUniform
	case s.Distribution == Uniform:
		return nil
	case s.Min != 0 || s.Max != 0:
		return errors.New("slot has either times or a distribution")
	case s.Jitter == 0:
		return errors.New("slot distribution: non-positive jitter, want slot distribution NAME DELAY JITTER")
	}
	return s.Distribution.check()
}

var errSlotUniform = errors.New("slot distribution uniform: tc has no table for it, want slot MIN MAX")

// String returns the slot in tc's words, without "slot".
func (s Slot) String() string {
	var w string
	switch {
	case s.Distribution != Uniform:
		w = "distribution " + s.Distribution.String() + " " + FormatDuration(s.Delay) + " " + FormatDuration(s.Jitter)
	case s.Max != s.Min:
		w = FormatDuration(s.Min) + " " + FormatDuration(s.Max)
	default:
		w = FormatDuration(s.Min)
	}
	if s.Packets != 0 {
		w += " packets " + strconv.FormatUint(uint64(s.Packets), 10)
	}
	if s.Bytes != 0 {
		w += " bytes " + strconv.FormatUint(uint64(s.Bytes), 10)
	}
	return w
}

// slotGate holds packets until their slot: get_slot_next and netem_dequeue of
// sch_netem.c, seen from the packets.
//
// A packet that becomes due after the last slot opened opens a new one, a draw
// later. Those that become due until then leave with it, as far as the slot has
// room for them. When it is full, the next slot opens a draw after it.
//
// The kernel counts the draw from the instant at which it looked at its queue
// and found that the first packet needs a slot. Without a delay that is when the
// packet comes, as here. With a delay the kernel looks whenever another packet
// comes, before the first is due, too, and a look within a slot's length before
// that sets the slot by itself; here the slot counts from when the packet is
// due. And the kernel's queue is sorted by due times, where here packets take
// their places in the order in which they came: with jitter that reorders, a
// packet that overtakes another does not take its place in the slot.
type slotGate struct {
	on      bool
	slot    Slot
	table   table
	draws   stream
	drawn   uint64
	next    int64 // when the slot opens that packets now go to
	packets int64 // room in it
	bytes   int64
}

func newSlotGate(s Slot, seed uint64) slotGate {
	if s == (Slot{}) {
		return slotGate{}
	}
	return slotGate{on: true, slot: s, table: s.Distribution.table(), draws: newStream(seed, drawSlot), next: math.MinInt64}
}

func (g *slotGate) follow(old *slotGate) {
	if g.on && old.on {
		g.drawn, g.next = old.drawn, old.next
		if g.slot == old.slot {
			g.packets, g.bytes = old.packets, old.bytes
		} else {
			g.refill()
		}
	}
}

func (g *slotGate) refill() {
	g.packets, g.bytes = math.MaxInt32, math.MaxInt32
	if g.slot.Packets != 0 {
		g.packets = int64(g.slot.Packets)
	}
	if g.slot.Bytes != 0 {
		g.bytes = int64(g.slot.Bytes)
	}
}

// open sets the next slot a draw after that instant.
func (g *slotGate) open(t int64) {
	draw := g.draws.uint32(g.drawn)
	g.drawn++
	if g.table != nil {
		g.next = later(t, g.slot.Delay.Nanoseconds()+g.table.at(draw, g.slot.Jitter.Nanoseconds()))
	} else {
		high, low := bits.Mul64(uint64(g.slot.Max-g.slot.Min), uint64(draw))
		g.next = later(t, g.slot.Min.Nanoseconds()+int64(high<<32|low>>32))
	}
	g.refill()
}

// hold returns when a packet leaves that is due at that instant.
func (g *slotGate) hold(due int64, length int) int64 {
	if !g.on {
		return due
	}
	if g.next < due {
		g.open(due)
	}
	due = max(due, g.next)
	g.packets--
	g.bytes -= int64(length)
	if g.packets <= 0 || g.bytes <= 0 {
		g.open(due)
	}
	return due
}
