package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/compare"
	"netcmp/experiment"
	"netcmp/netem"
	"netcmp/peer"
	"netcmp/report"
	"netcmp/result"
	"netcmp/workload"
)

const (
	messageCategory   = "Messages"
	transportCategory = "Transport"
	outputCategory    = "Output"
)

// outputFlags do not change what is measured.
var outputFlags = []string{"json", "out", "quiet", "log-level", "token", "expect", "records", "html", "pcap", "pcap-at", "qlog", "keylog", "profile-cpu", "profile-mem"}

// experimentFlags are those of run that are not the path's.
func experimentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "proto", Usage: "`PROTOCOL`: " + protocols()},
		&cli.StringFlag{Name: "connect", Usage: "the server on another machine, `HOST:PORT` (netcmp serve)"},
		&cli.BoolFlag{Name: "impair", Usage: "with --connect: have the server add the path that --netem, --delay, --loss … tell of to the one that is there (serve --allow-netem)"},
		&cli.StringFlag{Name: "token", Usage: "of that server", EnvVars: []string{"NETCMP_TOKEN"}},
		&cli.StringFlag{Name: "token-file", Usage: "the same, the first line of `FILE`"},
		&cli.StringFlag{Name: "clock", Value: "auto", Usage: "how that server's clock stands to this one's: auto, estimate (by exchanges over the control channel), ntp or ptp (both machines are synchronised by that)"},
		&cli.StringFlag{Name: "fingerprint", Usage: "of that server's certificate, as it prints it; not needed where a certificate authority vouches for it", EnvVars: []string{"NETCMP_FINGERPRINT"}},

		&cli.Int64Flag{Name: "count", Value: workload.DefaultCount, Usage: "how many `MESSAGES`", Category: messageCategory},
		timeFlag("duration", 0, "for how long, instead of --count or beside it", messageCategory),
		&cli.IntFlag{Name: "size", Value: workload.DefaultSize, Usage: "`BYTES` of a message, its header of 40 included", Category: messageCategory},
		&cli.Float64Flag{Name: "rate-messages", Value: workload.DefaultRate, Usage: "messages a second", Category: messageCategory},
		&cli.BoolFlag{Name: "saturate", Usage: "as fast as the transport takes them; of requests the next leaves when the answer has come", Category: messageCategory},
		&cli.StringFlag{Name: "arrival", Value: "constant", Usage: "constant, poisson or burst", Category: messageCategory},
		&cli.IntFlag{Name: "burst", Value: workload.DefaultBurst, Usage: "messages in a burst", Category: messageCategory},
		&cli.StringFlag{Name: "direction", Value: "up", Usage: "up (client to server), down or both", Category: messageCategory},
		&cli.StringFlag{Name: "pattern", Value: "stream", Usage: "stream or request-response", Category: messageCategory},
		&cli.StringFlag{Name: "connection", Value: "long", Usage: "long, or short: a connection for each message, made when it is due (tcp, tls, quic, quic-streams)", Category: messageCategory},
		&cli.StringSliceFlag{Name: "deadline", Usage: "a `TIME` after which a message is no use; repeatable", Category: messageCategory},
		&cli.GenericFlag{
			Name: "stall-timeout", Value: new(runTime), Category: messageCategory, DefaultText: "from the path, 30s at the least",
			Usage: "wait so long, a `TIME`, for a transport that makes no progress: to connect, and, once all messages are due, to accept and deliver them",
		},
		timeFlag("interval", time.Second, "of the figures over time", messageCategory),

		&cli.StringFlag{Name: "congestion", Usage: "TCP's congestion control: cubic, reno, bbr … (the system's)", Category: transportCategory},
		&cli.BoolFlag{Name: "no-delay", Value: true, Usage: "send small messages at once; false is Nagle's algorithm", Category: transportCategory},
		&cli.BoolFlag{Name: "no-batch", Usage: "a system call for each message, at both ends (over a byte stream, at the sender)", Category: transportCategory},
		&cli.BoolFlag{Name: "resume", Usage: "resume the TLS session of a connection made before, which is not measured: QUIC then sends at once (0-RTT), tls spares the certificate alone", Category: transportCategory},
		&cli.IntFlag{Name: "send-buffer", Usage: "of the sockets, `BYTES`", Category: transportCategory},
		&cli.IntFlag{Name: "receive-buffer", Usage: "of the sockets, `BYTES`", Category: transportCategory},

		&cli.BoolFlag{Name: "json", Usage: "the result document on standard output, and nothing else there", Category: outputCategory},
		&cli.StringFlag{Name: "out", Usage: "append the result document to `FILE`, on one line", Category: outputCategory},
		&cli.StringFlag{Name: "records", Usage: "write what became of each message to `FILE`, a row each (CSV)", Category: outputCategory},
		&cli.StringFlag{Name: "html", Usage: "write the report as one page to `FILE`", Category: outputCategory},
		&cli.StringFlag{Name: "qlog", Usage: "write QUIC's events into `DIR`, a file for each connection and end (qvis)", Category: outputCategory},
		&cli.StringFlag{Name: "keylog", Usage: "add the secrets of tls and QUIC to `FILE` (Wireshark)", Category: outputCategory},
		&cli.BoolFlag{Name: "quiet", Usage: "no text and no progress", Category: outputCategory},
		&cli.StringSliceFlag{Name: "expect", Usage: "a condition, as 'delivery.ratio>=0.99'; if it does not hold, exit 4; repeatable", Category: outputCategory},
	}
}

func (p *program) runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "one experiment: one sender, one receiver, one path, one result",
		UsageText: "netcmp run --proto PROTOCOL [flags]",
		Flags:     slices.Concat(experimentFlags(), captureFlags(), profileFlags(), pathFlags()),
		Action:    p.run,
	}
}

// captureFlags are those that have the lab's packets looked at.
func captureFlags() []cli.Flag {
	return append([]cli.Flag{anatomyFlag()}, pcapFlags(outputCategory)...)
}

func anatomyFlag() cli.Flag {
	return &cli.BoolFlag{
		Name: "anatomy", Category: outputCategory,
		Usage: fmt.Sprintf("split each message's delay into waiting, crossing, head-of-line blocked and read late, by the lab's packets (tcp, udp); up to %d messages a second by default", experiment.AnatomyRate),
	}
}

// profileFlags are those that have the ends look at themselves.
func profileFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile-cpu", Usage: "write the CPU profile of both ends, a `FILE` each: of cpu.pprof cpu-client.pprof and cpu-server.pprof (go tool pprof); with --connect of the client alone", Category: outputCategory},
		&cli.StringFlag{Name: "profile-mem", Usage: "the same of what they allocate, into `FILE`", Category: outputCategory},
	}
}

// protocols lists those that there are.
func protocols() string {
	var names []string
	for _, t := range experiment.Transports() {
		names = append(names, t.Name())
	}
	return strings.Join(names, ", ")
}

// specFrom makes the session that the flags ask for.
func specFrom(c *cli.Context, proto string, seed uint64) (s peer.Spec, err error) {
	if c.Args().Present() {
		return s, usagef("%q is not a flag, and %s takes no arguments", c.Args().First(), c.Command.Name)
	}
	plan := workload.Plan{
		Count: c.Int64("count"), Duration: c.Duration("duration"), Size: c.Int("size"),
		Rate: c.Float64("rate-messages"), Saturate: c.Bool("saturate"),
		Arrival: workload.Arrival(c.String("arrival")), Burst: c.Int("burst"), Seed: seed,
	}
	switch {
	case c.IsSet("duration") && plan.Duration <= 0:
		return s, usagef("--duration %v is not positive", plan.Duration)
	case c.IsSet("count") && plan.Count < 1:
		return s, usagef("--count %d: at least 1 message", plan.Count)
	case plan.Burst < 1:
		return s, usagef("--burst %d: at least 1 message", plan.Burst)
	case plan.Saturate && c.IsSet("arrival"):
		return s, usagef("--saturate sends as fast as it can: --arrival cannot stand beside it")
	case plan.Saturate && c.IsSet("rate-messages"):
		return s, usagef("--saturate sends as fast as it can: --rate-messages cannot stand beside it")
	case c.IsSet("duration") && !c.IsSet("count"):
		plan.Count = 0
	}
	if plan.Saturate {
		plan.Rate = 0
	}
	if plan.Arrival != workload.Burst {
		if c.IsSet("burst") {
			return s, usagef("--burst is for --arrival burst")
		}
		plan.Burst = 0
	}
	if err := plan.Validate(); err != nil {
		return s, usage(err)
	}
	s = peer.Spec{
		Proto: proto, Plan: plan,
		Direction: peer.Direction(c.String("direction")), Pattern: peer.Pattern(c.String("pattern")),
		Connection: peer.Connection(c.String("connection")),
		Interval:   c.Duration("interval"),
		Congestion: c.String("congestion"), Nagle: !c.Bool("no-delay"), NoBatch: c.Bool("no-batch"), Resume: c.Bool("resume"),
		SendBuffer: c.Int("send-buffer"), ReceiveBuffer: c.Int("receive-buffer"),
		Messages: c.IsSet("html") || c.IsSet("records") && c.IsSet("connect"),
	}
	if s.Patience = c.Duration("stall-timeout"); c.IsSet("stall-timeout") && (s.Patience < time.Millisecond || s.Patience > peer.MaxPatience) {
		return s, usagef("--stall-timeout %v is out of range: 1ms to 240h", s.Patience)
	}
	if c.IsSet("interval") && s.Interval <= 0 {
		return s, usagef("--interval %v is out of range: 1ms to 1h", s.Interval)
	}
	for _, text := range c.StringSlice("deadline") {
		d, _, err := deadlineFrom(text)
		if err != nil || d <= 0 {
			return s, usagef("--deadline %q is not a time: give one as 50ms or 1.5s", text)
		}
		s.Deadlines = append(s.Deadlines, d)
	}
	return s, nil
}

// configFrom makes the experiment that the flags ask for.
func configFrom(c *cli.Context) (x experiment.Config, err error) {
	if c.String("proto") == "" {
		return x, usagef("--proto is not given; known: %s", protocols())
	}
	if x, err = commonFrom(c, c.String("proto")); err != nil {
		return x, err
	}
	x.Tool = tool()
	if x.Anatomy = c.Bool("anatomy"); !c.IsSet("anatomy") {
		x.Anatomy = x.AnatomyFits()
	}
	pcaps, err := pcapNames(c)
	if err != nil {
		return x, err
	}
	x.Pcap = promised(pcaps)
	if err := filesFrom(c, map[string]*string{"profile-cpu": &x.Profile.CPU, "profile-mem": &x.Profile.Memory}); err != nil {
		return x, err
	}
	x.Command = fmt.Sprintf("%s --seed %d", again(c, "run", outputFlags...), x.Seed)
	if err := x.Validate(); err != nil {
		return x, usage(err)
	}
	return x, nil
}

// traceable says whether any of the protocols writes the files that are asked for,
// and whether any has a session to resume.
func traceable(c *cli.Context, protos []string) error {
	quic := slices.ContainsFunc(protos, func(p string) bool { return strings.HasPrefix(strings.TrimSpace(p), "quic") })
	tls := slices.ContainsFunc(protos, func(p string) bool { return strings.TrimSpace(p) == "tls" })
	switch {
	case c.Bool("resume") && !quic && !tls:
		return usagef("--resume resumes the session of an earlier connection: it takes tls, quic, quic-streams or quic-datagram")
	case c.String("qlog") != "" && !quic:
		return usagef("--qlog is QUIC's own log: it takes quic, quic-streams or quic-datagram")
	case c.String("keylog") != "" && !quic && !tls:
		return usagef("--keylog keeps the secrets of encryption: it takes tls, quic, quic-streams or quic-datagram")
	}
	return nil
}

// filesFrom gives the files that flags name by their whole paths: the ends, which
// write them, are processes of their own.
func filesFrom(c *cli.Context, into map[string]*string) (err error) {
	for flag, to := range into {
		name := c.String(flag)
		if name == "" {
			if c.IsSet(flag) {
				return usagef("--%s is the name of a file, and it is empty", flag)
			}
			continue
		}
		if *to, err = filepath.Abs(name); err != nil {
			return err
		}
	}
	return nil
}

// commonFrom makes an experiment over one protocol or several, not yet looked at
// as a whole.
func commonFrom(c *cli.Context, proto string) (x experiment.Config, err error) {
	if x.Seed, err = seedFrom(c); err != nil {
		return x, err
	}
	x.SeedGiven = c.IsSet("seed")
	if x.Spec, err = specFrom(c, proto, x.Seed); err != nil {
		return x, err
	}
	p, err := pathFrom(c)
	if err != nil {
		return x, err
	}
	x.Path, x.PathDefault, x.Fate, x.Changes = p.path, p.byDefault, p.fate, p.changes
	x.Notes = unitNotes(c, p.lines)
	if x.Engine, err = engineFrom(c); err != nil {
		return x, err
	}
	if err := traceable(c, strings.Split(proto, ",")); err != nil {
		return x, err
	}
	if err := filesFrom(c, map[string]*string{"qlog": &x.Traces.QlogDir, "keylog": &x.Traces.KeyLog}); err != nil {
		return x, err
	}
	x.Connect, x.Fingerprint, x.Impair = c.String("connect"), c.String("fingerprint"), c.Bool("impair")
	if x.Clock = peer.ClockSource(c.String("clock")); !slices.Contains(peer.ClockSources, x.Clock) {
		return x, usagef("--clock %q is unknown; known: auto, estimate, ntp, ptp", x.Clock)
	}
	if c.IsSet("clock") && x.Connect == "" {
		return x, usagef("--clock is about two machines: it goes with --connect")
	}
	if x.Token, err = tokenFrom(c); err != nil {
		return x, err
	}
	if x.Connect != "" && c.IsSet("engine") {
		return x, usagef("--connect measures the path that is there: --engine cannot stand beside it")
	}
	if x.Impair && x.PathDefault {
		return x, usagef("--impair asks the server for a path, and none is given: --netem 'delay 20ms loss 1%%', or --delay, --loss …")
	}
	if x.PathDefault && (x.Engine == experiment.None || x.Connect != "") {
		x.Path, x.PathDefault = netem.Path{}, false
	}
	return x, nil
}

func (p *program) run(c *cli.Context) (err error) {
	x, err := configFrom(c)
	if err != nil {
		return err
	}
	var expects []report.Expect
	for _, text := range c.StringSlice("expect") {
		e, err := report.ParseExpect(text)
		if err != nil {
			return usage(err)
		}
		expects = append(expects, e)
	}
	out, err := openOut(c)
	if err != nil {
		return err
	}
	if out != nil {
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	pcap, err := openPcap(c)
	if err != nil {
		return err
	}
	rows, err := openRecords(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	if x.Spool, err = rows.spool(); err != nil {
		return err
	}
	if x.Spool != nil {
		defer x.Spool.Close()
	}
	x.Pcap = pcap.files
	defer func() { err = errors.Join(err, pcap.close()) }()
	done := func() {}
	if isTerminal(p.stderr) && !c.Bool("quiet") {
		line := report.NewProgressLine(p.stderr, width(p.stderr), report.UseColor(true, os.Getenv))
		x.Progress = func(at peer.Progress) { line.Update(progress(x.Spec.Proto, at)) }
		done = line.Done
	}
	d, runErr := experiment.Run(c.Context, x)
	done()
	if d == nil && c.Context.Err() != nil {
		return exitError{exitInterrupted, errors.New("interrupted before anything was measured")}
	}
	if d == nil {
		return runErr
	}
	runErr = errors.Join(runErr, rows.add(d, x.Spool))
	return p.tell(c, d, runErr, out, expects)
}

// openOut opens --out before anything is measured: a file that cannot be written
// is told at once. It is nil where none was asked for.
func openOut(c *cli.Context) (*report.Appender, error) {
	switch {
	case !c.IsSet("out"):
		return nil, nil
	case c.String("out") == "":
		return nil, usagef("--out is the name of a file, and it is empty")
	}
	return report.OpenAppender(c.String("out"))
}

// writeFiles writes the page, if one was asked for.
func writeFiles(c *cli.Context, x *result.Comparison) error {
	var failed error
	if name := c.String("html"); name != "" {
		failed = errors.Join(failed, writeFile(name, func(w io.Writer) error { return report.HTML(w, x) }))
	}
	return failed
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// tell reports a result in every way that was asked for. No way keeps another
// from being tried.
func (p *program) tell(c *cli.Context, d *result.Document, runErr error, out *report.Appender, expects []report.Expect) error {
	var failed error
	if out != nil {
		failed = out.Append(d)
	}
	failed = errors.Join(failed, writeFiles(c, compare.Saved([]*result.Document{d})[0]))
	// A document that could not be kept is shown, so that it is not lost.
	if !c.Bool("quiet") || failed != nil || c.Bool("json") {
		failed = errors.Join(failed, p.show(p.stdout, d, c.Bool("json")))
	}
	if runErr != nil || failed != nil {
		return errors.Join(runErr, failed)
	}
	if c.Context.Err() != nil {
		return exitError{exitInterrupted, errors.New("interrupted: this is what was measured until then")}
	}
	held := true
	for _, e := range expects {
		o := e.Check(d)
		if !o.Holds || d.IsDisturbed() {
			fmt.Fprintln(p.stderr, "netcmp:", o.Text)
		}
		held = held && o.Holds
	}
	if !held {
		return exitError{code: exitExpect}
	}
	return nil
}

func (p *program) show(w io.Writer, d *result.Document, json bool) error {
	if json {
		return report.JSON(w, d)
	}
	return report.Text(w, d, report.Options{Color: report.UseColor(isTerminal(w), os.Getenv), Width: width(w)})
}

func progress(proto string, at peer.Progress) report.Progress {
	p := report.Progress{
		Label: proto, Elapsed: at.Elapsed, Total: at.Total,
		Sent: at.Sent, Delivered: at.Delivered, Lost: at.Missing, Scheduled: at.Scheduled,
	}
	if at.DelayP50 > 0 {
		p.DelayP50NS = new(int64(at.DelayP50))
	}
	return p
}
