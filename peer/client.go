package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"netcmp/clock"
	"netcmp/transport"
)

// ClientConfig is what a client is made from.
type ClientConfig struct {
	Transports []transport.Transport
	Control    *http.Client // Over or Dialled
	Base       string       // URL of the control channel
	Token      string
	Server     netip.Addr // where the server's sessions listen
	Private    bool       // see ServerConfig
}

// Outcome is what both ends know at the end of a session, or of as much of it
// as there was.
type Outcome struct {
	StartedNS int64 // Unix time of the first planned send
	ConnectNS *int64
	// OffsetNS is the server's clock less the client's, right to
	// UncertaintyNS; both are 0 where the ends share a clock.
	OffsetNS      int64
	UncertaintyNS int64
	ClockSource   string
	Client        *EndReport
	Server        *EndReport // its last word, if it is gone
	Interrupted   bool
	Error         string // what ended the session before its time
}

// Progress is how a session goes.
type Progress struct {
	Elapsed   time.Duration
	Total     time.Duration // 0: not known
	Scheduled int64         // −1: not known
	Sent      int64
	Delivered int64
	Missing   int64 // numbers below the highest that have not come
	DelayP50  time.Duration
	Partial   *Outcome // now and then: the outcome, if the session ended now
}

const (
	lead          = 20 * time.Millisecond // from the order to start to the first message
	clockReadings = 8
	finishGrace   = 2 * time.Second // beyond what waiting for the missing may take
)

var errServerGone = errors.New("the server is gone")

// Run carries a session out from the client's end. It ends early when ctx
// does; what was measured until then is in the outcome all the same. An error
// without an outcome means that nothing was measured.
func Run(ctx context.Context, c ClientConfig, spec Spec, progress func(Progress)) (*Outcome, error) {
	spec = spec.WithDefaults()
	if err := spec.Validate(c.Transports); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, ErrUsage)
	}
	t, err := find(c.Transports, spec.Proto)
	if err != nil {
		return nil, err
	}
	r := &run{
		config: c, spec: spec, progress: progress, watched: make(chan struct{}),
		control: &control{http: c.Control, base: c.Base, token: c.Token},
	}
	return r.do(ctx, t)
}

// run is one session from the client's end. The goroutine of do owns it; the
// watcher shares what mu covers.
type run struct {
	config   ClientConfig
	spec     Spec
	control  *control
	progress func(Progress)
	session  created
	out      Outcome
	watched  chan struct{} // closed when the watcher has ended

	mu     sync.Mutex
	end    *end
	start  int64
	server *EndReport // its last report
}

func (r *run) do(ctx context.Context, t transport.Transport) (*Outcome, error) {
	if err := r.readClock(ctx); err != nil {
		return nil, err
	}
	if err := r.control.call(ctx, "POST", "/v1/sessions", r.spec, &r.session); err != nil {
		return nil, err
	}
	// The session ends with its watcher, whatever happens here.
	watching, leave := context.WithCancelCause(context.Background())
	defer func() { leave(nil); <-r.watched }()
	go r.watch(watching, leave)

	begun := clock.Now()
	dialling, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(watching, cancel)
	conn, err := t.Dial(dialling, netip.AddrPortFrom(r.config.Server, r.session.Port), r.spec.config(r.session.Session))
	stop()
	cancel()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", errors.Join(err, context.Cause(watching)))
	}
	if t.Properties().Handshake {
		took := clock.Now() - begun
		r.out.ConnectNS = &took
	}

	start := clock.Now() + int64(lead)
	e := newEnd(r.spec, t.Properties(), conn, r.session.Session, true, r.config.Private, start, r.out.OffsetNS)
	if err := r.control.call(ctx, "POST", r.path("start"), startOrder{
		Client: conn.LocalAddr(), StartNS: start + r.out.OffsetNS, OffsetNS: r.out.OffsetNS,
	}, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	defer e.close()
	r.out.StartedNS = time.Now().UnixNano() + start - clock.Now()
	r.mu.Lock()
	r.end, r.start = e, start
	r.mu.Unlock()
	e.run(r.session.Session, start)

	r.finish(ctx, watching, e)
	return &r.out, nil
}

func (r *run) path(verb string) string { return "/v1/sessions/" + r.session.ID + "/" + verb }

// finish waits for the ends to be done and draws up the outcome.
func (r *run) finish(ctx, watching context.Context, e *end) {
	stopOnInterrupt := context.AfterFunc(ctx, func() {
		e.stop()
		soon, cancel := context.WithTimeout(context.Background(), finishGrace)
		defer cancel()
		_ = r.control.call(soon, "POST", r.path("stop"), struct{}{}, nil) // the server stops with its session if not now
	})
	defer stopOnInterrupt()
	stopWhenAlone := context.AfterFunc(watching, e.stop)
	defer stopWhenAlone()

	var mine *SendReport
	if e.sent != nil {
		<-e.sent
		mine = &e.sentOut
	}
	// An interrupted run waits for what is in flight as any other does, but
	// not for long.
	waiting, cancel := context.WithCancel(watching)
	defer cancel()
	hurry := context.AfterFunc(ctx, func() {
		time.AfterFunc(max(finishGrace, 2*r.spec.Quiet), cancel)
	})
	defer hurry()

	var theirs *EndReport
	answered := make(chan error, 1)
	ask := func() {
		answered <- r.control.call(waiting, "POST", r.path("finish"), finishOrder{Sent: mine}, &theirs)
	}
	var gaveUp int64
	var waited time.Duration
	var err error
	if r.spec.Pattern == RequestResponse {
		gaveUp, waited = e.drain(mine.Sent, waiting.Done())
		go ask()
		err = <-answered
	} else {
		go ask()
		err = <-answered
		if err == nil && theirs != nil && theirs.Sent != nil {
			gaveUp, waited = e.drain(theirs.Sent.Sent, waiting.Done())
		}
	}
	if err != nil || theirs == nil {
		r.mu.Lock()
		theirs = r.server
		r.mu.Unlock()
		switch {
		case watching.Err() != nil:
			r.out.Error = context.Cause(watching).Error()
		case err != nil && ctx.Err() == nil:
			r.out.Error = err.Error()
		}
	}
	var other *SendReport
	if theirs != nil {
		other = theirs.Sent
	}
	r.out.Server = theirs
	r.out.Client = e.report(other)
	r.out.Client.GaveUp, r.out.Client.Waited = gaveUp, waited
	r.out.Interrupted = ctx.Err() != nil
	for _, x := range []*EndReport{r.out.Client, r.out.Server} {
		if r.out.Error == "" && x != nil {
			r.out.Error = x.Error
			if x.Error == "" && x.Sent != nil {
				r.out.Error = x.Sent.Error
			}
		}
	}
}

// watch reads how the session goes at the server's end, and tells progress.
// When the server goes, so does the session.
func (r *run) watch(ctx context.Context, leave context.CancelCauseFunc) {
	defer close(r.watched)
	err := func() error {
		resp, err := r.control.open(ctx, "GET", r.path("watch"), nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		lines := json.NewDecoder(resp.Body)
		for {
			var line watchLine
			if err := lines.Decode(&line); err != nil {
				return err
			}
			r.tell(line)
		}
	}()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errServerGone, err)
	} else {
		err = errServerGone
	}
	leave(err)
}

// tell makes progress out of a watcher's line and what this end knows.
func (r *run) tell(line watchLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line.Report != nil {
		r.server = line.Report
	}
	if r.progress == nil || r.end == nil {
		return
	}
	p := Progress{
		Elapsed: max(time.Duration(clock.Now()-r.start), 0), Scheduled: r.spec.Plan.Expected(),
		Total: r.spec.Plan.Duration, Sent: line.Sent,
	}
	if p.Total == 0 && r.spec.Plan.Rate > 0 {
		p.Total = time.Duration(float64(r.spec.Plan.Count) / r.spec.Plan.Rate * 1e9)
	}
	if r.spec.Direction == Both && p.Scheduled > 0 {
		p.Scheduled *= 2
	}
	if s := r.end.sender; s != nil {
		p.Sent += s.count.Load()
	}
	at := line.Progress
	p.Delivered, p.Missing, p.DelayP50 = at.Delivered, at.Holes, at.DelayP50
	if x := r.end.receiver; x != nil {
		at = x.progress()
		p.Delivered += at.Delivered
		p.Missing += at.Holes
		p.DelayP50 = max(p.DelayP50, at.DelayP50)
	}
	if line.Report != nil {
		partial := r.out
		partial.Server = line.Report
		partial.Client = r.end.report(nil)
		p.Partial = &partial
	}
	r.progress(p)
}

// readClock finds how far the server's clock is ahead of ours: not at all on
// one host; else from the exchange that took the least time, half of which it
// may be wrong by.
func (r *run) readClock(ctx context.Context) error {
	best := int64(-1)
	for range clockReadings {
		before := clock.Now()
		var reading clockReading
		if err := r.control.call(ctx, "GET", "/v1/clock", nil, &reading); err != nil {
			return err
		}
		after := clock.Now()
		if reading.BootID != "" && reading.BootID == bootID() {
			r.out.ClockSource = "one host, CLOCK_MONOTONIC"
			return nil
		}
		if took := after - before; best < 0 || took < best {
			best = took
			r.out.OffsetNS = reading.NowNS - before - took/2
			r.out.UncertaintyNS = took / 2
		}
	}
	r.out.ClockSource = "estimated over the control channel"
	return nil
}
