package peer

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netcmp/clock"
	"netcmp/lateness"
	"netcmp/ledger"
	"netcmp/message"
	"netcmp/pacer"
	"netcmp/records"
	"netcmp/result"
	"netcmp/transport"
	"netcmp/workload"
)

const (
	batchMessages = 256     // at most so many are handed over together
	batchBytes    = 1 << 18 // and so many bytes, if they are more than one
	// blockedAfter tells a transport that did not take messages from a
	// sender that was late: a hand-over that lasts longer.
	blockedAfter = int64(time.Millisecond)
	// leastOvertime and mostOvertime bound the overtime of a plan with a duration: a
	// sender that has fallen behind goes on for as long again. So a transport that
	// carries half of the plan still delivers its first half, and the median is known.
	leastOvertime, mostOvertime = time.Second, 30 * time.Second
)

// sender hands the messages of a plan to a connection, each at its time,
// whatever became of the ones before. One goroutine runs it; others read count
// and may call stop.
type sender struct {
	conn     transport.Conn
	plan     workload.Plan
	session  uint64
	interval time.Duration
	// flow says that the transport controls its flow and may hold a hand-over
	// up; of one that does not, a long hand-over is the machine's lateness.
	flow    bool
	records *records.Writer // nil: none are kept
	// single has each message handed over by itself.
	single bool

	count   atomic.Int64 // messages sent so far
	handing atomic.Int64 // when the hand-over began that the transport has not taken yet; 0: there is none
	stopped atomic.Bool
	stuck   atomic.Bool  // the transport has taken nothing for longer than it may
	cut     atomic.Int64 // when the user interrupted the run; 0: not
}

// errStuck is what ends a sender whose transport takes nothing any more.
var errStuck = errors.New("nothing more could be sent: the other end, or what lies between, has stopped taking anything (--stall-timeout)")

func (s *sender) stop() { s.stopped.Store(true) }

// interrupt stops the sender for the user, at an instant: messages planned for later
// are not due. Only the first call counts.
func (s *sender) interrupt(now int64) {
	s.cut.CompareAndSwap(0, now)
	s.stop()
}

// run sends from the instant start on. It returns when the last message was
// handed over, or at stop, or when the connection fails.
func (s *sender) run(start int64) SendReport {
	w := pacer.New()
	if s.plan.Saturate {
		// After its start it waits for the transport alone; a goroutine that is
		// locked to its thread costs a change of threads with each of those waits.
		w.Until(start, nil, s.stopped.Load)
		w.Close()
	} else {
		defer w.Close()
	}
	var (
		schedule = workload.NewSchedule(s.plan)
		perSlot  = ledger.NewDueCount(start, s.interval)
		pacing   = hdrhistogram.New(1, int64(time.Hour), 3)
		out      SendReport
		end      = int64(0)
		free     = int64(0) // when the last hand-over that was held up ended
		interval = int64(float64(time.Second) / s.plan.Rate)
		last     = time.Duration(0) // offset of the last message seen of the schedule
	)
	switch {
	case s.plan.Duration == 0:
	case s.plan.Saturate:
		end = start + int64(s.plan.Duration)
	default:
		// A rate that is beyond the machine or the path ends in bounded time all the
		// same; what is left then was due and is unsent.
		end = start + int64(s.plan.Duration+min(max(s.plan.Duration, leastOvertime), mostOvertime))
	}
	most := min(max(batchBytes/s.plan.Size, 1), batchMessages)
	if !s.plan.Saturate && s.plan.Arrival != workload.Burst {
		most = min(most, 16) // a paced sender that has fallen behind catches up in small steps
	}
	if s.single {
		most = 1
	}
	arena := make([]byte, most*s.plan.Size)
	message.Fill(arena, s.session)
	batch := make([][]byte, most)
	due := make([]int64, most)
	for i := range batch {
		batch[i] = arena[i*s.plan.Size : (i+1)*s.plan.Size]
	}
	prepared := message.Prepare(batch)

	next, more := schedule.Next()
	var untaken []int64 // planned times of the last batch that the transport did not take
	for more && !s.stopped.Load() {
		at := start + int64(next.Offset)
		now := clock.Now()
		if now < at {
			if now = w.Until(at, nil, s.stopped.Load); now < at {
				break
			}
		}
		if end > 0 && now >= end {
			break
		}
		n := 0
		for n < most && more && start+int64(next.Offset) <= now {
			due[n] = start + int64(next.Offset)
			if s.plan.Saturate {
				due[n] = now
			}
			last = next.Offset
			prepared[n].Seal(message.Header{Session: s.session, Number: next.Number, Planned: due[n], Sent: now})
			n++
			next, more = schedule.Next()
		}
		before := clock.Now()
		s.handing.Store(before)
		taken, err := s.conn.Send(batch[:n])
		s.handing.Store(0)
		for _, d := range due[:taken] {
			perSlot.Add(d)
			if s.plan.Saturate {
				continue
			}
			// Whatever fell due while the transport took nothing is late on its
			// account, however many hand-overs it takes to catch up.
			if d < free {
				out.BlockedSends++
				continue
			}
			_ = pacing.RecordValue(min(max(before-d, 1), int64(time.Hour)))
			if before-d >= interval {
				out.OverdueSends++
			}
		}
		out.Sent += int64(taken)
		s.count.Store(out.Sent)
		s.records.Sent(now-start, taken)
		if err != nil {
			untaken = due[taken:n]
			switch {
			case s.stuck.Load():
				out.Error = errStuck.Error()
			case !s.stopped.Load() || !errors.Is(err, transport.ErrClosed):
				out.Error = err.Error()
			}
			break
		}
		if after := clock.Now(); s.flow && after-before > blockedAfter {
			free = after
		}
	}
	out.SpunNS = w.Spun()
	out.Due, out.Scheduled = out.Sent, out.Sent
	cut := s.cut.Load()
	if s.plan.Saturate {
		// Its messages are due when the transport takes them; a plan that counts them
		// wants all of these.
		out.SpanNS = saturated(s.plan, clock.Now()-start, cut-start)
		if n := s.plan.Expected(); n >= 0 {
			out.Scheduled = n
			if cut == 0 {
				out.Due = n
			}
		}
	} else {
		// The rest of the plan was due, too, unless the user did not wait for it.
		for _, at := range untaken {
			perSlot.Add(at)
			out.Due++
		}
		for ; more; next, more = schedule.Next() {
			at := start + int64(next.Offset)
			if cut != 0 && at > cut {
				break
			}
			perSlot.Add(at)
			out.Due++
			last = next.Offset
		}
		out.Scheduled = max(s.plan.Expected(), out.Due)
		out.SpanNS = int64(s.plan.Span(out.Due, last))
		if cut != 0 {
			out.SpanNS = min(out.SpanNS, max(cut-start, 0))
		}
	}
	out.PerInterval = perSlot.PerInterval()
	if pacing.TotalCount() > 0 {
		out.PacingErrorNS = &result.Quantiles{
			P50: pacing.ValueAtQuantile(50), P99: pacing.ValueAtQuantile(99), Max: pacing.Max(),
		}
		out.PacingErrorMeanNS = new(int64(pacing.Mean()))
		out.PacingLateNS = lateness.TailOf(pacing)
	}
	return out
}

// saturated returns the length of a plan without a pace that has taken so long, both in
// ns: its duration, unless its count ended it before, or the user did at the instant
// cut. A cut of 0 or less is none.
func saturated(p workload.Plan, taken, cut int64) int64 {
	span := taken
	if p.Duration > 0 && (p.Count == 0 || taken >= int64(p.Duration)) {
		span = int64(p.Duration)
	}
	if cut > 0 {
		span = min(span, cut)
	}
	return max(span, 0)
}
