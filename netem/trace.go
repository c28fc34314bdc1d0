package netem

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"time"
)

const (
	// opportunity is how many bytes of IP packet a line of a trace delivers.
	opportunity = 1500
	// MaxTrace is the longest that a trace may last before it begins again. A packet
	// may have to wait for as long.
	MaxTrace = 4 * 24 * time.Hour
)

// A trace is the instants at which a link can deliver, in the format of
// Mahimahi's mm-link: a line for each opportunity, the time in whole
// milliseconds from the beginning. After its last line it begins again, so that
// the last time is its length.
//
// An opportunity is for 1500 bytes: a packet or several small ones that wait at
// that instant, or a part of a large one. What nobody waits for is lost.
type trace struct {
	at []int64 // ns from the beginning, in rising order
}

// length returns how long the trace lasts before it begins again, in ns.
func (t *trace) length() int64 { return t.at[len(t.at)-1] }

// bitRate returns the mean rate of the trace in bit/s.
func (t *trace) bitRate() float64 {
	return float64(len(t.at)) * opportunity * bitsPerByte * 1e9 / float64(t.length())
}

var traceFiles = fileCache[*trace]{most: 64 << 20, read: func(text string) (*trace, error) {
	t := new(trace)
	err := numberLines(text, 10, 64, func(line int, ms int64) error {
		switch {
		case ms < 0 || ms > MaxTrace.Milliseconds():
			return fmt.Errorf("line %d: %d is out of range: want milliseconds from 0 to %d, 4 days", line, ms, MaxTrace.Milliseconds())
		case len(t.at) > 0 && ms*1e6 < t.length():
			return fmt.Errorf("line %d: %d comes after a later time: want rising milliseconds", line, ms)
		}
		t.at = append(t.at, ms*1e6)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(t.at) == 0:
		return nil, errors.New("no packet deliveries: want lines of milliseconds, as in Mahimahi's traces")
	case t.length() == 0:
		return nil, errors.New("the trace ends at 0: it must last a millisecond at least")
	}
	return t, nil
}}

// A player is a trace at work in a direction. Its clock begins with the
// direction's.
type player struct {
	trace  *trace // nil for none
	origin int64

	round int64 // how often the trace has ended
	next  int   // the opportunity after the current one
	now   int64 // when the current opportunity is
	left  int   // bytes of the current one
}

func newPlayer(file string) player {
	if file == "" {
		return player{}
	}
	t, err := traceFiles.get(file)
	if err != nil {
		panic("netem: trace " + err.Error()) // Validate was asked
	}
	return player{trace: t, now: math.MinInt64}
}

func (p *player) follow(old *player) {
	if p.trace == old.trace {
		*p = *old
	}
	p.origin = old.origin
}

// restart begins the trace at that instant.
func (p *player) restart(origin int64) {
	*p = player{trace: p.trace, origin: origin, now: math.MinInt64}
}

// begin moves to the first opportunity at or after that instant of which
// something is left, and returns when it is.
func (p *player) begin(ready int64) int64 {
	if p.left == 0 || p.now < ready {
		p.advance()
		if p.now < ready {
			p.seek(ready)
		}
	}
	return p.now
}

// advance moves to the next opportunity.
func (p *player) advance() {
	if p.next == len(p.trace.at) {
		p.next = 0
		p.round++
	}
	p.now = p.origin + p.round*p.trace.length() + p.trace.at[p.next]
	p.next++
	p.left = opportunity
}

// seek moves to the first opportunity at or after that instant, which is behind
// the current one.
func (p *player) seek(ready int64) {
	p.round, p.next = 0, 0
	if since, length := ready-p.origin, p.trace.length(); since > 0 {
		p.round = (since - 1) / length
		offset := since - p.round*length // above 0, and at most the length
		p.next = sort.Search(len(p.trace.at), func(k int) bool { return p.trace.at[k] >= offset })
	}
	p.advance()
}

// deliver sends a frame of that length from the current opportunity on and
// returns when the last of it is delivered.
func (p *player) deliver(length int) int64 {
	need := max(1, length-ethernetHeader)
	for need > p.left {
		need -= p.left
		p.advance()
	}
	p.left -= need
	return p.now
}
