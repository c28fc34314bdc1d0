package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"netcmp/report"
	"netcmp/result"
)

// verdict says in words what the figures allow. No sentence is there without
// the figures it stands on.
func (s *sample) verdict(x *result.Comparison) []string {
	if who, n := s.unexplained(); n != 0 {
		return []string{fmt.Sprintf("No verdict: %s of %s are unexplained, so what the path did is in doubt.", report.Count(n)+" messages", who)}
	}
	var said []string
	if x.Disturbed > 0 {
		said = append(said, fmt.Sprintf("This machine was too busy: %d of %d trials were disturbed and do not count. Close other programs and repeat.", x.Disturbed, len(x.Trials)))
	}
	if n := len(s.blocks); n < fewest {
		said = append(said, fmt.Sprintf("Cannot tell any two apart: that takes at least %d samples of each, and there are %d.", fewest, n))
	}
	for _, arm := range s.arms {
		if text := s.describe(x, arm); text != "" {
			said = append(said, text)
		}
	}
	said = append(said, s.crossings()...)
	if len(s.blocks) >= fewest {
		said = append(said, s.standings(x)...)
	}
	return said
}

// unexplained is the first arm whose account does not add up.
func (s *sample) unexplained() (arm string, n int64) {
	for _, arm := range s.arms {
		for _, block := range s.blocks {
			d := s.trials[arm][block]
			if d == nil {
				continue
			}
			for _, m := range []*result.Measured{&d.Measured, d.Reverse} {
				if m != nil && m.Account != nil && m.Account.Unexplained != nil && *m.Account.Unexplained != 0 {
					return arm, *m.Account.Unexplained
				}
			}
		}
	}
	return "", 0
}

// reliable says whether an arm sends again what was lost: it then has no account
// of datagrams.
func (s *sample) reliable(arm string) bool {
	for _, d := range s.trials[arm] {
		return d.Account == nil
	}
	return false
}

// describe tells of one arm by the medians of its trials.
func (s *sample) describe(x *result.Comparison, arm string) string {
	get := func(metric string) *result.Figure { return figureOf(x, metric, arm) }
	ratio := get("delivery_ratio")
	if ratio == nil || ratio.Median == nil {
		return ""
	}
	var parts []string
	if *ratio.Median == 1 {
		parts = append(parts, "everything arrived")
	} else {
		parts = append(parts, report.Percent(*ratio.Median)+" arrived")
	}
	if f := get("delay_p50_ns"); f != nil && f.Median != nil {
		parts = append(parts, "half within "+report.FigureText(f.Metric, *f.Median))
	}
	if f := get("delay_p99_ns"); f != nil && f.Median != nil {
		parts = append(parts, "99 % within "+report.FigureText(f.Metric, *f.Median))
	}
	if f := get("held_ratio"); f != nil && f.Median != nil && *f.Median > 0 {
		parts = append(parts, report.Percent(*f.Median)+" had to wait behind another")
	}
	if f := get("reordered_ratio"); f != nil && f.Median != nil && *f.Median > 0 {
		parts = append(parts, report.Percent(*f.Median)+" came out of order")
	}
	if f := get("goodput_bps"); f != nil && f.Median != nil {
		parts = append(parts, report.FigureText(f.Metric, *f.Median))
	}
	return arm + ": " + strings.Join(parts, ", ") + "."
}

// crossings say, for letters against calls, up to which deadline which of them
// has more messages in time.
func (s *sample) crossings() []string {
	var said []string
	for _, letters := range s.arms {
		if s.reliable(letters) {
			continue
		}
		for _, call := range s.arms {
			if s.reliable(call) && (encrypted(letters) == encrypted(call) || len(s.arms) == 2) && !strings.HasSuffix(call, "streams") {
				if text := s.crossing(letters, call); text != "" {
					said = append(said, text)
				}
			}
		}
	}
	return said
}

// encrypted arms are compared with their like.
func encrypted(arm string) bool {
	return strings.HasPrefix(arm, "quic") || strings.HasPrefix(arm, "tls")
}

func (s *sample) crossing(letters, call string) string {
	var at []float64
	for _, block := range s.blocks {
		a, b := s.trials[letters][block], s.trials[call][block]
		if a == nil || b == nil {
			continue
		}
		if v, ok := crossing(a, b); ok {
			at = append(at, v)
		}
	}
	if len(at) == 0 {
		return ""
	}
	span := report.Duration(deadlineMin) + " to " + report.Duration(deadlineMax)
	mid, low, high := median(at)
	switch {
	case mid == 0 && slices.Max(at) == 0:
		return fmt.Sprintf("Whatever the deadline, from %s: %s has at least as many messages in time as %s.", span, call, letters)
	case slices.Min(at) == math.Inf(1):
		return fmt.Sprintf("Whatever the deadline, from %s: %s has more messages in time than %s.", span, letters, call)
	case mid == 0 || math.IsInf(mid, 1):
		return fmt.Sprintf("Up to which deadline %s has more messages in time than %s: cannot tell.", letters, call)
	}
	var interval string
	switch {
	case len(at) < fewest:
		interval = fmt.Sprintf(" (%d blocks, too few for an interval)", len(at))
	case low == 0 || math.IsInf(high, 1):
		interval = fmt.Sprintf(" (95 %% interval: no narrower than %s)", span)
	default:
		interval = fmt.Sprintf(" (95 %% interval %s to %s)", report.Duration(int64(low)), report.Duration(int64(high)))
	}
	return fmt.Sprintf("Where a message is worthless after less than %s%s, %s has more of them in time; from there on %s does.",
		report.Duration(int64(mid)), interval, letters, call)
}

// standings say by every metric who is best, and of whom that can be told.
func (s *sample) standings(x *result.Comparison) []string {
	var said, undecided []string
	for _, m := range metrics {
		if m.better == 0 {
			continue
		}
		best, figures := s.best(x, m)
		if best == "" || len(figures) < 2 {
			continue
		}
		name := report.FigureName(m.name)
		first := []string{best} // and those that have the very same
		var beaten, unclear []string
		for _, arm := range s.arms {
			switch {
			case arm == best || figures[arm] == "":
			case s.beats(x, m, best, arm):
				beaten = append(beaten, arm+" ("+figures[arm]+")")
			case figures[arm] == figures[best]:
				first = append(first, arm)
			default:
				unclear = append(unclear, arm)
			}
		}
		if len(beaten) == 0 {
			undecided = append(undecided, name)
			continue
		}
		verb := " is best with "
		if len(first) > 1 {
			verb = " are best with "
		}
		text := capital(name) + ": " + listed(first) + verb + figures[best] + ", before " + listed(beaten)
		if len(unclear) > 0 {
			text += "; " + first[0] + " or " + strings.Join(unclear, " or ") + ": cannot tell"
		}
		said = append(said, text+".")
	}
	if text := s.headOfLine(x); text != "" {
		said = append(said, text)
	}
	if len(undecided) > 0 {
		said = append(said, "Cannot tell: "+strings.Join(undecided, ", ")+".")
	}
	return said
}

// headOfLine says what a stream a message is good for (RFC 9000 §2).
func (s *sample) headOfLine(x *result.Comparison) string {
	const one, many, metric = "quic", "quic-streams", "held_ratio"
	i := slices.IndexFunc(x.Differences, func(d result.Difference) bool {
		return d.Metric == metric && (d.A == one && d.B == many || d.A == many && d.B == one)
	})
	if i < 0 {
		return ""
	}
	d := x.Differences[i]
	if d.Verdict == result.CannotTell || d.P == nil {
		return "Whether " + many + " held back less than " + one + ": cannot tell."
	}
	share := func(arm string) string {
		m, _, _ := median(s.values(metricNamed(metric), arm))
		return report.FigureText(metric, m)
	}
	less, more := many, one
	if (d.Verdict == "a") == (d.A == one) {
		less, more = one, many
	}
	return fmt.Sprintf("%s held back less than %s: %s against %s of the messages (p = %.2g, %d paired repeats).",
		less, more, share(less), share(more), *d.P, d.N)
}

func metricNamed(name string) metric {
	return metrics[slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })]
}

// listed joins names as a sentence does.
func listed(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// best is the arm whose median is best, and everybody's median in words.
func (s *sample) best(x *result.Comparison, m metric) (best string, figures map[string]string) {
	figures = map[string]string{}
	top := 0.0
	for _, f := range x.Table {
		if f.Metric != m.name {
			continue
		}
		v := math.Inf(1)
		switch {
		case f.Median != nil:
			v = *f.Median
			figures[f.Arm] = report.FigureText(f.Metric, v)
		case f.Infinite:
			figures[f.Arm] = "∞, so many were lost"
		default:
			continue
		}
		if best == "" || float64(m.better)*(v-top) > 0 {
			best, top = f.Arm, v
		}
	}
	return best, figures
}

// beats says that a is better than b by a metric, and that this can be told.
func (s *sample) beats(x *result.Comparison, m metric, a, b string) bool {
	return slices.ContainsFunc(x.Differences, func(d result.Difference) bool {
		return d.Metric == m.name && (d.A == a && d.B == b && d.Verdict == "a" || d.A == b && d.B == a && d.Verdict == "b")
	})
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
