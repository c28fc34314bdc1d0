package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"netcmp/compare"
	"netcmp/peer"
	"netcmp/report"
	"netcmp/result"
)

// formats are the forms that a comparison is shown in.
var formats = map[string]func(io.Writer, *result.Comparison, report.Options) error{
	"text": report.ComparisonText,
	"json": func(w io.Writer, x *result.Comparison, _ report.Options) error { return report.ComparisonJSON(w, x) },
	"markdown": func(w io.Writer, x *result.Comparison, _ report.Options) error {
		return report.ComparisonMarkdown(w, x)
	},
	"csv":  func(w io.Writer, x *result.Comparison, _ report.Options) error { return report.ComparisonCSV(w, x) },
	"html": func(w io.Writer, x *result.Comparison, _ report.Options) error { return report.HTML(w, x) },
}

// formatFrom is the form that the flags ask for.
func formatFrom(c *cli.Context) (name string, show func(io.Writer, *result.Comparison, report.Options) error, err error) {
	name = c.String("format")
	if c.Bool("json") {
		name = "json"
	}
	show, known := formats[name]
	if !known {
		err = usagef("--format %q is unknown; known: %s", name, formatNames)
	}
	return name, show, err
}

const formatNames = "text, json, markdown, csv, html"

// comparing are the flags that one trial does not have.
var comparing = []string{"protos", "repeat", "format", "resume-from", "seed"}

func (p *program) compareCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "protos", Value: "tcp,udp,quic", Usage: "`PROTOCOLS`, two or more of: " + protocols() + "; one that comes twice is compared with itself"},
		&cli.IntFlag{Name: "repeat", Value: compare.DefaultRepeat, Usage: "`TRIALS` of each; with fewer than 6 no two can be told apart"},
		&cli.StringFlag{Name: "format", Value: "text", Usage: "of what is shown: " + formatNames, Category: outputCategory},
		&cli.StringFlag{Name: "resume-from", Usage: "go on where an earlier run of the same comparison ended whose --out was `FILE`", Category: outputCategory},
	}
	for _, f := range experimentFlags() {
		switch f.Names()[0] {
		case "proto":
		case "expect":
			flags = append(flags, &cli.StringSliceFlag{Name: "expect", Category: outputCategory,
				Usage: "a condition on every trial, as 'udp:delivery.ratio>=0.9', on a median, as 'udp:delay_p99_ns<=50ms', or on what is told apart, as 'udp:delay_p99_ns<tcp:delay_p99_ns'; if it does not hold, exit 4; repeatable"})
		default:
			flags = append(flags, f)
		}
	}
	return &cli.Command{
		Name: "compare", Usage: "the same messages over several protocols, repeated and interleaved; what can be told apart",
		UsageText: "netcmp compare [--protos a,b,…] [flags]",
		Flags:     slices.Concat(flags, []cli.Flag{anatomyFlag()}, pathFlags()),
		Action:    p.compare,
	}
}

func (p *program) compare(c *cli.Context) (err error) {
	_, show, err := formatFrom(c)
	if err != nil {
		return err
	}
	base, err := commonFrom(c, c.String("protos"))
	if err != nil {
		return err
	}
	protos := strings.Split(c.String("protos"), ",")
	for i := range protos {
		protos[i] = strings.TrimSpace(protos[i])
	}
	x := compare.Config{
		Arms: compare.Arms(base, protos), Repeat: c.Int("repeat"), Seed: base.Seed, Tool: tool(),
		CommandOf: func(a compare.Arm, seed uint64) string {
			hidden := append(slices.Clone(comparing), outputFlags...)
			if a.Config.Spec.Congestion != base.Spec.Congestion {
				hidden = append(hidden, "congestion")
			}
			if !a.Config.Spec.Resume {
				hidden = append(hidden, "resume")
			}
			if a.Config.NoAnatomy() != "" {
				hidden = append(hidden, "anatomy")
			}
			return fmt.Sprintf("%s --proto %s --seed %d", again(c, "run", hidden...), a.Config.Spec.Proto, seed)
		},
	}
	if !c.IsSet("anatomy") || c.Bool("anatomy") {
		if err := compare.Dissect(x.Arms, c.Bool("anatomy")); err != nil {
			return usage(err)
		}
	}
	if err := x.Validate(); err != nil {
		return usage(err)
	}
	var expects []compare.Expect
	for _, text := range c.StringSlice("expect") {
		e, err := x.ParseExpect(text)
		if err != nil {
			return usage(err)
		}
		expects = append(expects, e)
	}
	if c.IsSet("resume-from") {
		if err := p.resume(c, &x); err != nil {
			return err
		}
	}
	x.Command = fmt.Sprintf("%s --seed %d", again(c, "compare", append([]string{"format", "resume-from"}, outputFlags...)...), x.Seed)
	out, err := openOut(c)
	if err != nil {
		return err
	}
	if out != nil {
		defer func() { err = errors.Join(err, out.Close()) }()
		x.Kept = out.Append
	}
	rows, err := openRecords(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	if rows != nil {
		x.Spool, x.Records = rows.spool, rows.add
	}
	hide := func() {}
	if isTerminal(p.stderr) && !c.Bool("quiet") {
		line := report.NewProgressLine(p.stderr, width(p.stderr), report.UseColor(true, os.Getenv))
		x.Progress = func(arm string, trial, trials int, at peer.Progress) {
			line.Update(progress(fmt.Sprintf("%d/%d %s", trial+1, trials, arm), at))
		}
		hide = line.Done
	}
	found, runErr := compare.Run(c.Context, x)
	hide()
	if found == nil && c.Context.Err() != nil {
		return exitError{exitInterrupted, errors.New("interrupted before any trial was done")}
	}
	if found == nil {
		return runErr
	}
	runErr = errors.Join(runErr, writeFiles(c, found))
	if !c.Bool("quiet") || c.Bool("json") {
		if err := show(p.stdout, found, report.Options{Color: report.UseColor(isTerminal(p.stdout), os.Getenv), Width: width(p.stdout)}); err != nil {
			return errors.Join(runErr, err)
		}
	}
	if runErr != nil {
		return runErr
	}
	if c.Context.Err() != nil {
		return exitError{exitInterrupted, errors.New("interrupted: this is what was measured until then")}
	}
	return p.hold(found, expects)
}

// hold looks whether the conditions hold.
func (p *program) hold(x *result.Comparison, expects []compare.Expect) error {
	held := true
	for _, e := range expects {
		for _, o := range e.Check(x) {
			if !o.Holds {
				fmt.Fprintln(p.stderr, "netcmp:", o.Text)
				held = false
			}
		}
	}
	if !held {
		return exitError{code: exitExpect}
	}
	return nil
}

// resume takes over the trials of an earlier run of the same comparison, and the
// seed that they follow from unless one was given. A run that was killed may have
// left half a trial, or none.
func (p *program) resume(c *cli.Context, x *compare.Config) error {
	name := c.String("resume-from")
	saved, err := readFiles(name)
	if err != nil && !errors.Is(err, report.ErrCut) && !errors.Is(err, errNoResults) {
		return err
	}
	if n := x.Resume(saved.Documents, c.IsSet("seed")); n == 0 && len(saved.Documents) > 0 {
		fmt.Fprintf(p.stderr, "netcmp: none of the results in %s is a trial of this comparison: it begins anew\n", name)
	}
	return nil
}
