package peer

import (
	"context"
	"math"
	"net/http"
	"time"

	"netcmp/clock"
	"netcmp/result"
)

// In the lab the receiver of datagrams does not guess from a silence that the rest is
// lost: the path, the receiver or this very machine may only be late. The client asks
// for the path's account until the path holds nothing more of what was sent, and tells
// the receiving end. That end then reads what the path has handed on.

const (
	// settleTick is how often the client asks for the path's account.
	settleTick = 5 * time.Millisecond
	// settleTicks is how many ticks the account of an empty path stays as it is before
	// the client believes that no more enters it: what was sent and has not entered
	// was refused on its way into the path.
	settleTicks = 50
	// echoTicks is the same of an end that answers, in drainTicks.
	echoTicks = 100
)

// settledOrder tells an end that the path to it is empty.
type settledOrder struct {
	// Expected is how many different messages the path has handed on, or will never
	// have to: the end need not wait for more. −1: not known.
	Expected int64 `json:"expected"`
}

// settledAnswer is the answer of an end that has read what came.
type settledAnswer struct {
	Answered int64 `json:"answered"` // requests that it has answered
}

// pathTells reports whether the ends wait for the path's account: datagrams over a lab.
func (r *run) pathTells(e *end) bool { return r.config.Link != nil && !e.properties.Reliable }

// settleUp waits until the path up is empty and tells the server. Of request-response
// it then does the same for the way back. It returns at ctx's end at the latest.
func (r *run) settleUp(ctx context.Context, e *end, sent int64) {
	expected := r.awaitEmpty(ctx, e, sent, func(l *result.Link) *result.LinkDirection { return &l.Up })
	var a settledAnswer
	if r.control.call(ctx, "POST", r.path("settled"), settledOrder{Expected: expected}, &a) != nil {
		a.Answered = 0
	}
	if r.spec.Pattern == RequestResponse {
		r.settleDown(ctx, e, a.Answered)
	}
}

// settleDown waits until the path down is empty and tells the client's own end.
func (r *run) settleDown(ctx context.Context, e *end, sent int64) {
	e.settled(r.awaitEmpty(ctx, e, sent, func(l *result.Link) *result.LinkDirection { return &l.Down }))
}

// awaitEmpty waits until a direction of the path is empty, after sent messages entered
// it, and returns what settledOrder.Expected wants.
func (r *run) awaitEmpty(ctx context.Context, e *end, sent int64, of func(*result.Link) *result.LinkDirection) int64 {
	carried := e.conn.Stats().Carriage != nil // in packets of the transport's own
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	var last result.LinkDirection
	for same := 0; ; same++ {
		link, err := r.config.Link(ctx)
		if err != nil {
			return -1
		}
		d := *of(link)
		if d.Packets != last.Packets || d.Delivered != last.Delivered || d.InFlight > 0 {
			same = 0
		}
		last = d
		if d.InFlight == 0 && (carried || d.Datagrams.Entered >= sent || same >= settleTicks) {
			switch {
			case carried || d.Corrupted > 0: // what the path handed on may have been damaged to no effect
				return -1
			case d.Duplicated > 0: // the copies are to be counted, too
				return math.MaxInt64
			}
			return d.Datagrams.Intact
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return -1
		}
	}
}

// settled tells the end that the path to it is empty: see settledOrder. Only the first
// call counts.
func (e *end) settled(expected int64) {
	e.settle1.Do(func() {
		e.expected = expected
		close(e.empty)
	})
}

// settled hears that the path to this end is empty. An end that answers requests
// reads what came first.
func (x *session) settled(w http.ResponseWriter, r *http.Request) {
	var o settledOrder
	if !order(w, r, &o) {
		return
	}
	e := x.running()
	if e == nil {
		refuse(w, "the session was not started")
		return
	}
	e.settled(o.Expected)
	if e.echo != nil {
		e.echo.quiesce(o.Expected, r.Context().Done())
		answerJSON(w, http.StatusOK, settledAnswer{Answered: e.echo.answered.Load()})
		return
	}
	answerJSON(w, http.StatusOK, settledAnswer{})
}

// quiesce waits until expected requests have come, or none has for some time. The time
// is counted in ticks, so that a process that was stopped does not end too early.
func (e *echo) quiesce(expected int64, cancelled <-chan struct{}) {
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	last := int64(-1)
	for same := 0; same < echoTicks; same++ {
		n := e.requests.Load()
		if expected >= 0 && n >= expected && e.answered.Load() >= n {
			return
		}
		if n != last {
			last, same = n, 0
		}
		select {
		case <-tick.C:
		case <-e.ended:
			return
		case <-cancelled:
			return
		}
	}
}

// silence measures how long nothing has come, in ticks of its owner: a process that was
// stopped, or that got no processor, does not take that time for silence of the path.
type silence struct {
	before, last int64
	length       time.Duration
}

func newSilence(now, last int64) silence { return silence{before: now, last: last} }

// tick adds the time since the last tick, at most twice what a tick takes; last is
// when something last came.
func (s *silence) tick(now, last int64) time.Duration {
	s.length += min(time.Duration(now-s.before), 2*drainTick)
	s.before = now
	if last != s.last {
		s.last, s.length = last, 0
	}
	return s.length
}

// drain waits for what was sent and may still come, and returns how many messages of a
// reliable transport it gave up on. It ends when all of count are there, when the
// connection ends, or when nothing has come for so long that the rest is lost. Where
// the path tells when it is empty, it does not end before, within the patience of a
// reliable transport.
func (e *end) drain(count int64, pathTells bool, cancelled <-chan struct{}) (gaveUp int64, waited time.Duration) {
	if e.receiver == nil {
		return 0, 0
	}
	begun := clock.Now()
	quiet := newSilence(begun, e.receiver.last.Load())
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for hope := true; hope; {
		delivered := e.receiver.delivered.Load()
		want, patience := count, e.patience()
		if pathTells {
			select {
			case <-e.empty:
				if e.expected >= 0 {
					want = e.expected
				}
			default:
				want, patience = math.MaxInt64, e.spec.Patience
			}
		}
		if delivered >= want || quiet.tick(clock.Now(), e.receiver.last.Load()) > patience {
			break
		}
		select {
		case <-tick.C:
		case <-e.receiver.ended:
			hope = false
		case <-e.late.Done():
			hope = false
		case <-cancelled:
			hope = false
		}
	}
	if e.properties.Reliable {
		gaveUp = max(count-e.receiver.delivered.Load(), 0)
	}
	return gaveUp, time.Duration(clock.Now() - begun)
}
