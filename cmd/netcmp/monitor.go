package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/monitor"
	"netcmp/report"
)

// watching are the flags of run that a monitor has no place for, or of its own.
var watching = []string{"proto", "saturate", "records", "html", "qlog", "keylog", "interval", "deadline", "count", "rate-messages", "duration", "expect", "resume"}

func (p *program) monitorCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "protos", Value: "tcp,udp", Usage: "`PROTOCOLS`, one probe of each a round"},
		timeFlag("every", time.Minute, "`TIME` from one round to the next", ""),
		&cli.IntFlag{Name: "rounds", Usage: "end after so many; 0 is never"},
		&cli.StringFlag{Name: "metrics", Usage: "serve Prometheus' metrics by HTTP at `IP:PORT`, as 127.0.0.1:9700"},
		&cli.Int64Flag{Name: "count", Value: 50, Usage: "how many `MESSAGES` a probe", Category: messageCategory},
		&cli.Float64Flag{Name: "rate-messages", Value: 100, Usage: "messages a second", Category: messageCategory},
		&cli.StringSliceFlag{Name: "expect", Usage: "a condition on each probe, as 'delivery.ratio>=0.99'; an alert if it does not hold; repeatable", Category: outputCategory},
	}
	for _, f := range experimentFlags() {
		if !slices.Contains(watching, f.Names()[0]) {
			flags = append(flags, f)
		}
	}
	for _, f := range pathFlags() { // the path is the one that is there
		flags = append(flags, hidden(f))
	}
	return &cli.Command{
		Name: "monitor", Usage: "light probes to another machine, again and again; history, metrics, alerts",
		UsageText: "netcmp monitor --connect HOST:PORT [--every 1m] [flags]",
		Flags:     flags,
		Action:    p.monitor,
	}
}

// monitorFrom makes the probes that the flags ask for.
func monitorFrom(c *cli.Context) (m monitor.Config, err error) {
	if c.String("connect") == "" {
		return m, usagef("--connect is not given: a monitor watches the way to another machine (netcmp serve)")
	}
	if m.Every = c.Duration("every"); m.Every < time.Second || m.Every > 24*time.Hour {
		return m, usagef("--every %v is out of range: 1s to 24h", m.Every)
	}
	if m.Rounds = c.Int("rounds"); m.Rounds < 0 {
		return m, usagef("--rounds %d is negative; 0 is without end", m.Rounds)
	}
	for _, text := range c.StringSlice("expect") {
		e, err := report.ParseExpect(text)
		if err != nil {
			return m, usage(err)
		}
		m.Expects = append(m.Expects, e)
	}
	base, err := commonFrom(c, c.String("protos"))
	if err != nil {
		return m, err
	}
	base.Tool = tool()
	for proto := range strings.SplitSeq(c.String("protos"), ",") {
		x := base
		x.Spec.Proto = strings.TrimSpace(proto)
		x.Command = fmt.Sprintf("%s --proto %s", again(c, "run", append([]string{"protos", "every", "rounds", "metrics"}, outputFlags...)...), x.Spec.Proto)
		if err := x.Validate(); err != nil {
			return m, usage(err)
		}
		m.Probes = append(m.Probes, x)
	}
	return m, nil
}

func (p *program) monitor(c *cli.Context) (err error) {
	if c.Args().Present() {
		return usagef("%q is not a flag, and monitor takes no arguments", c.Args().First())
	}
	config, err := monitorFrom(c)
	if err != nil {
		return err
	}
	out, err := openOut(c)
	if err != nil {
		return err
	}
	if out != nil {
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	var failed error
	config.Told = func(x monitor.Probe) {
		if x.Document != nil && x.Err == nil && out != nil {
			failed = errors.Join(failed, out.Append(x.Document))
		}
		p.tellProbe(c, x)
	}
	p.warn(config.Probes[0].Notes)
	m := monitor.New(config)
	if at := c.String("metrics"); at != "" {
		l, err := (&net.ListenConfig{}).Listen(c.Context, "tcp", at)
		if err != nil {
			return usagef("--metrics: %w", err)
		}
		fmt.Fprintf(p.stderr, "metrics at http://%v/metrics\n", l.Addr())
		mux := http.NewServeMux()
		mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { m.Metrics(w) })
		s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = s.Serve(l) }()
		defer s.Close()
	}
	bad := m.Run(c.Context)
	switch {
	case failed != nil:
		return failed
	case c.Context.Err() != nil:
		return exitError{code: exitInterrupted}
	case bad > 0:
		return exitError{code: exitExpect}
	}
	return nil
}

// tellProbe writes a probe in a line, or as a document.
func (p *program) tellProbe(c *cli.Context, x monitor.Probe) {
	at := time.Now().UTC().Format(time.RFC3339)
	switch d := x.Document; {
	case x.Err != nil:
		fmt.Fprintf(p.stderr, "%s %-13s failed: %v\n", at, x.Proto, x.Err)
	case c.Bool("json"):
		if line, err := report.Line(d); err == nil {
			_, _ = p.stdout.Write(line)
		}
	case !c.Bool("quiet"):
		fmt.Fprintf(p.stdout, "%s %-13s %s\n", at, x.Proto, report.OneLine(d))
	}
	for _, a := range x.Alerts {
		fmt.Fprintf(p.stderr, "%s %-13s alert: %s\n", at, x.Proto, a)
	}
}
