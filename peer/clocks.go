package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
)

// ClockSource is what the client goes by to know how the server's clock stands to its
// own.
type ClockSource string

// Clock sources.
const (
	ClockAuto     ClockSource = "auto"     // one host's clock where it is one host; else estimated
	ClockEstimate ClockSource = "estimate" // the control channel's exchanges
	ClockNTP      ClockSource = "ntp"      // both hosts' wall clocks, which the kernels say are synchronised
	ClockPTP      ClockSource = "ptp"      // both hosts' wall clocks, which the user says are
)

// ClockSources are all of them.
var ClockSources = []ClockSource{ClockAuto, ClockEstimate, ClockNTP, ClockPTP}

const (
	// clockReadings is how often the server's clock is read before a session begins.
	clockReadings = 8
	// clockEvery is how often it is read while the session goes on.
	clockEvery = 250 * time.Millisecond
	// wander is how much faster than the client's clock the server's may run, or
	// slower, as a share: two crystals of 50 parts in a million each. Kernels that are
	// disciplined by NTP stay within 15 (PHI, RFC 5905 §7.2).
	wander = 100e-6
)

// clockReading is the server's answer.
type clockReading struct {
	NowNS  int64  `json:"now_ns"`
	BootID string `json:"boot_id"` // hosts that share it share one clock
	// AheadNS is its wall clock less NowNS; MaxErrorNS what its kernel knows that to be
	// wrong by at the most (adjtimex(2)), null where it is not synchronised.
	AheadNS    int64  `json:"ahead_ns"`
	MaxErrorNS *int64 `json:"max_error_ns"`
}

// ownReading is this host's clock.
func ownReading() clockReading {
	r := clockReading{NowNS: clock.Now(), BootID: bootID()}
	r.AheadNS, _ = clock.Wall()
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0 {
		most := t.Maxerror * 1000
		r.MaxErrorNS = &most
	}
	return r
}

// exchange is a reading of the server's clock over the control channel.
type exchange struct {
	at     int64 // the middle of it, the client's clock
	offset int64 // the server's clock less the client's, if both ways took as long
	half   int64 // of the time that it took: what the offset may be wrong by
}

// clocks is how the server's clock stands to the client's. Its methods may be called
// from any goroutine.
type clocks struct {
	source string

	mu        sync.Mutex
	exchanges []exchange // the best of each second, in the order of time
	samples   int
	offset    int64 // the server's less the client's, right to uncertainty
	worst     int64 // the greatest uncertainty so far
	shortest  int64 // exchange; 0 on one host, where it takes next to nothing
}

// add enters an exchange. The clock filter is NTP's (RFC 5905 §10): the quickest
// exchange tells most, since half of the time that it took is all that it can be wrong
// by, whatever the two ways took; and the older it is, the more the clocks may have
// gone apart since.
func (c *clocks) add(x exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples++
	if c.samples == 1 || 2*x.half < c.shortest {
		c.shortest = 2 * x.half
	}
	const second = int64(time.Second)
	if n := len(c.exchanges) - 1; n >= 0 && c.exchanges[n].at/second == x.at/second {
		if x.half < c.exchanges[n].half {
			c.exchanges[n] = x
		}
	} else {
		c.exchanges = append(c.exchanges, x)
	}
	doubt := func(e exchange) int64 { return e.half + int64(wander*float64(max(x.at-e.at, e.at-x.at))) }
	best := slices.MinFunc(c.exchanges, func(a, b exchange) int { return cmp.Compare(doubt(a), doubt(b)) })
	c.offset = best.offset
	// Until the next exchange, as long as they come.
	c.worst = max(c.worst, doubt(best)+int64(wander*float64(clockEvery)))
}

// state is the offset as it is now, the greatest uncertainty so far, and the drift: how
// much faster the server's clock runs, as a share; nil where ten seconds have not been
// watched.
func (c *clocks) state() (offset, uncertainty int64, drift *float64, samples int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset, c.worst, c.drift(), c.samples
}

// drift is the slope of the offset by least squares, of the quick exchanges.
func (c *clocks) drift() *float64 {
	if n := len(c.exchanges); n < 10 {
		return nil
	}
	limit := c.shortest*6/10 + int64(50*time.Microsecond)
	var n, sx, sy, sxx, sxy float64
	begin := c.exchanges[0]
	for _, e := range c.exchanges {
		if e.half > limit {
			continue
		}
		x, y := float64(e.at-begin.at), float64(e.offset-begin.offset)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; n >= 10 && d > 0 {
		return new((n*sxy - sx*sy) / d)
	}
	return nil
}

// ErrUnsynchronised says that a host's clock is not what the user says that it is.
var ErrUnsynchronised = errors.New("clock is not synchronised, says its kernel (adjtimex): --clock estimate")

// readClock finds how the server's clock stands to ours.
func (c *control) readClock(ctx context.Context, by ClockSource) (*clocks, error) {
	k := &clocks{source: "estimated over the control channel"}
	ask := c.reach
	for range clockReadings {
		own := ownReading()
		before := clock.Now()
		reading, x, err := ask(ctx)
		ask = c.exchangeClocks
		if err != nil {
			return nil, err
		}
		switch {
		case by == ClockNTP || by == ClockPTP:
			return k, k.trust(by, own, reading)
		case by != ClockEstimate && reading.BootID != "" && reading.BootID == own.BootID &&
			reading.NowNS >= before && reading.NowNS <= clock.Now(): // a time namespace has one of its own
			return &clocks{source: "one host, CLOCK_MONOTONIC"}, nil
		}
		k.worst = 0 // nothing was counted by those before, and the first one made the channel
		k.add(x)
	}
	return k, nil
}

const (
	// reachTries is how often a channel is begun.
	reachTries = 3
	// reachBroken is when a beginning that has failed has not been refused: that is
	// told at once.
	reachBroken = time.Second
)

// reach reads the server's clock for the first time, which makes the channel. It begins
// anew when that breaks in the midst, as it may on a path that loses in bursts.
func (c *control) reach(ctx context.Context) (reading clockReading, x exchange, err error) {
	for range reachTries {
		began := clock.Now()
		reading, x, err = c.exchangeClocks(ctx)
		var (
			connecting *net.OpError
			answer     *refusal
		)
		if err == nil || ctx.Err() != nil || errors.As(err, &answer) || errors.As(err, &connecting) && connecting.Op == "dial" ||
			time.Duration(clock.Now()-began) < reachBroken {
			break
		}
	}
	return reading, x, err
}

// exchangeClocks reads the server's clock once.
func (c *control) exchangeClocks(ctx context.Context) (reading clockReading, x exchange, err error) {
	before := clock.Now()
	if err := c.call(ctx, "GET", "/v1/clock", nil, &reading); err != nil {
		return reading, x, err
	}
	half := (clock.Now() - before + 1) / 2
	return reading, exchange{at: before + half, offset: reading.NowNS - before - half, half: half}, nil
}

// trust goes by the wall clocks of both hosts.
func (c *clocks) trust(by ClockSource, own, server clockReading) error {
	c.offset, c.shortest = own.AheadNS-server.AheadNS, int64(time.Millisecond)
	if by == ClockPTP {
		c.source = "both hosts' wall clocks, synchronised by PTP, as the user says"
		return nil
	}
	c.source = "both hosts' wall clocks, synchronised by NTP"
	for name, r := range map[string]clockReading{"the client's": own, "the server's": server} {
		if r.MaxErrorNS == nil {
			return fmt.Errorf("%s %w (%w)", name, ErrUnsynchronised, ErrUsage)
		}
		c.worst += *r.MaxErrorNS
	}
	return nil
}

// estimated says whether the offset is by exchanges, and goes on being found.
func (c *clocks) estimated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.samples > 0
}

// bootID tells hosts apart.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
