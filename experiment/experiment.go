// Package experiment is one experiment: the same numbered messages over one
// transport, through one path, into one result document.
package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"netcmp/capture"
	"netcmp/lab"
	"netcmp/netem"
	"netcmp/netem/tc"
	"netcmp/peer"
	"netcmp/quic"
	"netcmp/records"
	"netcmp/result"
	"netcmp/tcp"
	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/udp"
	"netcmp/workload"
)

// Engine is what makes the path.
type Engine string

// The engines.
const (
	Auto     Engine = Engine(lab.Auto)     // the kernel's netem where it can make the path, otherwise the emulator
	Emulator Engine = Engine(lab.Emulator) // the lab, its path in user space
	Kernel   Engine = Engine(lab.Kernel)   // the lab, its path the kernel's netem
	None     Engine = "none"               // no lab: loopback, a clean path
	// Remote is what a document of two machines says: the path is what lies
	// between them. It is not to be asked for; Config.Connect is.
	Remote Engine = "remote"
)

// ParseEngine reads an engine's name as a user gives it.
func ParseEngine(name string) (Engine, error) {
	switch e := Engine(name); e {
	case Auto, Emulator, Kernel, None:
		return e, nil
	}
	return "", fmt.Errorf("engine %q is unknown; known: auto, emulator, kernel, none", name)
}

// Config is an experiment to be made.
type Config struct {
	Spec        peer.Spec
	Path        netem.Path // must be clean with None, and with Connect without Impair
	PathDefault bool       // nobody asked for this path
	Fate        netem.Fate // whether losses go by packet (zero) or by time
	Changes     []netem.Change
	Engine      Engine
	Seed        uint64
	SeedGiven   bool   // somebody asked for this seed: Auto keeps to what it reaches
	Connect     string // HOST:PORT of a server on another machine; "" for none
	Token       string // for that server
	Impair      bool   // that server makes the path, as netem on its device
	Clock       peer.ClockSource
	Fingerprint string // of that server's certificate; "" for one that is vouched for
	// Traces are files that the ends write; between two machines the client's
	// alone does.
	Traces  transport.Traces
	Profile Profiles
	// Anatomy splits the delay of each message into its parts, by the lab's
	// packets; Pcap are the files that get these packets.
	Anatomy bool
	// EstimateHeld leaves who was held back to the ledger's estimate, even where the
	// packets show it: beside others whose packets do not.
	EstimateHeld bool
	Pcap         capture.Files
	// Spool gets the records of all messages; nil: none are kept. Between two machines
	// only this end's are.
	Spool    *records.Spool
	Command  string   // the command line that makes this experiment again
	Notes    []string // warnings about the command line, for the document
	Tool     result.Tool
	Progress func(peer.Progress) // may be nil; called from another goroutine, never after Run
}

// ErrUsage is wrapped by errors that mean: this cannot be asked for.
var ErrUsage = peer.ErrUsage

// ErrUnsupported is wrapped by errors that mean: this machine cannot do it; so
// is lab.ErrUnsupported, where it cannot hold a lab.
var ErrUnsupported = transport.ErrNotSupported

// Transports are the transports that an experiment can run over.
func Transports() []transport.Transport {
	return []transport.Transport{
		tcp.New(), tcp.NewTLS(), udp.New(), quic.New(), quic.NewStreams(), quic.NewDatagram(),
	}
}

// Validate says what is wrong with an experiment, before anything starts.
func (c Config) Validate() error {
	if err := c.Spec.WithDefaults().Validate(Transports()); err != nil {
		return err
	}
	clean := len(c.Changes) == 0
	for _, p := range c.paths() {
		if err := errors.Join(p.Up.Validate(), p.Down.Validate()); err != nil {
			return err
		}
		clean = clean && p.Up.IsClean() && p.Down.IsClean()
		if c.Engine == Kernel {
			if err := errors.Join(tc.Refuse(p.Up), tc.Refuse(p.Down)); err != nil {
				return err
			}
		}
	}
	switch {
	case c.Anatomy && c.NoAnatomy() != "":
		return errors.New("--anatomy: " + c.NoAnatomy())
	case len(c.Pcap) > 0 && (c.Connect != "" || c.Engine == None):
		return errors.New("--pcap keeps the lab's packets, and there is no lab with --connect and --engine none")
	case c.Impair && c.Connect == "":
		return errors.New("--impair asks the server of --connect for a path: without it, the lab makes the path")
	case c.Impair && len(c.Changes) > 0:
		return errors.New("--impair is one path for the whole run: --at and --timeline cannot stand beside it")
	case c.Impair && c.Fate == netem.FateByTime:
		return errors.New("--impair is the kernel's netem, which draws by packet: --fate time cannot stand beside it")
	case c.Connect != "" && !clean && !c.Impair:
		return errors.New("--connect measures the path that is there: it takes no path flags (--loss, --delay, --netem …) without --impair, which asks the server for such a path on top")
	case c.Engine == Kernel && c.Fate == netem.FateByTime:
		return errors.New("--engine kernel draws by packet: --fate time needs --engine emulator")
	case c.Engine == None && !clean:
		return errors.New("--engine none has no path to impair: drop the path flags (--loss, --delay, --netem …), or use --engine emulator")
	}
	return nil
}

// paths are the conditions that the path has, one after the other.
func (c Config) paths() []netem.Path {
	all := []netem.Path{c.Path}
	for _, x := range c.Changes {
		all = append(all, x.Path)
	}
	return all
}

// stopPatience is how long an interrupted end may take to tell what it has.
const stopPatience = 10 * time.Second

// Run makes the experiment. When ctx ends, it ends early with what was measured
// until then, and no error. An error may come with a document, too: what was
// measured until it happened. A run that sent no message measured nothing: it returns
// an error alone.
func Run(ctx context.Context, c Config) (*result.Document, error) {
	if c.Spec.Patience == 0 {
		c.Spec.Patience = stallTimeout(c)
	}
	c.Spec = c.Spec.WithDefaults()
	d, err := run(ctx, c)
	if err == nil && d != nil && !d.Interrupted {
		if err = nothing(c.Spec.Plan, d); err != nil {
			return nil, err
		}
	}
	return d, err
}

// nothing returns an error if no message was sent. One whose messages were all lost is
// a valid result.
func nothing(p workload.Plan, d *result.Document) error {
	sent, due := d.Delivery.Sent, d.Delivery.Due
	if d.Reverse != nil {
		sent, due = sent+d.Reverse.Delivery.Sent, due+d.Reverse.Delivery.Due
	}
	switch {
	case sent > 0:
		return nil
	case due > 0 && !(p.Saturate && p.Duration > 0): // that plan may be too short for any
		return fmt.Errorf("nothing was measured: the transport accepted none of %d messages; look at the path, or raise --stall-timeout", due)
	}
	return fmt.Errorf("nothing was measured: no message was sent within --duration %v; give a longer --duration, or --count N", p.Duration)
}

// run is Run of a configuration that has its defaults, whatever was sent.
func run(ctx context.Context, c Config) (*result.Document, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, ErrUsage)
	}
	if c.Connect != "" {
		return runRemote(ctx, c)
	}
	if c.Engine == None {
		return runEnds(ctx, c, loopback{}, nil)
	}
	c.Spec.Quiet = quiet(c)
	var held *netem.Path
	if c.Spec.Resume {
		held = &netem.Path{} // over which it gets its ticket
	}
	// The lab outlives an interrupt: what is in flight is waited for.
	l, err := lab.Start(context.WithoutCancel(ctx), lab.Config{
		Path: c.Path, Seed: c.Seed, Fate: c.Fate, Changes: c.Changes,
		Engine: lab.Engine(c.Engine), Exact: c.SeedGiven,
		Held: held,
	})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return runEnds(ctx, c, labPlace{l}, l)
}

// quiet is how long the lab's path can hold a packet at the most, give or take
// the machine's own delays. A queue at the bottleneck is not in it: it empties
// all the time, and so is not quiet.
func quiet(c Config) time.Duration {
	hold := func(i netem.Impairment) time.Duration { return hold(c, i) }
	var longest time.Duration
	for _, p := range c.paths() {
		if c.Spec.Pattern == peer.RequestResponse {
			longest = max(longest, hold(p.Up)+hold(p.Down))
		} else {
			longest = max(longest, hold(p.Up), hold(p.Down))
		}
	}
	return min(longest+250*time.Millisecond, peer.MaxPatience)
}

// runRemote is the client's end of an experiment between two machines.
func runRemote(ctx context.Context, c Config) (*result.Document, error) {
	host, _, err := net.SplitHostPort(c.Connect)
	if err != nil {
		return nil, fmt.Errorf("--connect %q: %w; give HOST:PORT (%w)", c.Connect, err, ErrUsage)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("--connect: %w", err)
	}
	server := found[0].Unmap()
	began := readProcessorTime()
	var last *peer.Outcome
	profiled, err := c.Profile.profile("client")
	if err != nil {
		return nil, err
	}
	trust, err := secure.Pinned(c.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("--fingerprint: %w (%w)", err, ErrUsage)
	}
	if c.Impair {
		c.Spec.Impair = &peer.Impair{Up: c.Path.Up.String(), Down: c.Path.Down.String()}
		c.Spec.Quiet = max(c.Spec.Quiet, quiet(c)+peer.DefaultQuiet)
	}
	var kept records.Files
	if c.Spool != nil {
		kept = c.Spool.Client
	}
	control := peer.Dialled(trust)
	defer control.CloseIdleConnections()
	out, err := peer.Run(ctx, peer.ClientConfig{
		Transports: Transports(), Control: control, Base: "https://" + c.Connect, Remote: true, Sole: true,
		Token: c.Token, Server: server, Traces: c.Traces, Records: kept, Clock: c.Clock,
	}, c.Spec, func(p peer.Progress) {
		if p.Partial != nil {
			last = p.Partial
		}
		if c.Progress != nil {
			c.Progress(p)
		}
	})
	err = errors.Join(err, profiled())
	if out == nil {
		out = last
	}
	if out == nil {
		return nil, err
	}
	return document(c, Remote, began, out, nil, nil), outcomeError(out, err)
}

func outcomeError(out *peer.Outcome, err error) error {
	if err == nil && out.Error != "" && !out.Interrupted {
		err = errors.New(out.Error)
	}
	return err
}

// runEnds runs both ends in a place; l is the lab, if it is one.
func runEnds(ctx context.Context, c Config, p place, l *lab.Lab) (_ *result.Document, failed error) {
	began := readProcessorTime()
	look, err := startCapture(context.WithoutCancel(ctx), c, l)
	if err != nil {
		return nil, err
	}
	defer func() { failed = errors.Join(failed, look.stop(0)) }()
	spec := c.Spec
	spec.Messages = spec.Messages || c.Anatomy
	e, err := startEnds(context.WithoutCancel(ctx), p, spec, c.Traces, c.Profile, c.Spool)
	if err != nil {
		return nil, err
	}
	defer e.close()
	var built int64 // processor time that the path took to be built
	if l != nil {
		// A path of the kernel's that is held has no account yet: its cost is the router's.
		if _, used, err := l.Link(context.WithoutCancel(ctx), 0); err == nil {
			built = used
		}
	}
	stop := context.AfterFunc(ctx, func() {
		_, _ = e.line.Write([]byte("{}\n")) // an end that is gone is seen below
		_ = e.line.SetReadDeadline(time.Now().Add(stopPatience))
	})
	defer stop()

	out, err := e.outcome(c.Progress, func() error {
		if l == nil {
			return nil
		}
		return l.Begin(ctx)
	}, func() {
		// Beside the loop that reads the line: a path that is stopped answers late.
		word := clientWord{Link: &clientLink{}}
		if at, _, err := l.Link(context.WithoutCancel(ctx), 0); err == nil {
			word.Link.Link = &at
		} else {
			word.Link.Error = err.Error()
		}
		_ = json.NewEncoder(e.line).Encode(word) // an end that is gone is seen elsewhere
	})
	if err != nil && l != nil && !errors.Is(err, ErrUsage) && !errors.Is(err, ErrUnsupported) {
		err = pathsPart(l, err)
	}
	if out == nil {
		return nil, err
	}
	if err != nil {
		out.Error = err.Error()
	}
	// Until here the error is that of an end; an end that died says why.
	if err == nil && out.Error != "" {
		err = errors.New(out.Error)
		select {
		case <-e.serverEnded:
			err = fmt.Errorf("the server's end died in the middle of the run (%s)", e.serverWhy())
		case <-time.After(100 * time.Millisecond):
		}
		out.Error = err.Error()
	}
	engine := None
	var link *result.Link
	var cpu *int64
	if l != nil {
		engine = Engine(l.Engine())
		soon, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		if at, used, linkErr := l.Link(soon, out.StartNS); linkErr == nil {
			link, cpu = &at, new(max(used-built, 0))
		} else if err == nil {
			err = fmt.Errorf("the path's account: %w", linkErr)
		}
	}
	d := document(c, engine, began, out, link, cpu)
	if look.capture != nil {
		e.close() // the ends take leave of each other, which is to be seen, too
		err = errors.Join(err, look.stop(c.closing()))
		look.dissect(c, d, out.StartNS)
	}
	if l != nil && !l.Seeded() {
		d.Warnings = append(d.Warnings, "this kernel's netem draws by itself (6.6 and later take a seed): another run meets other losses; --engine emulator repeats them")
	}
	return d, err
}

// pathsPart adds to an error what the path has to do with it: it died, and the
// ends with it, or it let nothing through.
func pathsPart(l *lab.Lab, err error) error {
	select {
	case <-l.Done():
		return fmt.Errorf("the path died in the middle of the run: %w", l.Err())
	case <-time.After(100 * time.Millisecond):
	}
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	link, _, linkErr := l.Link(soon, 0)
	if linkErr != nil {
		return err
	}
	return fmt.Errorf("%w (the path delivered %d of %d packets up, %d of %d down)", err,
		link.Up.Delivered, link.Up.Packets, link.Down.Delivered, link.Down.Packets)
}

// outcome reads what the client's end tells until it tells the outcome. If it
// dies before, the last progress holds what it had. begin is called when it is
// ready for the connection that is measured, if another one goes before it.
// link is called, in a goroutine of its own, when it asks for the path's account.
func (e *ends) outcome(progress func(peer.Progress), begin func() error, link func()) (*peer.Outcome, error) {
	var last *peer.Outcome
	for {
		var line clientLine
		if err := e.lines.Decode(&line); err != nil {
			why := "the client's end did not stop in time"
			if !isTimeout(err) {
				why = "the client's end died in the middle of the run (" + e.clientWhy() + ")"
			}
			return last, errors.New(why)
		}
		switch {
		case line.Link:
			go link()
		case line.Ready:
			if err := begin(); err != nil {
				return last, err
			}
			if err := json.NewEncoder(e.line).Encode(clientWord{Begin: true}); err != nil {
				return last, err
			}
		case line.Outcome != nil:
			return line.Outcome, nil
		case line.Usage:
			return nil, told{line.Error, ErrUsage}
		case line.Unsupported:
			return nil, told{line.Error, ErrUnsupported}
		case line.Error != "":
			return last, errors.New(line.Error)
		case line.Progress != nil:
			if line.Progress.Partial != nil {
				last = line.Progress.Partial
			}
			if progress != nil {
				progress(*line.Progress)
			}
		}
	}
}

// told is an error that came over a line as its text and what it is.
type told struct {
	text string
	is   error
}

func (e told) Error() string { return e.text }
func (e told) Unwrap() error { return e.is }

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
