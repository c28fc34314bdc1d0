package netem

import (
	"fmt"
	"time"
)

// A Fate says what the losses of a direction are a function of.
type Fate string

const (
	// FateByPacket draws for each packet, by its number in the direction, as
	// netem does. The same burst of losses takes the same numbers, so it lasts
	// longer for a protocol that sends fewer packets.
	FateByPacket Fate = "packet"
	// FateByTime draws for each tick of a clock. All packets of a tick are lost
	// or none is, and the chain of a loss model with states takes a step a tick,
	// whatever is sent: every protocol meets the same bursts at the same times.
	FateByTime Fate = "time"
)

// DefaultTick is the length of a tick of FateByTime.
const DefaultTick = time.Millisecond

// ParseFate returns the fate with that name; the empty name is FateByPacket.
func ParseFate(name string) (Fate, error) {
	switch f := Fate(name); f {
	case "":
		return FateByPacket, nil
	case FateByPacket, FateByTime:
		return f, nil
	}
	return FateByPacket, fmt.Errorf("unknown fate %q: want packet or time", name)
}

// An Option changes how a Direction works.
type Option func(*Direction)

// WithFate makes the losses of a direction a function of this; the zero Fate is
// FateByPacket. Losses are all that it changes, and of those not a list, whose
// numbers are those of packets.
func WithFate(f Fate) Option {
	return func(d *Direction) {
		if f == FateByTime {
			d.timed.tick = DefaultTick.Nanoseconds()
		} else {
			d.timed.tick = 0
		}
	}
}

// WithTick makes the losses a function of time, by ticks of that length.
func WithTick(tick time.Duration) Option {
	return func(d *Direction) { d.timed.tick = max(1, tick.Nanoseconds()) }
}

// timedLoss asks a loss process about ticks instead of packets. A clone has the
// fate of its original.
type timedLoss struct {
	tick   int64 // ns; 0: fate is by packet
	memory bool  // the process has to be asked about every tick
	begun  bool
	at     int64 // the tick that was last asked about
	lost   bool  // the answer
}

// longestPause is how many ticks without a packet are made up for, 70 minutes of
// milliseconds. Of a longer pause the last so many are, by the end of which a
// chain has forgotten how it began.
const longestPause = 1 << 22

// reset is for a new process or a new beginning of the clock.
func (l *timedLoss) reset(process lossProcess) {
	l.begun, l.lost = false, false
	switch p := process.(type) {
	case *randomLoss:
		l.memory = p.draws.rho != 0
	default:
		l.memory = true
	}
}

// ask returns whether packets are lost so many nanoseconds after the beginning.
func (l *timedLoss) ask(process lossProcess, since int64) bool {
	tick := max(0, since) / l.tick
	from := tick
	switch {
	case l.begun && tick <= l.at:
		return l.lost
	case l.memory && l.begun:
		from = l.at + 1
	case l.memory:
		from = 0
	}
	for n := max(from, tick-longestPause); n <= tick; n++ {
		l.lost = process.lost(2 * uint64(n))
	}
	l.begun, l.at = true, tick
	return l.lost
}
