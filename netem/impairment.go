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
// there; those that are an extension say so, and [Impairment.Extensions] names
// those in use. Correlations are how much a draw depends on the one before, as
// netem understands it; see [Impairment.Warnings] for what comes of it.
// Impairments compare with ==.
type Impairment struct {
	// Delay is the one-way delay of every packet, up to MaxDelay.
	Delay time.Duration
	// Jitter is how much the delay varies: the half-width of a uniform
	// distribution, the unit of the others (the standard deviation of a normal
	// one); up to MaxJitter. Packets overtake each other where it exceeds their
	// spacing and there is no Rate.
	Jitter time.Duration
	// DelayCorrelation is of the jitter, and needs one.
	DelayCorrelation Probability
	// NoReorder holds back a packet that its jitter would let overtake the one
	// before until that is due: jitter without reordering, as RFC 8868 has it
	// beside the other kind. An extension.
	NoReorder bool
	// Distribution is the shape of the jitter. One other than Uniform needs
	// both a delay and a jitter.
	Distribution Distribution
	// Loss is which packets are lost; nil for none.
	Loss LossModel
	// ECN marks packets that can be marked where they would be lost. It needs a
	// Loss.
	ECN bool
	// Duplicate is the probability that a packet is doubled. The second copy
	// meets loss, corruption and delay of its own.
	Duplicate            Probability
	DuplicateCorrelation Probability
	// Corrupt is the probability that one bit of a packet is flipped.
	Corrupt            Probability
	CorruptCorrelation Probability
	// Reorder is the probability that a packet goes ahead of all that are
	// waiting, at once. It needs a Delay, or none would be waiting.
	Reorder            Probability
	ReorderCorrelation Probability
	// Gap is the least distance between packets that go ahead: of the packets
	// after one that did, Gap−1 cannot. 0 means 1. It needs Reorder.
	Gap uint32
	// Rate is the speed of the link; 0 for one without a limit, otherwise
	// between MinRate and MaxRate.
	Rate Rate
	// Framing is what the link adds to packets before they take their time at
	// the rate. It needs a Rate.
	Framing Framing
	// Queue is the queue in front of the link. An extension.
	Queue Queue
	// Trace is the name of a file that says when the link can deliver, in the
	// place of a rate: Mahimahi's packet-delivery traces. An extension.
	Trace string
	// Slot is the grid on which packets leave.
	Slot Slot
	// Limit is how many packets may be queued, those that merely wait for their
	// delay included. One that finds as many is dropped. 0 means DefaultLimit.
	//
	// It must hold rate·delay/8/MTU packets and the queue that is wanted on
	// top: 100 ms of delay in the default limit caps the path at 10,000 packets
	// a second.
	Limit uint32
	// Seed takes the place of the seed that the direction is given, so that this
	// direction meets the same draws in every run. 0 for none.
	Seed uint64
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

// ErrNotSupported marks what tc understands and this package does not. Nothing
// is left of it at present.
var ErrNotSupported = errors.New("not supported yet")

// The refusals of tc, in its words (netem_parse_opt in tc/q_netem.c).
var (
	errReorderNeedsDelay       = errors.New("reordering not possible without specifying some delay: add delay TIME")
	errGapNeedsReorder         = errors.New("gap specified without reorder probability: add reorder PERCENT")
	errECNNeedsLoss            = errors.New("ecn requested without loss model: add loss PERCENT or another loss")
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
	case i.Reorder != 0 && i.NoReorder:
		return errors.New("noreorder and reorder contradict each other: want one of them")
	}
	if i.Loss != nil {
		if err := i.Loss.check(); err != nil {
			return err
		}
	}
	if i.ECN && (i.Loss == nil || i.Loss.canonical() == nil) {
		return errECNNeedsLoss
	}
	if err := i.checkLink(); err != nil {
		return err
	}
	return i.Slot.check()
}

func (i Impairment) checkLink() error {
	if i.Rate != 0 {
		if err := i.Rate.check(i.Rate.String()); err != nil {
			return err
		}
	}
	switch f := i.Framing; {
	case f != Framing{} && i.Rate == 0:
		return errors.New("rate overheads without a rate: add rate RATE")
	case f.Packet < -MaxFraming || f.Packet > MaxFraming:
		return fmt.Errorf("rate packet overhead %d is out of range: want %d to %d bytes", f.Packet, -MaxFraming, MaxFraming)
	case f.Cell > MaxFraming:
		return fmt.Errorf("rate cell size %d is out of range: want 0 to %d bytes", f.Cell, MaxFraming)
	case f.Cell != 0 && (int64(f.CellOverhead) <= -int64(f.Cell) || f.CellOverhead > MaxFraming):
		return fmt.Errorf("rate cell overhead %d is out of range: want %d to %d bytes for cells of %d", f.CellOverhead, 1-int64(f.Cell), MaxFraming, f.Cell)
	}
	if err := i.Queue.check(i); err != nil {
		return err
	}
	if i.Trace == "" {
		return nil
	}
	if i.Rate != 0 {
		return errors.New("trace takes the place of a rate: want one of them")
	}
	if _, err := traceFiles.get(i.Trace); err != nil {
		return fmt.Errorf("trace %w", err)
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
	if i.Jitter == 0 {
		i.DelayCorrelation = 0
	}
	if i.Delay == 0 && i.Jitter == 0 {
		i.NoReorder = false
	}
	if i.Loss != nil {
		i.Loss = i.Loss.canonical()
	}
	if i.Duplicate == 0 {
		i.DuplicateCorrelation = 0
	}
	if i.Corrupt == 0 {
		i.CorruptCorrelation = 0
	}
	if i.Reorder == 0 {
		i.ReorderCorrelation = 0
	} else if i.Gap == 0 {
		i.Gap = 1
	}
	i.Framing = i.Framing.canonical()
	i.Queue = i.Queue.canonical()
	i.Slot = i.Slot.canonical()
	if i.Limit == DefaultLimit {
		i.Limit = 0
	}
	return i
}

// EffectiveDuplicateCorrelation is what tc tells the kernel: it sends the
// correlation of duplicates along with another and forgets it where there is
// none (netem_parse_opt does not count it; so does iproute2 6.1).
func (i Impairment) EffectiveDuplicateCorrelation() Probability {
	_, loss := i.Loss.(CorrelatedLoss)
	if loss || i.DelayCorrelation != 0 || i.CorruptCorrelation != 0 || i.ReorderCorrelation != 0 {
		return i.DuplicateCorrelation
	}
	return 0
}
