package compare

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"netcmp/report"
	"netcmp/result"
)

// Expect is a condition on a comparison. It begins with an arm:
//
//	udp:delivery.ratio>=0.9                  every trial of the arm
//	udp:delay_p99_ns<=50ms                   the median of its trials
//	quic-streams:held_ratio<quic:held_ratio  two arms, told apart
//
// The last holds when the trials decide it, and not already when the one median
// is smaller than the other.
type Expect struct {
	text   string
	arm    string
	metric string        // "": every trial
	other  string        // the arm that is told apart from arm; "" for none
	less   bool          // than other
	one    report.Expect // on a trial or the median
}

// metricNames are the names of those metrics that are wanted.
func metricNames(wanted func(metric) bool) []string {
	var names []string
	for _, m := range metrics {
		if wanted(m) {
			names = append(names, m.name)
		}
	}
	return names
}

func anyMetric(metric) bool      { return true }
func judgedMetric(m metric) bool { return m.better != 0 }

// ParseExpect reads a condition on the comparison, and refuses what it cannot
// answer.
func (c Config) ParseExpect(s string) (Expect, error) {
	e, err := parseExpect(s, c.plan().Arms)
	if err != nil {
		return Expect{}, fmt.Errorf("expect %q: %w", s, err)
	}
	return e, nil
}

func parseExpect(s string, arms []string) (Expect, error) {
	arm, condition, _ := strings.Cut(s, ":")
	e := Expect{text: strings.TrimSpace(s), arm: strings.TrimSpace(arm)}
	if !slices.Contains(arms, e.arm) {
		return e, fmt.Errorf("begin with the protocol it is for, as in '%s:delivery.ratio>=0.9'; known: %s", arms[0], strings.Join(arms, ", "))
	}
	left, op, right, err := report.SplitExpect(condition)
	if err != nil {
		return e, err
	}
	all := metricNames(anyMetric)
	if !slices.Contains(all, left) {
		e.one, err = report.ParseExpect(condition)
		if err != nil && !strings.Contains(left, ".") {
			err = fmt.Errorf("%w; metrics: %s", errors.Unwrap(err), strings.Join(all, ", "))
		} else if err != nil {
			err = errors.Unwrap(err)
		}
		return e, err
	}
	e.metric = left
	other, metric, between := strings.Cut(right, ":")
	if !between {
		if e.one, err = report.ParseFigureExpect(condition, all); err != nil {
			err = errors.Unwrap(err)
		}
		return e, err
	}
	e.other, e.less = other, op == "<"
	switch judged := metricNames(judgedMetric); {
	case !slices.Contains(arms, e.other) || e.other == e.arm:
		return e, fmt.Errorf("%s is no other to be told apart from %s; known: %s", e.other, e.arm, strings.Join(arms, ", "))
	case metric != e.metric:
		return e, fmt.Errorf("two are told apart by one metric, not by %s and %s", e.metric, metric)
	case op != "<" && op != ">":
		return e, fmt.Errorf("two are told apart by < or >, not by %s", op)
	case !slices.Contains(judged, e.metric):
		return e, fmt.Errorf("%s tells no two apart; those that do: %s", e.metric, strings.Join(judged, ", "))
	}
	return e, nil
}

// Check holds the condition against a comparison. A condition on every trial has
// an outcome for each.
func (e Expect) Check(x *result.Comparison) []report.Outcome {
	if e.other != "" {
		return []report.Outcome{e.apart(x)}
	}
	if e.metric != "" {
		f := figureOf(x, e.metric, e.arm)
		o := e.one.CheckFigure(f)
		n := 0
		if f != nil {
			n = f.N
		}
		o.Text = fmt.Sprintf("%s, median of %d: %s", e.arm, n, o.Text)
		return []report.Outcome{o}
	}
	var all []report.Outcome
	for _, d := range x.Trials {
		if d.Trial == nil || d.Trial.Arm != e.arm {
			continue
		}
		o := e.one.Check(d)
		o.Text = fmt.Sprintf("%s, block %d: %s", e.arm, d.Trial.Block+1, o.Text)
		all = append(all, o)
	}
	return all
}

// apart says whether the trials decide that the one arm has less than the other,
// or more.
func (e Expect) apart(x *result.Comparison) report.Outcome {
	say := func(holds bool, format string, args ...any) report.Outcome {
		words := "does not hold"
		if holds {
			words = "holds"
		}
		return report.Outcome{Holds: holds, Text: "expect " + e.text + ": " + words + ", " + fmt.Sprintf(format, args...)}
	}
	i := slices.IndexFunc(x.Differences, func(d result.Difference) bool {
		return d.Metric == e.metric && (d.A == e.arm && d.B == e.other || d.A == e.other && d.B == e.arm)
	})
	mine, theirs := figureOf(x, e.metric, e.arm), figureOf(x, e.metric, e.other)
	if i < 0 || mine == nil || theirs == nil {
		return say(false, "it was not measured of both")
	}
	medians := fmt.Sprintf("%s against %s", medianText(mine), medianText(theirs))
	d := x.Differences[i]
	switch {
	case d.Verdict != result.CannotTell:
	case d.N < fewest:
		return say(false, "cannot tell: it is %s, and that takes at least %d samples of each, not %d", medians, fewest, d.N)
	default:
		return say(false, "cannot tell: it is %s in %d samples of each", medians, d.N)
	}
	better := (d.Verdict == "a") == (d.A == e.arm) // which the arm is
	less := better == (metricNamed(e.metric).better < 0)
	return say(less == e.less, "it is %s", medians)
}

func figureOf(x *result.Comparison, metric, arm string) *result.Figure {
	for i := range x.Table {
		if f := &x.Table[i]; f.Metric == metric && f.Arm == arm {
			return f
		}
	}
	return nil
}

func medianText(f *result.Figure) string {
	switch {
	case f.Infinite:
		return "∞ (lost)"
	case f.Median == nil:
		return "–"
	}
	return report.FigureText(f.Metric, *f.Median)
}
