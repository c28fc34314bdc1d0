package peer

import (
	"errors"
	"time"

	"netcmp/clock"
	"netcmp/ledger"
	"netcmp/message"
	"netcmp/transport"
)

// end is one end of a running session: a sender, a receiver, or both on one
// connection, or what answers requests.
type end struct {
	spec     Spec
	reliable bool
	private  bool
	conn     transport.Conn
	sender   *sender
	receiver *receiver
	echoing  chan struct{} // closed when the echo has ended; nil without one

	before  counters
	sent    chan struct{} // closed when the sender has ended; nil without one
	sentOut SendReport    // what it told; valid then
}

// newEnd sets an end up on its connection. start is the instant from which
// messages are due, in this end's clock; ahead is how far the other end's
// clock is ahead of this one's.
func newEnd(spec Spec, p transport.Properties, conn transport.Conn, session uint64, client, private bool, start, ahead int64) *end {
	e := &end{spec: spec, reliable: p.Reliable, private: private, conn: conn, before: readCounters(private)}
	asks := spec.Pattern == RequestResponse
	if spec.sends(client) {
		e.sender = &sender{conn: conn, plan: spec.Plan, session: session, interval: spec.Interval}
		e.sent = make(chan struct{})
	}
	receives := spec.sends(!client)
	if asks {
		receives = client
	}
	if receives {
		kind, begins := message.Data, start+ahead
		if asks {
			kind, ahead, begins = message.Reply, 0, start
		}
		c := ledger.Config{Start: begins, Ordered: p.Ordered, Deadlines: spec.Deadlines, Interval: spec.Interval}
		if n := spec.Plan.Expected(); n > 0 {
			c.MaxNumber = uint64(n)
		}
		e.receiver = newReceiver(conn, session, kind, ahead, c)
	} else if asks {
		e.echoing = make(chan struct{})
	}
	return e
}

// run starts the end's goroutines. They end with the connection.
func (e *end) run(session uint64, start int64) {
	if e.receiver != nil {
		go e.receiver.run()
	}
	if e.echoing != nil {
		go func() {
			defer close(e.echoing)
			_ = echo(e.conn, session) // its failure is the connection's, which the client sees
		}()
	}
	if e.sender != nil {
		go func() {
			defer close(e.sent)
			e.sentOut = e.sender.run(start)
		}()
	}
}

// stop ends sending before its time.
func (e *end) stop() {
	if e.sender != nil {
		e.sender.stop()
	}
}

// drain waits for what was sent and may still come: until all of it is there,
// or the connection ends, or nothing has come for so long that the rest is
// lost. It says how many messages of a reliable transport it gave up on.
func (e *end) drain(count int64, cancelled <-chan struct{}) (gaveUp int64, waited time.Duration) {
	if e.receiver == nil {
		return 0, 0
	}
	begun := clock.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for e.receiver.delivered.Load() < count {
		silence := time.Duration(clock.Now() - max(e.receiver.last.Load(), begun))
		patience := e.spec.Patience
		if !e.reliable {
			// What takes much longer than anything did before is lost.
			patience = max(e.spec.Quiet, 3*time.Duration(e.receiver.longest.Load()))
		}
		if silence > patience {
			break
		}
		select {
		case <-tick.C:
			continue
		case <-e.receiver.ended:
		case <-cancelled:
		}
		break
	}
	waited = time.Duration(clock.Now() - begun)
	if e.reliable {
		gaveUp = max(count-e.receiver.delivered.Load(), 0)
	}
	return gaveUp, waited
}

// report tells what the end knows. other is what the other end sent; nil while
// that is not known: then what came is taken for what was sent.
func (e *end) report(other *SendReport) *EndReport {
	used := readCounters(e.private).since(e.before)
	r := &EndReport{CPUNS: used.cpu, Stats: e.conn.Stats()}
	if e.sender != nil {
		select {
		case <-e.sent:
			s := e.sentOut
			r.Sent = &s
		default:
			n := e.sender.count.Load()
			r.Sent = &SendReport{Scheduled: max(e.spec.Plan.Expected(), n), Sent: n}
		}
	}
	if e.receiver != nil {
		s := ledger.Sent{HostDiscarded: used.damaged}
		if e.spec.Pattern == RequestResponse {
			other = r.Sent
		}
		if other != nil {
			s.Scheduled, s.Sent, s.PerInterval = other.Scheduled, other.Sent, other.PerInterval
		} else {
			s.Sent = e.receiver.progress().Highest + 1
			s.Scheduled = max(e.spec.Plan.Expected(), s.Sent)
		}
		if e.reliable {
			s.HostDiscarded = 0 // the transport sent them again
		}
		m := e.receiver.report(s)
		r.Received = &m
		r.Foreign = e.receiver.foreign.Load()
		if first := e.receiver.first.Load(); first > 0 {
			r.FirstNS = &first
		}
		select {
		case <-e.receiver.ended:
			if err := e.receiver.err; !errors.Is(err, transport.ErrClosed) && !errors.Is(err, transport.ErrPeerGone) {
				r.Error = err.Error()
			}
		default:
		}
	}
	if d := r.Stats.ReceiverDropped; d != nil {
		n := max(*d-used.checksums, 0)
		r.ReceiverDropped = &n
	}
	return r
}

// close ends the connection and waits for the end's goroutines.
func (e *end) close() {
	e.stop()
	_ = e.conn.Close()
	if e.sent != nil {
		<-e.sent
	}
	if e.receiver != nil {
		<-e.receiver.ended
	}
	if e.echoing != nil {
		<-e.echoing
	}
}
