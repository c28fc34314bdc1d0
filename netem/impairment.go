package netem

import (
	"errors"
	"fmt"
	"time"
)

// A Path is what lies between two hosts. Its zero value is a clean path.
type Path struct {
	Up   Impairment // from client to server
	Down Impairment // from server to client
}

// An Impairment is what one direction of a path does to the packets that cross
// it. Its zero value does nothing.
//
// The fields are the parameters of Linux's netem, and each means what it means
// there. Impairments compare with ==.
type Impairment struct {
	// Delay is the one-way delay of every packet, up to MaxDelay.
	Delay time.Duration
	// Jitter is how much the delay varies: the half-width of a uniform
	// distribution, the standard deviation of a normal one; up to MaxJitter.
	// Packets overtake each other where it exceeds their spacing and there is
	// no Rate.
	Jitter time.Duration
	// Distribution is the shape of the jitter. One other than Uniform needs
	// both a delay and a jitter.
	Distribution Distribution
	// Loss is which packets are lost; nil for none.
	Loss LossModel
	// Duplicate is the probability that a packet is doubled. The second copy
	// meets loss, corruption and delay of its own.
	Duplicate Probability
	// Corrupt is the probability that one bit of a packet is flipped.
	Corrupt Probability
	// Reorder is the probability that a packet goes ahead of all that are
	// waiting, at once. It needs a Delay, or none would be waiting.
	Reorder Probability
	// Gap is the least distance between packets that go ahead: of the packets
	// after one that did, Gap−1 cannot. 0 means 1. It needs Reorder.
	Gap uint32
	// Rate is the speed of the link; 0 for one without a limit, otherwise
	// between MinRate and MaxRate.
	Rate Rate
	// Limit is how many packets may be queued, those that merely wait for their
	// delay included. One that finds as many is dropped. 0 means DefaultLimit.
	//
	// It must hold rate·delay/8/MTU packets and the queue that is wanted on
	// top: 100 ms of delay in the default limit caps the path at 10,000 packets
	// a second.
	Limit uint32
}

const (
	// MaxDelay is the longest delay that tc takes: more does not fit the 32 bits
	// of 64 ns ticks in which it tells the kernel (tc_core_time2big).
	MaxDelay = 274_877_906 * time.Microsecond
	// MaxJitter is the largest jitter that the kernel applies: it cuts a larger
	// one to 31 bits of nanoseconds without a word (netem_change).
	MaxJitter time.Duration = 1<<31 - 1
	// DefaultLimit is the queue limit of a netem that is told none, in packets.
	DefaultLimit = 1000
)

// ErrNotSupported marks what tc understands and this package does not.
var ErrNotSupported = errors.New("not supported yet")

// The refusals of tc, in its words (netem_parse_opt in tc/q_netem.c).
var (
	errReorderNeedsDelay       = errors.New("reordering not possible without specifying some delay: add delay TIME")
	errGapNeedsReorder         = errors.New("gap specified without reorder probability: add reorder PERCENT")
	errDistributionNeedsJitter = errors.New("distribution specified but no latency and jitter values: want delay TIME JITTER, both above 0")
)

// Validate returns an error that says what is wrong and what is allowed, if
// this is not an impairment that tc and this package can make.
func (i Impairment) Validate() error {
	if err := checkTime("delay", i.Delay, MaxDelay, "the most that tc takes"); err != nil {
		return err
	}
	if err := checkTime("jitter", i.Jitter, MaxJitter, "the kernel cuts what is above"); err != nil {
		return err
	}
	if err := i.Distribution.check(); err != nil {
		return err
	}
	switch {
	case i.Distribution != Uniform && (i.Delay == 0 || i.Jitter == 0):
		return errDistributionNeedsJitter
	case i.Reorder != 0 && i.Delay == 0:
		return errReorderNeedsDelay
	case i.Reorder == 0 && i.Gap != 0:
		return errGapNeedsReorder
	}
	if i.Rate != 0 {
		return i.Rate.check(i.Rate.String())
	}
	return nil
}

func checkTime(name string, d, most time.Duration, why string) error {
	switch {
	case d < 0:
		return fmt.Errorf("%s %s is negative: want 0 to %s", name, FormatDuration(d), FormatDuration(most))
	case d > most:
		return fmt.Errorf("%s %s is too long: want 0 to %s (%s)", name, FormatDuration(d), FormatDuration(most), why)
	}
	return nil
}

// IsClean reports whether the impairment does nothing to any packet and has the
// default queue. It is then the empty string in tc's words.
func (i Impairment) IsClean() bool { return i.canonical() == Impairment{} }

// QueueLimit returns how many packets may be queued: Limit, or the default.
func (i Impairment) QueueLimit() int {
	if i.Limit == 0 {
		return DefaultLimit
	}
	return int(i.Limit)
}

// canonical returns the one value that stands for all that mean the same. It is
// the one that Parse returns.
func (i Impairment) canonical() Impairment {
	i.Distribution = i.Distribution.canonical()
	if i.Loss != nil {
		i.Loss = i.Loss.canonical()
	}
	if i.Reorder != 0 && i.Gap == 0 {
		i.Gap = 1
	}
	if i.Limit == DefaultLimit {
		i.Limit = 0
	}
	return i
}
