package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/lateness"
	"netcmp/message"
	"netcmp/records"
	"netcmp/result"
	"netcmp/transport"
	"netcmp/transport/secure"
)

// ClientConfig is what a client is made from.
type ClientConfig struct {
	Transports []transport.Transport
	Control    *http.Client // Over or Dialled
	Base       string       // URL of the control channel
	Token      string
	Server     netip.Addr // where the server's sessions listen
	Private    bool       // see ServerConfig
	Remote     bool       // the control channel is dialled, and the server goes by its address
	Sole       bool       // this process has no other session at a time; see collect
	Traces     transport.Traces
	Records    records.Files // of this end's messages; without, none are kept
	Clock      ClockSource   // "" is ClockAuto
	// Begin is called before the connection that is measured, where another one
	// went before it; nil does nothing.
	Begin func(context.Context) error
	// Link returns the path's account as it stands, rings and queues included; nil
	// where the path has none. It is called from one goroutine at a time.
	Link func(context.Context) (*result.Link, error)
}

// Outcome is what both ends know at the end of a session, or of as much of it
// as there was.
type Outcome struct {
	StartedNS int64 // Unix time of the first planned send
	StartNS   int64 // the same instant on the client's clock
	// From the beginning of the connection until the client may send, until the
	// handshake that encrypts is done, and until the server has it; null where
	// there is no such thing.
	ConnectNS  *int64
	SecureNS   *int64
	AcceptedNS *int64
	// OffsetNS is the server's clock less the client's, right to
	// UncertaintyNS; both are 0 where the ends share a clock.
	OffsetNS      int64
	UncertaintyNS int64
	// Drift is how much faster the server's clock runs, as a share; nil where that is
	// not known. ClockSamples is how often the clocks were compared.
	Drift        *float64
	ClockSamples int
	ClockSource  string
	Notes        []string // what is to be known of the path that the server has made
	Client       *EndReport
	Server       *EndReport // its last word, if it is gone
	Interrupted  bool
	Error        string // what ended the session before its time
	Final        bool   // both ends have told their last; otherwise it is what they told in mid-run
}

const (
	// lead is from the order to start to the first message, beside the time
	// that the order takes.
	lead = 20 * time.Millisecond
	// finishGrace is how long an interrupted run waits for what is under way,
	// unless the path can hold it for longer, and after that for the server.
	finishGrace = 2 * time.Second
	// finishGraceMax bounds that: somebody who interrupts does not wait.
	finishGraceMax = 4 * time.Second
	// aloneGrace is how long a sender whose server is gone may be held up.
	aloneGrace = 100 * time.Millisecond
)

var (
	errServerGone = errors.New("the server is gone")
	errNoAnswer   = errors.New("no answer")
)

// Run carries a session out from the client's end. It ends early when ctx
// does; what was measured until then is in the outcome all the same. An error
// without an outcome means that nothing was measured. progress may be nil; it
// is called from another goroutine, and never after Run.
func Run(ctx context.Context, c ClientConfig, spec Spec, progress func(Progress)) (*Outcome, error) {
	spec = spec.WithDefaults()
	if err := spec.Validate(c.Transports); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, ErrUsage)
	}
	t, err := spec.over(c.Transports)
	if err != nil {
		return nil, err
	}
	return newRun(c, spec, progress).do(ctx, t)
}

// run is one session from the client's end. The goroutine of do owns it; the
// watcher shares what mu covers.
type run struct {
	config   ClientConfig
	spec     Spec
	control  *control
	progress func(Progress)
	grace    time.Duration // see finishGrace
	session  created
	watched  chan struct{} // closed when the watcher has ended

	mu     sync.Mutex
	end    *end       // nil before the start; from then on it, start and base stay
	begun  int64      // when the connection was, our clock
	start  int64      // when messages are due from, our clock
	base   Outcome    // what the outcome begins with
	server *EndReport // its last report
}

func newRun(c ClientConfig, spec Spec, progress func(Progress)) *run {
	return &run{
		config: c, spec: spec, progress: progress, watched: make(chan struct{}),
		control: &control{http: c.Control, base: c.Base, token: c.Token},
		grace:   min(max(finishGrace, 2*spec.Quiet), finishGraceMax),
	}
}

func (r *run) do(ctx context.Context, t transport.Transport) (*Outcome, error) {
	clocks, err := r.control.readClock(ctx, r.config.Clock)
	if err != nil {
		return nil, turnedAway(ctx, err)
	}
	if err := r.control.call(ctx, "POST", "/v1/sessions", r.spec, &r.session); err != nil {
		return nil, err
	}
	// The session ends with its watcher, whatever happens here.
	watching, leave := context.WithCancelCause(context.Background())
	defer func() { leave(nil); <-r.watched }()
	go r.watch(watching, leave)

	var base Outcome
	base.tell(clocks)
	for _, note := range r.session.Notes {
		base.Notes = append(base.Notes, words(note))
	}
	e, err := r.begin(ctx, watching, t, clocks, base)
	if err != nil {
		if ctx.Err() == nil && watching.Err() != nil {
			err = context.Cause(watching) // the root of it
		}
		return nil, err
	}
	defer e.close()
	enough := r.compareClocks(watching, clocks, e)
	out := r.finish(ctx, watching, e)
	enough()
	out.tell(clocks)
	return out, nil
}

// turnedAway adds to the error of a session's first request what it may mean, where a
// connection was made and not answered: so a server treats whom it does not let in.
func turnedAway(ctx context.Context, err error) error {
	if ctx.Err() != nil || !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, unix.EPIPE) {
		return err
	}
	return fmt.Errorf("%w (the server may have as many connections of this address as it takes: serve --client-limit)", err)
}

// begin connects the ends and starts both.
func (r *run) begin(ctx, watching context.Context, t transport.Transport, clocks *clocks, base Outcome) (*end, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(watching, cancel)()

	if r.config.Sole {
		collect()
	}
	offset, _, _, _ := clocks.state()
	asked := r.spec.config(r.session.Session)
	asked.Certificate, asked.Traces = r.session.Certificate, r.config.Traces
	if r.spec.Resume {
		sessions := secure.NewSessions()
		asked.Sessions = sessions
		if err := r.rehearse(ctx, t, asked, sessions); err != nil {
			return nil, err
		}
	}
	begun := clock.Now()
	conn, err := r.dial(ctx, t, asked)
	if err != nil {
		return nil, err
	}
	if p := t.Properties(); p.Handshake && !p.PerMessage {
		base.ConnectNS = new(clock.Now() - begun)
		base.shaken(begun, conn.Stats())
	}
	early := r.spec.early(t.Properties())
	now, wall := clock.Both()
	start := now
	if !early {
		var at accepted
		silent := r.greet(ctx, t, conn)
		err := r.control.call(ctx, "POST", r.path("accept"), acceptOrder{Client: conn.LocalAddr()}, &at)
		silent()
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		if base.ConnectNS != nil && at.AtNS > 0 {
			base.AcceptedNS = new(at.AtNS - offset - begun)
		}
		now, wall = clock.Both()
		start = now + int64(lead) + clocks.shortest
	}
	base.StartedNS, base.StartNS = wall+start-now, start
	e := newEnd(endConfig{
		spec: r.spec, properties: t.Properties(), conn: conn, session: r.session.Session,
		client: true, private: r.config.Private, start: start, ahead: offset,
		watch: lateness.Start(r.spec.sampled()), records: r.config.Records,
	})
	if early {
		e.run() // before the server hears of it: the first packets leave now
	}
	if err := r.control.call(ctx, "POST", r.path("start"), startOrder{
		StartNS: start + offset, OffsetNS: offset,
	}, nil); err != nil {
		if early {
			e.close()
		}
		e.watch.Close()
		_ = conn.Close()
		return nil, err
	}
	r.mu.Lock()
	r.end, r.begun, r.start, r.base = e, begun, start, base
	r.mu.Unlock()
	if !early {
		e.run()
	}
	return e, nil
}

// compareClocks reads the server's clock while the session goes on, where it is not
// ours: two machines' clocks go apart, a millisecond in ten seconds at the worst. Both
// ends are told, and count what comes by that. It goes on
// until enough is called.
func (r *run) compareClocks(ctx context.Context, c *clocks, e *end) (enough func()) {
	if !c.estimated() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(clockEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			_, x, err := r.control.exchangeClocks(ctx)
			if err != nil {
				continue // the watcher sees whether the server is gone
			}
			before, _, _, _ := c.state()
			c.add(x)
			if now, _, _, _ := c.state(); now != before {
				e.apart(now)
				_ = r.control.call(ctx, "POST", r.path("offset"), offsetOrder{now}, nil)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// tell enters what is known of the clocks.
func (o *Outcome) tell(c *clocks) {
	o.OffsetNS, o.UncertaintyNS, o.Drift, o.ClockSamples = c.state()
	o.ClockSource = c.source
}

// helloEvery is how often a client that has no handshake shows where it is.
const helloEvery = 50 * time.Millisecond

// greet shows the server of another machine where the client of a transport without a
// handshake is, until silent is called: one hello may be lost.
func (r *run) greet(ctx context.Context, t transport.Transport, conn transport.Conn) (silent func()) {
	if t.Properties().Handshake || !r.config.Remote {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		hello := [][]byte{make([]byte, message.HeaderSize)}
		message.Seal(hello[0], message.Header{Kind: message.Hello, Session: r.session.Session})
		tick := time.NewTicker(helloEvery)
		defer tick.Stop()
		for {
			_, _ = conn.Send(hello) // what a path answers to it is not the session's
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// dial connects. A path that answers nothing is not waited for longer than for
// messages.
func (r *run) dial(ctx context.Context, t transport.Transport, asked transport.Config) (transport.Conn, error) {
	dialling, enough := context.WithTimeoutCause(ctx, r.spec.Patience, errNoAnswer)
	defer enough()
	conn, err := t.Dial(dialling, netip.AddrPortFrom(r.config.Server, r.session.Port), asked)
	// A socket's own deadline may end the call a moment before the context ends.
	if err != nil && ctx.Err() == nil && (errors.Is(context.Cause(dialling), errNoAnswer) || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = fmt.Errorf("%w within %v (--stall-timeout)", errNoAnswer, r.spec.Patience)
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// shaken enters what a connection that was begun at an instant tells of its
// handshakes.
func (o *Outcome) shaken(begun int64, s transport.Stats) {
	if s.Connected > 0 {
		o.ConnectNS = new(s.Connected - begun)
	}
	if s.Secured > 0 {
		o.SecureNS = new(s.Secured - begun)
	}
}

func (r *run) path(verb string) string { return "/v1/sessions/" + r.session.ID + "/" + verb }

// finish waits for the ends to be done and draws up the outcome.
func (r *run) finish(ctx, watching context.Context, e *end) *Outcome {
	waiting, giveUp := context.WithCancel(watching)
	// An interrupted run waits for what is in flight as any other does, but
	// not for long.
	released := whenDone(ctx, func() {
		e.interrupt(clock.Now())
		e.hurry(r.grace)
		timer := time.AfterFunc(r.grace+finishGrace, giveUp)
		context.AfterFunc(waiting, func() { timer.Stop() })
		// A server that does not hear of it stops with its session.
		_ = r.control.call(waiting, "POST", r.path("stop"), stopOrder{WithinNS: int64(r.grace)}, nil)
	})
	defer released()
	defer giveUp()
	defer context.AfterFunc(watching, func() {
		e.stop()
		e.hurry(aloneGrace)
	})()

	e.awaitSent(nil)
	failed := e.settle(waiting.Done())
	mine := e.sendReport()
	var gaveUp int64
	var waited time.Duration
	pathTells := r.pathTells(e)
	settling := sync.WaitGroup{}
	defer func() { giveUp(); settling.Wait() }()
	if pathTells && mine != nil {
		settling.Go(func() { r.settleUp(waiting, e, mine.Sent) })
	}
	if r.spec.Pattern == RequestResponse {
		gaveUp, waited = e.drain(mine.Sent-failed, pathTells, waiting.Done())
	}
	var theirs *EndReport
	err := r.control.call(waiting, "POST", r.path("finish"), finishOrder{Sent: mine, Failed: failed, PathTells: pathTells}, &theirs)
	theirs.tidy()
	if err == nil && theirs != nil && theirs.Sent != nil {
		if pathTells {
			settling.Wait() // Link has one caller at a time
			settling.Go(func() { r.settleDown(waiting, e, theirs.Sent.Sent) })
		}
		gaveUp, waited = e.drain(theirs.Sent.Sent, pathTells, waiting.Done())
	}

	out := r.base
	out.Interrupted = ctx.Err() != nil
	if err == nil {
		out.Client, out.Server, out.Final = e.report(theirs, true), theirs, true
	} else {
		out.Client, out.Server = r.sofar(e)
		switch {
		case watching.Err() != nil:
			out.Error = context.Cause(watching).Error()
		case !out.Interrupted:
			out.Error = finishError(err)
		}
	}
	out.Client.GaveUp, out.Client.Waited = gaveUp, waited
	out.shaken(r.begun, out.Client.Stats) // with early data it is done only now
	if !out.Interrupted && out.Error == "" {
		out.Error = firstError(out.Client, out.Server)
	}
	return &out
}

// finishError says why the server did not tell what became of all.
func finishError(err error) string {
	var refused *refusal
	if errors.As(err, &refused) {
		return err.Error()
	}
	return fmt.Sprintf("%v: %v", errServerGone, err) // the watcher has not seen it yet
}

// firstError is the first that either end met.
func firstError(ends ...*EndReport) string {
	for _, x := range ends {
		switch {
		case x == nil:
		case x.Error != "":
			return x.Error
		case x.Sent != nil && x.Sent.Error != "":
			return x.Sent.Error
		}
	}
	return ""
}

// whenDone calls f when ctx ends, unless released before; released waits for
// an f that was called.
func whenDone(ctx context.Context, f func()) (released func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		f()
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// watch reads how the session goes at the server's end, and tells progress.
// When the server goes, so does the session.
func (r *run) watch(ctx context.Context, leave context.CancelCauseFunc) {
	defer close(r.watched)
	err := r.follow(ctx)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		leave(errServerGone)
		return
	}
	var ended sessionEnded
	if errors.As(err, &ended) {
		leave(ended)
		return
	}
	leave(fmt.Errorf("%w: %w", errServerGone, err))
}

func (r *run) follow(ctx context.Context) error {
	resp, err := r.control.open(ctx, "GET", r.path("watch"), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := &io.LimitedReader{R: resp.Body}
	lines := json.NewDecoder(body)
	for {
		body.N = maxAnswer // of a line
		var line watchLine
		if err := lines.Decode(&line); err != nil {
			return err
		}
		line.Report.tidy()
		r.tell(line)
		if line.Ended != "" {
			return sessionEnded(words(line.Ended))
		}
	}
}

// sessionEnded is why a server has ended the session before its time, in its words.
type sessionEnded string

func (e sessionEnded) Error() string { return string(e) }
