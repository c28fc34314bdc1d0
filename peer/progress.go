package peer

import (
	"time"

	"netcmp/clock"
	"netcmp/workload"
)

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

// tell makes progress out of a watcher's line and what this end knows.
func (r *run) tell(line watchLine) {
	r.mu.Lock()
	if line.Report != nil {
		r.server = line.Report
	}
	e, start, base := r.end, r.start, r.base
	r.mu.Unlock()
	if r.progress == nil || e == nil {
		return
	}
	p := Progress{
		Elapsed: max(time.Duration(clock.Now()-start), 0), Total: total(r.spec.Plan),
		Scheduled: r.spec.Plan.Expected(), Sent: line.Sent,
	}
	if r.spec.Direction == Both && p.Scheduled > 0 {
		p.Scheduled *= 2
	}
	if e.sender != nil {
		p.Sent += e.sender.count.Load()
	}
	at := line.Progress
	p.Delivered, p.Missing, p.DelayP50 = at.Delivered, at.Holes, at.DelayP50
	if e.receiver != nil {
		at = e.receiver.progress()
		p.Delivered += at.Delivered
		p.Missing += at.Holes
		p.DelayP50 = max(p.DelayP50, at.DelayP50)
	}
	if line.Report != nil {
		base.Client, base.Server = r.sofar(e)
		p.Partial = &base
	}
	r.progress(p)
}

// total is how long a plan takes; 0 if its rate is the transport's.
func total(p workload.Plan) time.Duration {
	var t time.Duration
	if n := p.Expected(); n > 0 && p.Rate > 0 && !p.Saturate {
		t = time.Duration(float64(n) / p.Rate * 1e9)
	}
	if t == 0 || p.Duration > 0 && p.Duration < t {
		t = p.Duration
	}
	return t
}

// sofar is what both ends have to tell in mid-run, the server by its last
// report; nil if there was none.
func (r *run) sofar(e *end) (client, server *EndReport) {
	r.mu.Lock()
	last := r.server
	r.mu.Unlock()
	client = e.report(last, false)
	if last == nil {
		return client, nil
	}
	own := *last
	if own.Sent != nil && client.Received != nil {
		sent := *own.Sent
		sent.raise(client.Received.Delivery.Sent)
		own.Sent = &sent
	}
	return client, &own
}
