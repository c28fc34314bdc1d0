package peer

import (
	"sync/atomic"

	"netcmp/ledger"
	"netcmp/message"
	"netcmp/transport"
)

// echo answers every request that comes over a connection with a message of
// the same number, size and times: once, so that each lost reply is one lost
// message, however many copies of the request came. One goroutine runs it; the
// other methods may be called from any.
type echo struct {
	conn    transport.Conn
	session uint64
	seen    ledger.Numbers // of the requests

	requests atomic.Int64 // that came, each counted once
	answered atomic.Int64

	late    readLate
	damaged atomic.Int64
	foreign atomic.Int64
	ended   chan struct{}
	err     error // why it ended; set before ended is closed
}

func newEcho(conn transport.Conn, session uint64, numbers uint64) *echo {
	return &echo{
		conn: conn, session: session, seen: ledger.NewNumbers(numbers), late: newReadLate(), ended: make(chan struct{}),
	}
}

// run answers until the connection ends.
func (e *echo) run() {
	defer close(e.ended)
	batch := make([]transport.Message, batchMessages)
	replies := make([][]byte, 0, batchMessages)
	for e.err == nil {
		n, err := e.conn.Receive(batch)
		replies = e.answer(batch[:n], replies[:0])
		if n > 0 {
			e.late.add(batch[:n])
		}
		if len(replies) > 0 {
			_, e.err = e.conn.Send(replies)
			e.answered.Add(int64(len(replies)))
		}
		if err != nil {
			e.err = err
		}
	}
}

// answer makes the requests of batch replies in their place.
func (e *echo) answer(batch []transport.Message, replies [][]byte) [][]byte {
	for i := range batch {
		h, err := message.Parse(batch[i].Data)
		switch {
		case err != nil:
			e.damaged.Add(1)
		case h.Session == e.session && h.Kind == message.Hello:
		case h.Session != e.session || h.Kind != message.Data:
			e.foreign.Add(1)
		case !e.seen.Add(h.Number):
		default:
			e.requests.Add(1)
			h.Kind = message.Reply
			message.Seal(batch[i].Data, h)
			replies = append(replies, batch[i].Data)
		}
	}
	return replies
}

// failure is why the echo has ended, unless it has not, or this end closed the
// connection.
func (e *echo) failure() error { return endedBy(e.ended, &e.err) }
