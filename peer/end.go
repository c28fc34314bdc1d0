package peer

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"netcmp/clock"
	"netcmp/lateness"
	"netcmp/ledger"
	"netcmp/message"
	"netcmp/records"
	"netcmp/transport"
)

// endConfig is what an end of a session is made from.
type endConfig struct {
	spec       Spec
	properties transport.Properties
	conn       transport.Conn
	session    uint64
	client     bool  // which end it is
	private    bool  // see ServerConfig
	start      int64 // when messages are due from, this end's clock
	ahead      int64 // how far the other end's clock is ahead of this one's
	// watch samples how late this process is run, and is the end's to close; nil: it
	// is not measured.
	watch   *lateness.Watch
	records records.Files // of this end; without, none are kept
}

// end is one end of a running session: a sender, a receiver, or both on one
// connection, or what answers requests. Each of them is a goroutine; the
// methods may be called from any.
type end struct {
	endConfig
	sender   *sender
	turns    *turns // of the sender, where it waits for each answer; or nil
	receiver *receiver
	echo     *echo
	before   counters

	sent    chan struct{} // closed when the sender has ended; nil without one
	sentOut SendReport    // what it told; valid then
	guarded chan struct{} // closed when the sender's guard has ended; nil without one

	settle1  sync.Once
	empty    chan struct{} // closed when the path to this end is empty: see settled
	expected int64         // valid then

	// late ends the end's patience: see hurry.
	late  context.Context
	lapse context.CancelFunc
}

// newEnd sets an end up on its connection.
func newEnd(c endConfig) *end {
	e := &end{endConfig: c, before: readCounters(c.private), empty: make(chan struct{})}
	e.late, e.lapse = context.WithCancel(context.Background())
	asks := c.spec.Pattern == RequestResponse
	if c.spec.sends(c.client) {
		e.sender = &sender{conn: c.conn, plan: c.spec.Plan, session: c.session, interval: c.spec.Interval, single: c.spec.NoBatch, flow: c.properties.Handshake, records: records.NewWriter(c.records.Sent)}
		e.sent, e.guarded = make(chan struct{}), make(chan struct{})
	}
	switch {
	case asks && c.client:
		e.receiver = e.newReceiver(message.Reply, 0) // replies carry the times of their requests
		if c.spec.Plan.Saturate {
			e.turns = newTurns(e.sender, e.spec.answerPatience(c.properties))
			e.receiver.answered = e.turns.answered
		}
	case asks:
		e.echo = newEcho(c.conn, c.session, e.numbers())
	case c.spec.sends(!c.client):
		e.receiver = e.newReceiver(message.Data, c.ahead)
	}
	return e
}

// collect has the garbage of a session's beginning collected before its messages are
// due, and not in the midst of the first of them: a collection has a processor for
// milliseconds. What is made later, ledgers above all, leads to none within some seconds.
func collect() { runtime.GC() }

// numbers is how many numbers a ledger of this session has to know; 0 if that
// cannot be told.
func (e *end) numbers() uint64 { return uint64(max(e.spec.Plan.Expected(), 0)) }

// newReceiver makes a receiver of messages whose times are of a clock that is
// so far ahead of this end's.
func (e *end) newReceiver(kind message.Kind, ahead int64) *receiver {
	c := ledger.Config{
		Start: e.start + ahead, Ordered: e.properties.Ordered,
		Deadlines: e.spec.Deadlines, Interval: e.spec.Interval, Messages: e.spec.Messages,
	}
	c.MaxNumber = e.numbers()
	r := newReceiver(e.conn, e.session, kind, ahead, c)
	r.records = records.NewWriter(e.records.Received)
	return r
}

// run starts the end's goroutines. They end with the connection.
func (e *end) run() {
	if e.receiver != nil {
		go e.receiver.run()
	}
	if e.echo != nil {
		go e.echo.run()
	}
	if e.sender != nil {
		go func() {
			defer close(e.sent)
			if e.turns != nil {
				e.sentOut = e.turns.run(e.start)
				return
			}
			e.sentOut = e.sender.run(e.start)
		}()
		go e.guard()
	}
}

// guard wakes a sender that its transport holds up when the end's patience
// ends, or its own with that transport: it loses the connection. Close may linger for
// what was sent before, the sender ends at once.
func (e *end) guard() {
	defer close(e.guarded)
	tick := time.NewTicker(min(max(e.spec.Patience/30, time.Millisecond), time.Second))
	defer tick.Stop()
	for !e.stuck() {
		select {
		case <-e.sent:
			return
		case <-e.late.Done():
			e.stop()
			_ = e.conn.Close()
			return
		case <-tick.C:
		}
	}
	e.sender.stuck.Store(true)
	_ = e.conn.Close()
}

// stuck says that a sender that should have been done is held up, and has been for
// longer than a reliable transport may be silent: as one whose other end is gone
// without a word is, once the buffers are full. While messages are still to become due
// it is left alone: a path that is cut may come back.
func (e *end) stuck() bool {
	since := e.sender.handing.Load()
	if since == 0 {
		return false
	}
	since = max(since, e.start+int64(total(e.spec.Plan)))
	return clock.Now()-since > int64(e.spec.Patience)
}

// moved is how many messages have gone out or come in so far; of an end that there
// is not yet none have.
func (e *end) moved() (n int64) {
	if e == nil {
		return 0
	}
	if e.sender != nil {
		n += e.sender.count.Load()
	}
	if e.receiver != nil {
		n += e.receiver.delivered.Load()
	}
	if e.echo != nil {
		n += e.echo.answered.Load()
	}
	return n
}

// interrupt ends sending for the user: what was planned for later than now is not due.
func (e *end) interrupt(now int64) {
	if e.sender != nil {
		e.sender.interrupt(now)
	}
}

// stop ends sending before its time. What the plan still has stays due.
func (e *end) stop() {
	if e.sender != nil {
		e.sender.stop()
	}
}

// hurry ends the end's patience after so long: it then waits neither for
// messages to come nor for a transport to take any.
func (e *end) hurry(within time.Duration) {
	timer := time.AfterFunc(within, e.lapse)
	context.AfterFunc(e.late, func() { timer.Stop() })
}

// awaitSent waits until the sender, if there is one, has ended.
func (e *end) awaitSent(cancelled <-chan struct{}) {
	if e.sent == nil {
		return
	}
	select {
	case <-e.sent:
	case <-cancelled:
	}
}

// settle waits until a transport with a connection a message has made those that it
// has begun, and says how many it could not make.
func (e *end) settle(cancelled <-chan struct{}) (failed int64) {
	if t, ok := e.conn.(interface {
		Settle(cancelled <-chan struct{}) int64
	}); ok {
		return t.Settle(cancelled)
	}
	return 0
}

// apart says how far the other end's clock is ahead of this one's by now: what comes
// from here on is counted by that.
func (e *end) apart(ahead int64) {
	if e.receiver != nil && e.receiver.kind == message.Data {
		e.receiver.delta.Store(ahead)
	}
}

// drainTick is how often drain looks whether all is there.
const drainTick = 2 * time.Millisecond

// patience is how long a silence may last before what is missing counts as
// lost. Of datagrams that is what takes much longer than anything did before,
// and a reliable transport's patience is enough for them, too.
func (e *end) patience() time.Duration {
	if e.properties.Reliable {
		return e.spec.Patience
	}
	longest := time.Duration(e.receiver.longest.Load())
	return max(e.spec.Quiet, min(3*longest, e.spec.Patience))
}

// report tells what the end knows. other is what is known of the other end,
// nil for nothing. Unless that is final, what came is taken for sent, whoever
// has not yet told so.
func (e *end) report(other *EndReport, final bool) *EndReport {
	if other == nil {
		other, final = &EndReport{}, false
	}
	used := readCounters(e.private).since(e.before)
	if e.properties.Reliable {
		used.damaged = 0 // the transport sent them again
	}
	r := &EndReport{CPUNS: used.cpu, Stats: e.conn.Stats(), Sent: e.sendReport()}
	if final {
		r.Records = e.flush()
	}
	if e.watch != nil {
		r.LateNS = e.watch.Tail(e.start)
	}
	if d := r.Stats.ReceiverDropped; d != nil {
		n := *d
		if e.private {
			// A wrong checksum may be among the socket's drops or not: it is, where the
			// socket was waited for (first_packet_length in net/ipv4/udp.c), and is not,
			// where it was read from (udp_recvmsg).
			n += used.overflowed - r.Stats.SocketDrops
		}
		n = max(n, 0)
		r.ReceiverDropped = &n
	}
	if e.echo != nil {
		r.ReadLateNS = e.echo.late.tail()
		r.Foreign = e.echo.foreign.Load()
		r.Requests = new(e.echo.requests.Load())
		r.Discarded = e.echo.damaged.Load() + max(used.damaged, 0)
		if err := e.echo.failure(); err != nil && !errors.Is(err, transport.ErrPeerGone) {
			r.Error = err.Error()
		}
	}
	if e.receiver != nil {
		e.received(r, other, used, final)
	}
	return r
}

// sendReport is the sender's own, or what is known of it while it runs; nil
// without one.
func (e *end) sendReport() *SendReport {
	if e.sender == nil {
		return nil
	}
	select {
	case <-e.sent:
		s := e.sentOut
		return &s
	default:
		n := e.sender.count.Load()
		return &SendReport{Scheduled: max(e.spec.Plan.Expected(), n), Due: n, Sent: n}
	}
}

// received adds the receiver's part to a report.
func (e *end) received(r, other *EndReport, used counters, final bool) {
	from := other.Sent
	if e.spec.Pattern == RequestResponse {
		from = r.Sent
	}
	s := ledger.Sent{HostDiscarded: max(used.damaged, 0) + other.Discarded, Scheduled: e.spec.Plan.Expected()}
	if from != nil {
		s = from.account(s.HostDiscarded)
	}
	final = final && from != nil
	m := e.receiver.report(s, final)
	if !final {
		m.Messages = nil // a report on the way is to be short
	}
	if r.Sent != nil && r.Sent == from {
		r.Sent.raise(m.Delivery.Sent)
	}
	r.Received = &m
	if n := r.Stats.TrainsDropped; n > 0 && r.ReceiverDropped != nil {
		after := max(m.Delivery.Sent-e.receiver.progress().Highest-1, 0)
		*r.ReceiverDropped += min(after, n*transport.TrainMax)
	}
	r.ReadLateNS = e.receiver.late.tail()
	r.Foreign = e.receiver.foreign.Load()
	if first := e.receiver.first.Load(); first > 0 {
		r.FirstNS = &first
	}
	if err := e.receiver.failure(); err != nil {
		// That the other end closes is no failure, unless it took messages of
		// a reliable transport with it.
		broken := e.properties.Reliable && from != nil && e.receiver.delivered.Load() < from.Sent
		if broken || !errors.Is(err, transport.ErrPeerGone) {
			r.Error = err.Error()
		}
	}
}

// flush writes what is left of the end's records, and returns what kept it from that.
func (e *end) flush() string {
	var err error
	if e.sender != nil {
		err = e.sender.records.Flush()
	}
	if e.receiver != nil {
		err = errors.Join(err, e.receiver.records.Flush())
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// close ends the connection and waits for the end's goroutines.
func (e *end) close() {
	e.interrupt(clock.Now())
	e.lapse()
	_ = e.conn.Close()
	if e.sent != nil {
		<-e.sent
		<-e.guarded
	}
	if e.receiver != nil {
		<-e.receiver.ended
	}
	if e.echo != nil {
		<-e.echo.ended
	}
	_ = e.flush()
	if e.watch != nil {
		e.watch.Close()
	}
}
