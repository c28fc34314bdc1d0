package peer

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"netcmp/transport"
	"netcmp/transport/secure"
)

// To resume a session there has to be one. So a visit goes before the connection
// that is measured: a connection that brings a ticket home and no message. It is
// over at both ends before the other begins, and is in nobody's account.

// visitLinger is how long the server waits for the end of a visit whose client
// says that it is over: its last packet may be lost.
const visitLinger = 2 * time.Second

// rehearse gets a ticket into sessions, and has all made ready for the connection
// that is measured.
func (r *run) rehearse(ctx context.Context, t transport.Transport, asked transport.Config, sessions *secure.Sessions) error {
	if err := r.visit(ctx, t, asked, sessions); err != nil {
		return fmt.Errorf("the connection before, for a ticket: %w", err)
	}
	if err := r.control.call(ctx, "POST", r.path("expect"), expectOrder{Early: r.spec.early(t.Properties())}, nil); err != nil {
		return err
	}
	if r.config.Begin == nil {
		return nil
	}
	return r.config.Begin(ctx)
}

// visit connects, waits for a ticket, and closes.
func (r *run) visit(ctx context.Context, t transport.Transport, asked transport.Config, sessions *secure.Sessions) error {
	conn, err := r.dial(ctx, t, asked)
	if err != nil {
		return err
	}
	// TLS finds a ticket where it reads (RFC 8446 §4.6.1).
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = conn.Receive(make([]transport.Message, 1))
	}()
	defer func() { _ = conn.Close(); <-read }()
	if err := r.control.call(ctx, "POST", r.path("visit"), acceptOrder{Client: conn.LocalAddr()}, nil); err != nil {
		return err
	}
	patience := time.NewTimer(r.spec.Patience)
	defer patience.Stop()
	select {
	case <-sessions.Got():
		return nil
	case <-read:
		return fmt.Errorf("none came: %w", transport.ErrPeerGone)
	case <-patience.C:
		return fmt.Errorf("none came within %v", r.spec.Patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// visit takes a connection that carries nothing, until the client closes it.
func (x *session) visit(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	wanted := x.spec.Resume && x.visitor == nil
	x.mu.Unlock()
	if !wanted {
		refuse(w, "the session has nobody to be visited by")
		return
	}
	conn := x.take(w, r)
	if conn == nil {
		return
	}
	over := make(chan struct{})
	x.mu.Lock()
	closed := x.closed
	x.visitor, x.visited, x.accepting = conn, over, false
	x.mu.Unlock()
	go func() {
		defer close(over)
		_, _ = conn.Receive(make([]transport.Message, 1)) // nothing comes but the end
		_ = conn.Close()
	}()
	if closed {
		_ = conn.Close()
		<-over
		refuse(w, "the session has ended")
		return
	}
	answerJSON(w, http.StatusOK, struct{}{})
}

// expect sees a visit over, and makes ready for the connection that is measured.
func (x *session) expect(w http.ResponseWriter, r *http.Request) {
	var o expectOrder
	if !order(w, r, &o) {
		return
	}
	x.mu.Lock()
	visitor, visited := x.visitor, x.visited
	x.mu.Unlock()
	if visitor == nil {
		refuse(w, "nobody has visited")
		return
	}
	select {
	case <-visited:
	case <-time.After(visitLinger):
		_ = visitor.Close()
		<-visited
	}
	if o.Early && !x.await() {
		refuse(w, "the session has its connection, or has ended")
		return
	}
	answerJSON(w, http.StatusOK, struct{}{})
}

// await takes the connection that comes next, in the background: its messages come
// with it. It says false if the session has one.
func (x *session) await() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.accepting || x.closed {
		return false
	}
	x.accepting = true
	x.before = new(readCounters(x.server.config.Private))
	x.arrived = make(chan struct{})
	go func() {
		defer close(x.arrived)
		ctx, cancel := context.WithTimeout(context.Background(), x.spec.Patience)
		defer cancel()
		conn, err := x.listener.Accept(ctx, netip.AddrPortFrom(x.control.Unmap(), 0)) // from any port
		x.mu.Lock()
		defer x.mu.Unlock()
		switch {
		case err != nil:
			x.missed = err
		case x.closed:
			_ = conn.Close()
		default:
			x.conn = conn
			x.log.Info().Msg("connection accepted")
		}
	}()
	return true
}
