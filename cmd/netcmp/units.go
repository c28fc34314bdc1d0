package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/netem"
)

// A number without a unit is taken in one of two units. Times of the path and of messages
// (--delay, --at, --deadline …) are in microseconds, which is what tc has. Times of the run
// (--duration, --interval …) are in seconds. A warning names the unit.

// runTime is the value of a flag that is a time of the run.
type runTime struct {
	value time.Duration
	bare  string // as it was given, if that is a number without a unit
}

// Set reads a time as Go writes it, or a number of seconds.
func (r *runTime) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, bad := strconv.ParseFloat(text, 64)
		if bad != nil || !(math.Abs(seconds) < math.MaxInt64/1e9) {
			return fmt.Errorf("%q is not a time: want one as 500ms, 5s or 2h", text)
		}
		*r = runTime{time.Duration(math.Round(seconds * 1e9)), text}
		return nil
	}
	*r = runTime{value: d}
	return nil
}

// String is what cli.Context.Duration reads.
func (r *runTime) String() string { return r.value.String() }

// Get returns the time.Duration.
func (r *runTime) Get() any { return r.value }

// timeFlag is a flag that is a time of the run.
func timeFlag(name string, value time.Duration, usage, category string) cli.Flag {
	return &cli.GenericFlag{Name: name, Value: &runTime{value: value}, Usage: usage, Category: category}
}

// deadlineFrom reads a time of messages: as Go writes it, or in microseconds as tc does.
func deadlineFrom(text string) (d time.Duration, bare bool, err error) {
	if d, err = time.ParseDuration(text); err == nil {
		return d, false, nil
	}
	if _, bad := strconv.ParseFloat(text, 64); bad != nil {
		return 0, false, err
	}
	d, err = netem.ParseDuration(text)
	return d, true, err
}

// notesMax bounds the warnings about units: a timeline may have a hundred thousand lines.
const notesMax = 8

// unitNotes returns a warning for each number without a unit among a command's flags: it
// names the unit that was taken and what to write. changes are the lines of the timeline.
func unitNotes(c *cli.Context, changes []string) (notes []string) {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		flag, value := "--"+name, c.String(name)
		switch name {
		case "delay", "rate":
			notes = append(notes, prefixed("--", netem.BareNumbers(name+" "+value))...)
		case "jitter":
			notes = append(notes, prefixed("--", netem.BareNumbers("delay 1ms "+value))...)
		case "max-rate":
			notes = append(notes, prefixed("--max-", netem.BareNumbers("rate "+value))...)
		case "netem", "netem-up", "netem-down", "ingress":
			notes = append(notes, prefixed(flag+": ", netem.BareNumbers(value))...)
		case "at", "timeline":
			notes = append(notes, prefixed(flag+": ", netem.BareInTimeline(changes))...)
		case "deadline":
			for _, text := range c.StringSlice(name) {
				if _, bare, err := deadlineFrom(text); bare && err == nil {
					notes = append(notes, fmt.Sprintf("%s %s: taken as %s µs, as --delay is; write %sus, or %sms for milliseconds", flag, text, text, text, text))
				}
			}
		}
		if g, ok := f.(*cli.GenericFlag); ok {
			if r, ok := g.Value.(*runTime); ok && r.bare != "" && r.value != 0 {
				notes = append(notes, fmt.Sprintf("%s %s: taken as %s s; write %ss, or %sms for milliseconds", flag, r.bare, r.bare, r.bare, r.bare))
			}
		}
	}
	if n := len(notes); n > notesMax {
		notes = append(notes[:notesMax:notesMax], fmt.Sprintf("%d more numbers have no unit", n-notesMax))
	}
	return notes
}

func prefixed(prefix string, notes []string) []string {
	for i := range notes {
		notes[i] = prefix + notes[i]
	}
	return notes
}

// warn writes warnings where no document has them.
func (p *program) warn(notes []string) {
	for _, n := range notes {
		fmt.Fprintln(p.stderr, "netcmp: warning:", n)
	}
}
