package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/experiment"
	"netcmp/peer"
	"netcmp/report"
	"netcmp/result"
)

// searching are the flags of run that a search for the rate has no place for: it
// looks for the rate itself, and keeps no trial.
var searching = []string{
	"count", "rate-messages", "saturate", "out", "records", "html", "qlog", "keylog", "expect", "interval", "deadline",
}

func (p *program) findRateCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "loss-limit", Value: "0", Usage: "the share of the messages that may be lost, `PERCENT` as 0.1%"},
	}
	for _, f := range experimentFlags() {
		name := f.Names()[0]
		switch {
		case name == "duration":
			flags = append(flags, timeFlag(name, experiment.DefaultTrial, "of each trial", messageCategory))
		case slices.Contains(searching, name):
			flags = append(flags, hidden(f))
		default:
			flags = append(flags, f)
		}
	}
	return &cli.Command{
		Name: "find-rate", Usage: "the highest rate at which messages are delivered whole (RFC 2544)",
		UsageText: "netcmp find-rate --proto PROTOCOL [--loss-limit PERCENT] [flags]",
		Flags:     append(flags, pathFlags()...),
		Action:    p.findRate,
	}
}

// hidden is a flag that no help tells of.
func hidden(f cli.Flag) cli.Flag {
	switch f := f.(type) {
	case *cli.StringFlag:
		f.Hidden = true
	case *cli.StringSliceFlag:
		f.Hidden = true
	case *cli.BoolFlag:
		f.Hidden = true
	case *cli.Int64Flag:
		f.Hidden = true
	case *cli.Float64Flag:
		f.Hidden = true
	case *cli.GenericFlag:
		f.Hidden = true
	}
	return f
}

// lossLimitFrom reads a share as tc writes one, or as a bare 0.
func lossLimitFrom(c *cli.Context) (float64, error) {
	text := c.String("loss-limit")
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent && v != 0 || v < 0 || v >= 100 {
		return 0, usagef("--loss-limit %q is no share of messages: give one as 0.1%%, below 100%%", text)
	}
	return v / 100, nil
}

func (p *program) findRate(c *cli.Context) error {
	var s experiment.RateSearch
	for _, name := range searching {
		if c.IsSet(name) {
			return usagef("--%s has no place here: find-rate looks for the rate itself, and keeps no trial", name)
		}
	}
	var err error
	if s.LossLimit, err = lossLimitFrom(c); err != nil {
		return err
	}
	if c.String("proto") == "" {
		return usagef("--proto is not given; known: %s", protocols())
	}
	if s.Duration = c.Duration("duration"); s.Duration < 100*time.Millisecond || s.Duration > time.Hour {
		return usagef("--duration %v is out of range: 100ms to 1h", s.Duration)
	}
	x, err := commonFrom(c, c.String("proto"))
	if err != nil {
		return err
	}
	x.Tool = tool()
	x.Command = fmt.Sprintf("%s --seed %d", again(c, "find-rate", outputFlags...), x.Seed)
	if err := x.Validate(); err != nil {
		return usage(err)
	}
	p.warn(x.Notes) // the document of a search has no warnings
	done := func() {}
	if isTerminal(p.stderr) && !c.Bool("quiet") {
		line := report.NewProgressLine(p.stderr, width(p.stderr), report.UseColor(true, os.Getenv))
		label := "saturating"
		x.Progress = func(at peer.Progress) { line.Update(progress(label, at)) }
		s.Progress = func(n int, t result.RateTrial) { label = report.RateTrialText(n, t) }
		done = line.Done
	}
	found, runErr := experiment.FindRate(c.Context, x, s)
	done()
	if found == nil && c.Context.Err() != nil {
		return exitError{exitInterrupted, errors.New("interrupted before any trial was done")}
	}
	if found == nil {
		return runErr
	}
	switch {
	case c.Bool("json"):
		err = report.RateJSON(p.stdout, found)
	case !c.Bool("quiet"):
		err = report.RateText(p.stdout, found, report.Options{Color: report.UseColor(isTerminal(p.stdout), os.Getenv), Width: width(p.stdout)})
	}
	if c.Context.Err() != nil {
		return errors.Join(err, exitError{exitInterrupted, errors.New("interrupted: this is what was found until then")})
	}
	return errors.Join(runErr, err)
}
