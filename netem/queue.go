package netem

import (
	"fmt"
	"math"
	"time"
)

// A QueueKind is a discipline of the queue at the bottleneck.
type QueueKind string

const (
	// FIFO is netem's own queue: one packet after another, dropped at the tail
	// when Limit packets wait.
	FIFO QueueKind = ""
	// TokenBucket lets a burst through at once that the link has saved up.
	TokenBucket QueueKind = "tbf"
	// CoDel drops packets to keep the queue short (RFC 8289).
	CoDel QueueKind = "codel"
)

// A Queue is the queue at the bottleneck, an extension: "queue tbf BURST" and
// "queue codel [target TIME] [interval TIME]". Its zero value is netem's own.
type Queue struct {
	Kind     QueueKind
	Burst    uint32        // of TokenBucket: bytes that an idle link saves up, 1 and more
	Target   time.Duration // of CoDel: how long packets may wait all the time; 0 for DefaultTarget
	Interval time.Duration // of CoDel: how long they may wait longer than that; 0 for DefaultInterval
}

const (
	// DefaultTarget is RFC 8289's TARGET: 5 ms.
	DefaultTarget = 5 * time.Millisecond
	// DefaultInterval is RFC 8289's INTERVAL: 100 ms, a usual round trip.
	DefaultInterval = 100 * time.Millisecond
)

func (q Queue) canonical() Queue {
	if q.Target == DefaultTarget {
		q.Target = 0
	}
	if q.Interval == DefaultInterval {
		q.Interval = 0
	}
	return q
}

func (q Queue) check(i Impairment) error {
	var tbf, codel = q.Burst != 0, q.Target != 0 || q.Interval != 0
	switch q.Kind {
	case FIFO:
		if tbf || codel {
			return fmt.Errorf("queue without a kind: want queue tbf BURST or queue codel")
		}
		return nil
	case TokenBucket:
		if !tbf || codel {
			return fmt.Errorf("queue tbf needs a burst above 0 and nothing else: queue tbf BURST")
		}
		if i.Rate == 0 {
			return fmt.Errorf("queue tbf without a rate: add rate RATE")
		}
		return nil
	case CoDel:
		if tbf {
			return fmt.Errorf("queue codel has no burst: want queue codel [target TIME] [interval TIME]")
		}
		if i.Rate == 0 && i.Trace == "" {
			return fmt.Errorf("queue codel without a bottleneck: add rate RATE or trace FILE")
		}
		if err := checkTime("queue target", q.Target, MaxDelay, "as for a delay"); err != nil {
			return err
		}
		return checkTime("queue interval", q.Interval, MaxDelay, "as for a delay")
	}
	return fmt.Errorf("unknown queue %q: want tbf or codel", string(q.Kind))
}

// String returns the queue in its words, without "queue".
func (q Queue) String() string {
	q = q.canonical()
	s := string(q.Kind)
	if q.Kind == TokenBucket {
		s += fmt.Sprintf(" %d", q.Burst)
	}
	if q.Target != 0 {
		s += " target " + FormatDuration(q.Target)
	}
	if q.Interval != 0 {
		s += " interval " + FormatDuration(q.Interval)
	}
	return s
}

// A tokenBucket lets packets through as fast as they come while it holds
// tokens, and at the rate at which they flow in otherwise: the classic law, and
// tc's tbf without a peak rate. Tokens are counted in the nanoseconds that the
// link takes for their bytes.
//
// A packet that is larger than the bucket waits for what it lacks; tc's tbf
// drops it.
type tokenBucket struct {
	size   int64 // ns; 0 for none
	tokens int64 // ns, at the instant last
	last   int64
}

func newTokenBucket(q Queue, bytesPerSecond int64) tokenBucket {
	if q.Kind != TokenBucket {
		return tokenBucket{}
	}
	size := int64(q.Burst) * 1e9 / bytesPerSecond
	return tokenBucket{size: max(1, size), tokens: size, last: math.MinInt64 / 2}
}

func (b *tokenBucket) follow(old *tokenBucket) {
	if b.size != 0 && old.size != 0 {
		b.last, b.tokens = old.last, min(old.tokens, b.size)
	}
}

// take returns when a packet has left that costs that many tokens and is the
// next from start on.
func (b *tokenBucket) take(start, cost int64) int64 {
	if idle := start - b.last; idle >= b.size-b.tokens {
		b.tokens = b.size
	} else {
		b.tokens += idle
	}
	due := start
	if b.tokens >= cost {
		b.tokens -= cost
	} else {
		due = later(start, cost-b.tokens)
		b.tokens = 0
	}
	b.last = due
	return due
}
