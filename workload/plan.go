// Package workload says when each message is due and how big it is.
//
// A workload is open: a message's time is fixed before the run begins and does
// not wait for what became of the messages before it. Delay counts from that
// time, so that a sender or a transport that falls behind shows it as delay
// instead of hiding it by sending less.
package workload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"netcmp/message"
)

// Limits of a plan.
const (
	MaxCount = 1 << 32  // messages
	MaxSize  = 16 << 20 // bytes
	MaxRate  = 10e6     // messages a second
	// MaxSpan bounds the time from the first message to the last. In nanoseconds it
	// stays below 2^53, up to which every reader of JSON takes an integer exactly.
	MaxSpan = 100 * 24 * time.Hour
)

// Defaults of a plan.
const (
	DefaultCount = 2000
	DefaultSize  = 500
	DefaultRate  = 500
	DefaultBurst = 10
)

// Arrival is how messages follow each other at a given rate.
type Arrival string

// The arrivals.
const (
	Constant Arrival = "constant" // evenly spaced
	Poisson  Arrival = "poisson"  // gaps are exponential: messages of many independent senders
	Burst    Arrival = "burst"    // Plan.Burst messages together, bursts evenly spaced
)

var arrivals = []Arrival{Constant, Poisson, Burst}

// Plan is what to send. It crosses the control channel, so both ends hold the
// same schedule. Zero fields mean the defaults; see WithDefaults.
type Plan struct {
	// Count bounds the messages, Duration the time in which they are due:
	// from 0 up to, and not including, Duration. With both the first one
	// reached ends the schedule.
	Count    int64         `json:"count"`
	Duration time.Duration `json:"duration_ns"`
	Size     int           `json:"size_bytes"` // of a message, header included
	Rate     float64       `json:"rate_per_s"` // messages, not bytes
	Saturate bool          `json:"saturate"`   // as fast as the transport takes them, or answers come; Rate and Arrival do not count
	Arrival  Arrival       `json:"arrival"`
	Burst    int           `json:"burst,omitempty"` // messages a burst
	Seed     uint64        `json:"seed"`            // of the Poisson gaps
}

// WithDefaults is p with its zero fields filled in: 2000 messages of 500 B at
// a constant 500 a second, bursts of 10. Count stays 0 where Duration is the
// bound, Rate where there is none, and Burst where there are no bursts.
func (p Plan) WithDefaults() Plan {
	if p.Count == 0 && p.Duration == 0 {
		p.Count = DefaultCount
	}
	if p.Size == 0 {
		p.Size = DefaultSize
	}
	if p.Rate == 0 && !p.Saturate {
		p.Rate = DefaultRate
	}
	if p.Arrival == "" {
		p.Arrival = Constant
	}
	if p.Burst == 0 && p.Arrival == Burst {
		p.Burst = DefaultBurst
	}
	return p
}

// Validate says what is wrong with a plan that has its defaults, one line for
// each fault: what it is and what is allowed. It does not fill in defaults
// itself, so that a rate of 0 that somebody asked for is told from one that
// nobody gave.
func (p Plan) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format, args...))
	}

	if p.Duration < 0 || p.Duration > MaxSpan {
		fault("duration %v: must be above 0, at most 100 days", p.Duration)
	}
	bounded := p.Count == 0 && p.Duration > 0
	if !bounded && (p.Count < 1 || p.Count > MaxCount) {
		fault("count %d: must be 1 to %d messages", p.Count, int64(MaxCount))
	}
	switch {
	case p.Size < message.HeaderSize:
		fault("size %d: must be at least %d (the header)", p.Size, message.HeaderSize)
	case p.Size > MaxSize:
		fault("size %d: must be at most %d (16 MiB)", p.Size, MaxSize)
	}
	rateOK := p.Rate > 0 && p.Rate <= MaxRate // false for NaN
	if !p.Saturate && !rateOK {
		fault("rate %v: must be above 0, at most %d messages/s", p.Rate, int64(MaxRate))
	}
	if !slices.Contains(arrivals, p.Arrival) {
		names := make([]string, len(arrivals))
		for i, a := range arrivals {
			names[i] = string(a)
		}
		fault("arrival %q: must be one of %s", string(p.Arrival), strings.Join(names, ", "))
	}
	if p.Burst < 0 || int64(p.Burst) > MaxCount || p.Burst == 0 && p.Arrival == Burst {
		fault("burst %d: must be 1 to %d messages", p.Burst, int64(MaxCount))
	}
	if len(faults) == 0 && !p.Saturate && p.Duration == 0 && float64(p.Count-1)/p.Rate > MaxSpan.Seconds() {
		fault("rate %v: %d messages would take more than 100 days; at least %.3g messages/s", p.Rate, p.Count, float64(p.Count-1)/MaxSpan.Seconds())
	}
	return errors.Join(faults...)
}

// Expected is how many messages the schedule of a valid plan has, or -1 where only running it
// can tell: Poisson arrivals, and saturation, bounded by a duration.
func (p Plan) Expected() int64 {
	p = p.WithDefaults()
	if p.Duration > 0 && (p.Saturate || p.Arrival == Poisson) {
		return -1
	}
	return p.limit()
}

// limit is the number of messages after which the schedule ends at the
// latest.
func (p Plan) limit() int64 {
	limit := p.Count
	if limit == 0 {
		limit = MaxCount
	}
	if p.Duration == 0 || p.Saturate || p.Arrival == Poisson {
		return limit
	}
	// Offsets never fall, so the first one past the end can be searched for
	// with the very arithmetic that Next uses.
	pace, low, high := newPace(p.Rate), int64(0), limit
	for low < high {
		middle := (low + high) / 2
		if pace.at(p.regular(middle)) < p.Duration {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// regular is the number of the message at whose regular time message i is
// due: its own, or that of the first one of its burst.
func (p Plan) regular(i int64) int64 {
	if p.Arrival == Burst {
		return i - i%int64(p.Burst)
	}
	return i
}

// Span returns the length of a paced plan of which count messages are due, the last
// one at the offset last: its duration, or, where the count ends it before, one more
// gap after the last message. So messages are never delivered faster than they were
// offered: n of them over n − 1 gaps would be.
func (p Plan) Span(count int64, last time.Duration) time.Duration {
	p = p.WithDefaults()
	if p.Duration > 0 && (p.Count == 0 || count < p.Count) {
		return p.Duration
	}
	gap := time.Duration(float64(time.Second) / p.Rate)
	if p.Arrival == Burst {
		gap = newPace(p.Rate).at(p.regular(count-1)+int64(p.Burst)) - last
	}
	if span := last + gap; p.Duration == 0 || span < p.Duration {
		return span
	}
	return p.Duration
}
