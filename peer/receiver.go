package peer

import (
	"errors"
	"sync"
	"sync/atomic"

	"netcmp/clock"
	"netcmp/ledger"
	"netcmp/message"
	"netcmp/records"
	"netcmp/result"
	"netcmp/transport"
)

// receiveBatch is how many messages are taken from a connection at once.
const receiveBatch = 256

// receiver takes messages from a connection and enters them into a ledger. One
// goroutine runs it; the other methods may be called from any.
type receiver struct {
	conn    transport.Conn
	session uint64
	kind    message.Kind // the messages that count here
	// delta is added to this end's clock to give the sender's.
	delta atomic.Int64
	start int64 // planned time of the first message, the sender's clock

	answered func(number uint64) // told of the last message of each batch; may be nil

	late readLate
	// records are of first copies; nil: none are kept.
	records *records.Writer
	mu      sync.Mutex // over ledger
	ledger  *ledger.Ledger

	delivered atomic.Int64
	foreign   atomic.Int64 // messages of another session, or of a kind that has no place here
	last      atomic.Int64 // when something of ours last came, clock.Now's scale
	longest   atomic.Int64 // the longest time under way so far, ns
	first     atomic.Int64 // from start to the first message, ns; 0 before it
	ended     chan struct{}
	err       error // why it ended; set before ended is closed
}

func newReceiver(conn transport.Conn, session uint64, kind message.Kind, delta int64, c ledger.Config) *receiver {
	r := &receiver{conn: conn, session: session, kind: kind, start: c.Start, ledger: ledger.New(c), late: newReadLate(), ended: make(chan struct{})}
	r.delta.Store(delta)
	r.last.Store(clock.Now())
	return r
}

// run receives until the connection ends.
func (r *receiver) run() {
	defer close(r.ended)
	batch := make([]transport.Message, receiveBatch)
	for {
		n, err := r.conn.Receive(batch)
		if n > 0 {
			r.enter(batch[:n])
		}
		if err != nil {
			r.err = err
			return
		}
	}
}

func (r *receiver) enter(batch []transport.Message) {
	r.late.add(batch)
	// What others read is written once a batch: a write that all processors have to
	// see takes as long as the rest of a message's account.
	var foreign, last int64
	longest, first, delta := r.longest.Load(), r.first.Load(), r.delta.Load()
	latest, came := uint64(0), false
	r.mu.Lock()
	for i := range batch {
		m := &batch[i]
		at := m.At + delta
		h, err := message.Parse(m.Data)
		switch {
		case err != nil:
			r.ledger.Damaged(at, len(m.Data))
		case h.Session != r.session || h.Kind != r.kind:
			if h.Kind != message.Hello || h.Session != r.session {
				foreign++
			}
			continue
		default:
			latest, came = h.Number, true
			before := r.ledger.Delivered()
			r.ledger.Arrive(h.Number, h.Planned, h.Sent, at, h.Length)
			if r.records != nil && r.ledger.Delivered() > before {
				received := int64(records.Unknown)
				if m.Stamped != 0 {
					received = m.Stamped + delta - r.start
				}
				r.records.Received(h.Number, at-r.start, received)
			}
			if first == 0 && r.ledger.Delivered() > 0 {
				first = max(at-r.start, 1)
			}
			longest = max(longest, at-h.Sent)
		}
		last = m.At
	}
	delivered := r.ledger.Delivered()
	r.mu.Unlock()
	if last != 0 {
		r.last.Store(last)
	}
	r.longest.Store(longest)
	r.first.Store(first)
	r.delivered.Store(delivered)
	r.foreign.Add(foreign)
	if came && r.answered != nil {
		r.answered(latest)
	}
}

func (r *receiver) progress() ledger.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ledger.Progress()
}

// report draws up the account of what was sent. If that is not final, numbers
// up to the highest that came were sent, too.
func (r *receiver) report(s ledger.Sent, final bool) result.Measured {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !final {
		s.Sent = max(s.Sent, r.ledger.Progress().Highest+1)
		s.Due = max(s.Due, s.Sent)
		s.Scheduled = max(s.Scheduled, s.Sent)
	}
	return r.ledger.Report(s)
}

// failure is why the receiver has ended, unless it has not, or this end closed
// the connection.
func (r *receiver) failure() error { return endedBy(r.ended, &r.err) }

// endedBy gives *err once ended is closed, unless it says no more than that this
// end closed the connection.
func endedBy(ended <-chan struct{}, err *error) error {
	select {
	case <-ended:
		if !errors.Is(*err, transport.ErrClosed) {
			return *err
		}
	default:
	}
	return nil
}
