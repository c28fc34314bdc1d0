package peer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"netcmp/clock"
	"netcmp/lateness"
	"netcmp/transport"
)

// session is one session of a server. Its requests come from one client, but
// at the same time.
type session struct {
	server    *Server
	id        string
	number    uint64
	spec      Spec
	transport transport.Transport
	listener  transport.Listener
	control   netip.Addr // the client's, as the control channel sees it
	log       zerolog.Logger
	opened    int64         // when
	done      chan struct{} // closed when the session begins to close
	gone      chan struct{} // closed when it has closed

	mu        sync.Mutex
	unwatched *time.Timer // closes a session that nobody watches
	watched   bool
	accepting bool           // accept was called, and has not failed
	conn      transport.Conn // nil before accept
	end       *end           // nil before start
	path      held           // what the session has had made of the way; nil for nothing
	closed    bool
	why       string // it ended before its time; "": the server closed, or its watcher left

	visitor transport.Conn // nil before visit
	visited chan struct{}  // closed when its connection is over
	// Of a connection that is taken when it comes:
	arrived chan struct{} // closed when it has, or will not; nil without one
	missed  error         // why it did not
	before  *counters     // as they stood before it
}

// awaitWatcher closes the session if nobody watches it in time.
func (x *session) awaitWatcher(patience time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unwatched = time.AfterFunc(patience, func() {
		x.mu.Lock()
		watched := x.watched
		x.mu.Unlock()
		if !watched {
			x.close()
		}
	})
}

// close ends the session, and returns when nothing of it is left.
func (x *session) close() {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		<-x.gone
		return
	}
	x.closed = true
	conn, e, visitor, arrived := x.conn, x.end, x.visitor, x.arrived
	x.unwatched.Stop()
	x.mu.Unlock()

	close(x.done)
	_ = x.listener.Close()
	if visitor != nil {
		_ = visitor.Close()
		<-x.visited
	}
	if arrived != nil {
		<-arrived
	}
	switch {
	case e != nil:
		e.close()
	case conn != nil:
		_ = conn.Close()
	}
	x.mend()
	x.mu.Lock()
	cut := x.why != ""
	x.mu.Unlock()
	moved := e.moved()
	x.server.count.closed(x.spec.Proto, moved, moved*int64(x.spec.Plan.Size), cut)
	x.log.Info().Int64("messages", moved).Msg("session closed")
	x.server.mu.Lock()
	delete(x.server.sessions, x.id)
	x.server.mu.Unlock()
	close(x.gone)
}

// running is the session's end; nil before start.
func (x *session) running() *end {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.end
}

// refuse answers a request that comes at the wrong time.
func refuse(w http.ResponseWriter, why string) {
	answerJSON(w, http.StatusConflict, failure{Error: why})
}

// watch tells how the session goes until it ends or the watcher leaves, which
// ends it.
func (x *session) watch(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	mine := !x.watched && !x.closed
	if mine {
		x.watched = true
		x.unwatched.Stop()
	}
	x.mu.Unlock()
	if !mine {
		refuse(w, "the session is watched already, or has ended")
		return
	}
	defer x.close()
	w.Header().Set("Content-Type", "application/jsonl")
	out := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	tick := time.NewTicker(x.server.watchTick)
	defer tick.Stop()
	reports := 0
	quiet := stillness{since: clock.Now()}
	for {
		var line watchLine
		if e := x.running(); e != nil {
			line = e.watchLine(reports%reportEvery == 0)
			reports++
		}
		line.Ended = x.cut(quiet.look(x.running(), clock.Now()))
		if lines.Encode(line) != nil || out.Flush() != nil || line.Ended != "" {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-x.done:
			return
		}
	}
}

// cut ends a session of which no message has moved for too long, or that has had more
// than a client may have, and says so; "" leaves it.
func (x *session) cut(still time.Duration) string {
	why := x.beyond(x.running().moved())
	if most := x.server.config.IdleTimeout; why == "" && most > 0 && still >= most {
		why = fmt.Sprintf("no message moved for %v (serve --idle-timeout)", most)
	}
	if why == "" {
		return ""
	}
	x.log.Warn().Str("why", why).Msg("session cut")
	why = "the server ended the session: " + why
	x.mu.Lock()
	x.why = why
	x.mu.Unlock()
	return why
}

// stillness is how long nothing has moved.
type stillness struct {
	moved int64 // messages until then, in either direction
	since int64
}

// look gives the stillness of an end, which is nil before its start, at an instant.
func (s *stillness) look(e *end, now int64) time.Duration {
	if n := e.moved(); n != s.moved {
		s.moved, s.since = n, now
	}
	return time.Duration(now - s.since)
}

// watchLine tells how the end does, in full or in short.
func (e *end) watchLine(full bool) watchLine {
	var line watchLine
	if e.sender != nil {
		line.Sent = e.sender.count.Load()
	}
	if e.receiver != nil {
		line.Progress = e.receiver.progress()
	}
	if full {
		line.Report = e.report(nil, false)
	}
	return line
}

// accept takes the client's connection.
func (x *session) accept(w http.ResponseWriter, r *http.Request) {
	conn := x.take(w, r)
	if conn == nil {
		return
	}
	at := clock.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		_ = conn.Close()
		refuse(w, "the session has ended")
		return
	}
	x.conn = conn
	x.log.Info().Msg("connection accepted")
	answerJSON(w, http.StatusOK, accepted{AtNS: at})
}

// take waits for the connection that a request tells of. It refuses the request,
// and gives nil, if none is to come or none comes.
func (x *session) take(w http.ResponseWriter, r *http.Request) transport.Conn {
	var o acceptOrder
	if !order(w, r, &o) {
		return nil
	}
	x.mu.Lock()
	mine := !x.accepting && !x.closed
	x.accepting = x.accepting || mine
	x.mu.Unlock()
	if !mine {
		refuse(w, "the session has its connection, or has ended")
		return nil
	}
	if x.server.config.Sole {
		collect()
	}
	from := x.clientAt(o.Client)
	// A handshake's last segment that is lost comes again, but not soon.
	ctx, cancel := context.WithTimeout(r.Context(), x.spec.Patience)
	defer cancel()
	conn, err := x.listener.Accept(ctx, from)
	if err != nil {
		x.mu.Lock()
		x.accepting = false
		x.mu.Unlock()
		answerJSON(w, http.StatusGatewayTimeout, failure{Error: fmt.Sprintf("the client's connection from %v did not come: %v", from, err)})
		return nil
	}
	return conn
}

// clientAt is the address that the client's connection comes from. What the client
// says of itself counts in the lab alone: between machines nothing is ever sent to
// anybody but the address that the control channel comes from, and to a port of it
// that something has come from.
func (x *session) clientAt(said netip.AddrPort) netip.AddrPort {
	if x.control.IsValid() {
		return netip.AddrPortFrom(x.control.Unmap(), 0)
	}
	return said
}

// start starts this end.
func (x *session) start(w http.ResponseWriter, r *http.Request) {
	var o startOrder
	if !order(w, r, &o) {
		return
	}
	x.mu.Lock()
	arrived := x.arrived
	x.mu.Unlock()
	if arrived != nil {
		<-arrived // within the session's patience
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		refuse(w, "the session has ended")
	case x.missed != nil:
		answerJSON(w, http.StatusGatewayTimeout, failure{Error: fmt.Sprintf("the client's connection did not come: %v", x.missed)})
	case x.conn == nil:
		refuse(w, "the session has no connection yet")
	case x.end != nil:
		refuse(w, "the session was started before")
	default:
		x.end = newEnd(endConfig{
			spec: x.spec, properties: x.transport.Properties(), conn: x.conn, session: x.number,
			private: x.server.config.Private, start: o.StartNS, ahead: -o.OffsetNS,
			watch: lateness.Start(x.spec.sampled()), records: x.server.config.Records,
		})
		if x.before != nil {
			x.end.before = *x.before
		}
		x.end.run()
		x.log.Info().Msg("session started")
		answerJSON(w, http.StatusOK, struct{}{})
	}
}

// offset hears how the clocks stand to each other by now.
func (x *session) offset(w http.ResponseWriter, r *http.Request) {
	var o offsetOrder
	if !order(w, r, &o) {
		return
	}
	if e := x.running(); e != nil {
		e.apart(-o.OffsetNS)
	}
	answerJSON(w, http.StatusOK, struct{}{})
}

// stop ends this end's sending before its time, and soon its waiting, too.
func (x *session) stop(w http.ResponseWriter, r *http.Request) {
	var o stopOrder
	if !order(w, r, &o) {
		return
	}
	if e := x.running(); e != nil {
		e.interrupt(clock.Now())
		e.hurry(time.Duration(o.WithinNS))
	}
	answerJSON(w, http.StatusOK, struct{}{})
}

// finish waits until this end has sent its last and the client's messages are
// all there or lost, and tells what became of them.
func (x *session) finish(w http.ResponseWriter, r *http.Request) {
	var o finishOrder
	if !order(w, r, &o) {
		return
	}
	e := x.running()
	if e == nil {
		refuse(w, "the session was not started")
		return
	}
	left := r.Context().Done()
	e.awaitSent(left)
	var gaveUp int64
	var waited time.Duration
	if o.Sent != nil && x.spec.Pattern == Stream {
		gaveUp, waited = e.drain(o.Sent.Sent-o.Failed, o.PathTells, left)
	}
	report := e.report(&EndReport{Sent: o.Sent}, true)
	report.GaveUp, report.Waited = gaveUp, waited
	select {
	case <-x.done:
		x.mu.Lock()
		report.Error = cmp.Or(x.why, "the server ended the session")
		x.mu.Unlock()
	default:
	}
	answerJSON(w, http.StatusOK, report)
}
