package peer

import (
	"sync"
	"sync/atomic"

	"netcmp/clock"
	"netcmp/ledger"
	"netcmp/message"
	"netcmp/result"
	"netcmp/transport"
)

// receiveBatch is how many messages are taken from a connection at once.
const receiveBatch = 256

// receiver takes messages from a connection and enters them into a ledger, or
// answers them.
type receiver struct {
	conn    transport.Conn
	session uint64
	kind    message.Kind // the messages that count here
	// delta is added to this end's clock to give the sender's.
	delta int64
	start int64 // planned time of the first message, the sender's clock

	mu     sync.Mutex // over ledger
	ledger *ledger.Ledger

	delivered atomic.Int64
	foreign   atomic.Int64 // messages of another session, or of a kind that has no place here
	last      atomic.Int64 // when something last came, clock.Now's scale
	longest   atomic.Int64 // the longest delay so far, ns
	first     atomic.Int64 // from start to the first message, ns; 0 before it
	ended     chan struct{}
	err       error // why it ended; set before ended is closed
}

func newReceiver(conn transport.Conn, session uint64, kind message.Kind, delta int64, c ledger.Config) *receiver {
	r := &receiver{conn: conn, session: session, kind: kind, delta: delta, start: c.Start, ledger: ledger.New(c), ended: make(chan struct{})}
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
	r.mu.Lock()
	for i := range batch {
		m := &batch[i]
		h, err := message.Parse(m.Data)
		switch {
		case err != nil:
			r.ledger.Damaged(m.At+r.delta, len(m.Data))
		case h.Session != r.session || h.Kind != r.kind:
			r.foreign.Add(1)
		default:
			at := m.At + r.delta
			r.ledger.Arrive(h.Number, h.Planned, h.Sent, at, h.Length)
			if r.first.Load() == 0 {
				r.first.Store(max(at-r.start, 1))
			}
			if late := at - h.Planned; late > r.longest.Load() {
				r.longest.Store(late)
			}
		}
	}
	p := r.ledger.Delivered()
	r.mu.Unlock()
	r.delivered.Store(p)
	r.last.Store(batch[len(batch)-1].At)
}

func (r *receiver) progress() ledger.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ledger.Progress()
}

func (r *receiver) report(s ledger.Sent) result.Measured {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ledger.Report(s)
}

// echo answers every request that comes over conn with a message of the same
// number, size and times, until the connection ends.
func echo(conn transport.Conn, session uint64) error {
	batch := make([]transport.Message, batchMessages)
	replies := make([][]byte, 0, batchMessages)
	for {
		n, err := conn.Receive(batch)
		replies = replies[:0]
		for i := range batch[:n] {
			h, err := message.Parse(batch[i].Data)
			if err != nil || h.Session != session || h.Kind != message.Data {
				continue
			}
			h.Kind = message.Reply
			message.Seal(batch[i].Data, h)
			replies = append(replies, batch[i].Data)
		}
		if len(replies) > 0 {
			if _, err := conn.Send(replies); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
