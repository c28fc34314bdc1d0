package peer

import (
	"errors"
	"sync"
	"time"

	"netcmp/clock"
	"netcmp/ledger"
	"netcmp/message"
	"netcmp/pacer"
	"netcmp/transport"
)

// turns is a sender with one request under way: the next one leaves when the answer
// has come, or when it has been waited for long enough to be lost. Who received the
// answer sends the next request, so that no other thread has to wake for it: what is
// measured is the way there and back, and not this machine's scheduler.
type turns struct {
	*sender
	patience time.Duration // how long an answer is waited for

	mu       sync.Mutex // over what follows
	begun    bool
	over     chan struct{} // closed when no more is asked
	start    int64         // of the run
	asked    int64         // when the request under way left
	request  [1][]byte
	perSlot  *ledger.DueCount
	end      int64 // no request after this instant; 0: count alone bounds them
	limit    int64 // nor more than so many
	finished bool
	ended    int64 // when it finished
	out      SendReport
}

func newTurns(s *sender, patience time.Duration) *turns {
	return &turns{sender: s, patience: patience, over: make(chan struct{})}
}

// turnsTick is how often a sender with a request under way looks whether it is to
// stop, or whether the answer is lost.
const turnsTick = 20 * time.Millisecond

// run asks from the instant start on. It returns as sender.run does.
func (t *turns) run(start int64) SendReport {
	w := pacer.New()
	w.Until(start, nil, t.stopped.Load)
	w.Close()

	t.mu.Lock()
	t.begun = true
	t.start, t.perSlot = start, ledger.NewDueCount(start, t.interval)
	t.limit = t.plan.Expected()
	if t.plan.Duration > 0 {
		t.end = start + int64(t.plan.Duration)
		t.limit = t.plan.Count
	}
	t.request[0] = make([]byte, t.plan.Size)
	message.Fill(t.request[0], t.session)
	t.ask(clock.Now())
	t.mu.Unlock()

	tick := time.NewTicker(turnsTick)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-t.over:
			over = true
		case <-tick.C:
			t.mu.Lock()
			if now := clock.Now(); t.stopped.Load() || now-t.asked > int64(t.patience) {
				t.ask(now)
			}
			t.mu.Unlock()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Scheduled, t.out.Due = t.out.Sent, t.out.Sent
	cut := t.cut.Load()
	if n := t.plan.Expected(); n >= 0 {
		t.out.Scheduled = n
		if cut == 0 {
			t.out.Due = n
		}
	}
	t.out.SpanNS = saturated(t.plan, t.ended-start, cut-start)
	t.out.PerInterval = t.perSlot.PerInterval()
	return t.out
}

// answered has the next request leave if number is that of the one under way.
func (t *turns) answered(number uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun && int64(number) == t.out.Sent-1 {
		t.ask(clock.Now())
	}
}

// ask sends the next request, if there is one; mu is held.
func (t *turns) ask(now int64) {
	if t.finished {
		return
	}
	if t.stopped.Load() || t.end > 0 && now >= t.end || t.limit > 0 && t.out.Sent >= t.limit {
		t.finish(now)
		return
	}
	message.Seal(t.request[0], message.Header{Session: t.session, Number: uint64(t.out.Sent), Planned: now, Sent: now})
	t.asked = now
	taken, err := t.conn.Send(t.request[:])
	if taken > 0 {
		t.perSlot.Add(now)
		t.records.Sent(now-t.start, 1)
		t.out.Sent++
		t.count.Store(t.out.Sent)
	}
	if err != nil {
		if !t.stopped.Load() || !errors.Is(err, transport.ErrClosed) {
			t.out.Error = err.Error()
		}
		t.finish(now)
	}
}

func (t *turns) finish(now int64) {
	t.finished, t.ended = true, now
	close(t.over)
}
