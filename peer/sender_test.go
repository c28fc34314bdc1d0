package peer

import (
	"errors"
	"sync"
	"testing"
	"time"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/transport"
	"netcmp/workload"
)

func newSender(f *fake, p workload.Plan) (*sender, *fakeConn, *fakeConn) {
	near, far := f.pair()
	return &sender{conn: near, plan: p.WithDefaults(), session: 1, interval: time.Second, flow: true}, near, far
}

// What falls due while the transport takes nothing is late on its account,
// however many hand-overs it takes to catch up.
func TestBlockedSends(t *testing.T) {
	const held = 50 * time.Millisecond
	f := datagrams()
	var once sync.Once
	f.taking = func(h message.Header) error {
		if h.Number == 20 {
			once.Do(func() { time.Sleep(held) })
		}
		return nil
	}
	s, _, far := newSender(f, plan(120, 100))
	out := s.run(clock.Now())
	// 50 of them at 1000 a second, less those that a late sender had in the
	// same hand-over.
	if out.Sent != 120 || out.BlockedSends < 50-16 {
		t.Errorf("sent %d, blocked %d", out.Sent, out.BlockedSends)
	}
	if out.PacingErrorNS == nil || out.PacingErrorNS.P50 <= 0 || out.PacingErrorNS.Max < out.PacingErrorNS.P99 {
		t.Errorf("pacing error %+v", out.PacingErrorNS)
	}
	if m := out.PacingErrorMeanNS; m == nil || *m <= 0 || *m > out.PacingErrorNS.Max {
		t.Errorf("mean pacing error %v", m)
	}
	if len(far.inbox) != 120 {
		t.Errorf("%d arrived", len(far.inbox))
	}
}

// A message carries its planned time, whatever became of the ones before, and
// the time at which it was really handed over.
func TestPlannedTimes(t *testing.T) {
	s, _, far := newSender(datagrams(), plan(30, 100))
	start := clock.Now() - int64(10*time.Millisecond) // the first ten are late
	out := s.run(start)
	if out.Sent != 30 || out.Scheduled != 30 || out.BlockedSends+out.PacingErrorNS.Max <= 0 {
		t.Errorf("%+v", out)
	}
	if out.OverdueSends < 10 || out.OverdueSends > out.Sent {
		t.Errorf("%d were overdue", out.OverdueSends)
	}
	for i, m := range far.inbox {
		h, err := message.Parse(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if want := start + int64(i)*int64(time.Millisecond); h.Number != uint64(i) || h.Planned != want || h.Sent < h.Planned || m.At < h.Sent || h.Session != 1 {
			t.Errorf("message %d: %+v, want planned %d", i, h, want)
		}
	}
}

// A saturating sender is never late, and ends at its duration.
func TestSaturate(t *testing.T) {
	// Far longer than a machine keeps a sender from its start, at some
	// thousand messages a second.
	const duration = 500 * time.Millisecond
	f := datagrams()
	f.taking = func(message.Header) error {
		time.Sleep(100 * time.Microsecond)
		return nil
	}
	s, _, far := newSender(f, workload.Plan{Duration: duration, Saturate: true, Size: 64})
	start := clock.Now() + int64(10*time.Millisecond)
	out := s.run(start)
	if out.Sent == 0 || out.Scheduled != out.Sent || out.PacingErrorNS != nil || out.BlockedSends != 0 || int64(len(far.inbox)) != out.Sent {
		t.Errorf("%+v, %d arrived", out, len(far.inbox))
	}
	for _, m := range far.inbox {
		if h, err := message.Parse(m.Data); err != nil || h.Planned != h.Sent || h.Planned < start || h.Planned >= start+int64(duration) {
			t.Fatalf("%+v, %v", h, err)
		}
	}
}

// Of a batch that fails half-way, what was taken counts as sent.
func TestPartialBatch(t *testing.T) {
	broken := errors.New("broken")
	f := stream()
	f.taking = func(h message.Header) error {
		if h.Number == 37 {
			return broken
		}
		return nil
	}
	for name, p := range map[string]workload.Plan{
		"saturate": {Count: 100, Saturate: true},
		"burst":    {Count: 100, Rate: 1e6, Arrival: workload.Burst, Burst: 64},
		"behind":   {Count: 100, Rate: 1e6},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, far := newSender(f, p)
			out := s.run(clock.Now())
			timed := int64(100) // messages that have a planned time
			if p.Saturate {
				timed = 37
			}
			if out.Sent != 37 || out.Due != 100 || s.count.Load() != 37 || sum(out.PerInterval) != timed || out.Error != "broken" || out.Scheduled != 100 || len(far.inbox) != 37 {
				t.Errorf("%+v, %d arrived", out, len(far.inbox))
			}
		})
	}
}

// A sender is stopped while it waits for the next message, and while its
// transport holds it up: neither is an error.
func TestStop(t *testing.T) {
	held := stream()
	held.taking = func(message.Header) error { return errHeld }
	for name, x := range map[string]struct {
		f    *fake
		plan workload.Plan
		sent int64
	}{
		"waiting": {datagrams(), workload.Plan{Count: 2, Rate: 0.001}, 1},
		"held up": {held, workload.Plan{Count: 2, Rate: 0.001}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, near, _ := newSender(x.f, x.plan)
			ended := make(chan struct{})
			var out SendReport
			go func() {
				defer close(ended)
				out = s.run(clock.Now())
			}()
			if x.sent > 0 {
				eventually(t, "the first message", func() bool { return s.count.Load() == x.sent })
			}
			s.stop()
			near.Close()
			within(t, "the sender", ended)
			if out.Sent != x.sent || out.Error != "" || out.Scheduled != 2 {
				t.Errorf("%+v", out)
			}
		})
	}
	// A connection that somebody else closes is one.
	s, near, _ := newSender(held, plan(1, 100))
	near.Close()
	if out := s.run(clock.Now()); out.Error != transport.ErrClosed.Error() {
		t.Errorf("%+v", out)
	}
}

// What a blocked transport leaves unsent stays due. What the user does not wait for is
// not: the plan then ends with the interrupt.
func TestDueOfABlockedTransport(t *testing.T) {
	for name, c := range map[string]struct {
		plan        workload.Plan
		interrupted bool
		due, sent   int64
		span        time.Duration
	}{
		"duration":    {plan: workload.Plan{Duration: 20 * time.Millisecond, Rate: 1000}, due: 20, sent: 5, span: 20 * time.Millisecond},
		"count":       {plan: workload.Plan{Count: 20, Rate: 1000}, due: 20, sent: 5, span: 20 * time.Millisecond},
		"both":        {plan: workload.Plan{Count: 20, Duration: time.Second, Rate: 1000}, due: 20, sent: 5, span: 20 * time.Millisecond},
		"burst":       {plan: workload.Plan{Count: 20, Rate: 1000, Arrival: workload.Burst, Burst: 10}, due: 20, sent: 5, span: 20 * time.Millisecond},
		"saturate":    {plan: workload.Plan{Count: 20, Saturate: true}, due: 20, sent: 5},
		"interrupted": {plan: workload.Plan{Count: 20000, Rate: 1000}, interrupted: true, due: -1, sent: 5},
	} {
		t.Run(name, func(t *testing.T) {
			f := stream()
			closed := make(chan struct{})
			f.taking = func(h message.Header) error {
				if h.Number == 5 {
					<-closed
					return transport.ErrClosed
				}
				return nil
			}
			s, _, _ := newSender(f, c.plan.WithDefaults())
			start := clock.Now()
			cut := int64(0)
			time.AfterFunc(50*time.Millisecond, func() {
				cut = clock.Now()
				if c.interrupted {
					s.interrupt(cut)
				}
				s.stop()
				close(closed)
			})
			out := s.run(start)
			if c.due < 0 { // as many as were planned by the interrupt
				c.due, c.span = (cut-start)/int64(time.Millisecond)+1, time.Duration(cut-start)
			}
			if out.Sent != c.sent || out.Due != c.due {
				t.Errorf("sent %d of %d due, want %d of %d", out.Sent, out.Due, c.sent, c.due)
			}
			if !c.plan.Saturate && (sum(out.PerInterval) != c.due || out.SpanNS != int64(c.span)) {
				t.Errorf("%d in intervals, %d ns long; want %d, %d", sum(out.PerInterval), out.SpanNS, c.due, int64(c.span))
			}
		})
	}
}
