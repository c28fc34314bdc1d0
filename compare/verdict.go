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
	if len(x.Plan.Arms) == 1 && len(x.Trials) == 1 { // a run that stands alone
		return report.Sentences(x.Trials[0])
	}
	var said []string
	switch {
	case x.Disturbed > 0 && x.Plan.Repeat == 1:
		said = append(said, fmt.Sprintf("%d of %d runs were disturbed: do not trust their figures.", x.Disturbed, len(x.Trials)))
	case x.Disturbed > 0:
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
	if len(s.blocks) >= fewest {
		said = append(said, s.crossings()...)
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

// reliable reports whether an arm's transport retransmits what was lost.
func (s *sample) reliable(arm string) bool {
	for _, d := range s.trials[arm] {
		return report.Reliable(d)
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
		parts = append(parts, report.Percent(*f.Median)+" head-of-line blocked")
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

// crossing says which of two arms to choose for which deadline. It says so only of
// what the trials show: that an arm is ahead at some deadline (sample.ahead), and of the
// deadline at which they change places, that its interval has two ends, holds the
// median, and lies above the least delay of the path, below which neither has anything.
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
	if len(at) < fewest {
		return ""
	}
	span := report.Duration(deadlineMin) + " to " + report.Duration(deadlineMax)
	mid, low, high := median(at)
	const always = deadlineMax
	switch {
	case slices.Max(at) == 0:
		if s.ahead(call, letters, 0, always) {
			return fmt.Sprintf("Any deadline from %s: %s is at least as good as %s.", span, call, letters)
		}
		return ""
	case slices.Min(at) == math.Inf(1):
		if s.ahead(letters, call, 0, always) {
			return fmt.Sprintf("Any deadline from %s: choose %s before %s.", span, letters, call)
		}
		return ""
	case low <= 0 || math.IsInf(high, 1) || low <= s.least(letters, call) || mid < low || mid > high,
		!s.ahead(letters, call, 0, mid), !s.ahead(call, letters, mid, always):
		return fmt.Sprintf("Which deadline makes %s the better choice than %s: cannot tell.", call, letters)
	}
	interval := report.Duration(int64(low)) + "–" + report.Duration(int64(high))
	return fmt.Sprintf("Deadline below %s (95 %%: %s): choose %s. Above: choose %s.", report.Duration(int64(mid)), interval, letters, call)
}

// standings say by every metric who is best, and of whom that can be told.
func (s *sample) standings(x *result.Comparison) []string {
	var said, undecided []string
	for _, m := range metrics {
		if m.better == 0 {
			continue
		}
		first, figures := s.best(x, m)
		if len(first) == 0 || len(figures) < 2 {
			continue
		}
		name := report.FigureName(m.name)
		var beaten, unclear []string
		for _, arm := range s.arms {
			switch {
			case slices.Contains(first, arm) || figures[arm] == "":
			case !slices.ContainsFunc(first, func(a string) bool { return !s.beats(x, m, a, arm) }):
				beaten = append(beaten, arm+" ("+figures[arm]+")")
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
		text := capital(name) + ": " + listed(first) + verb + figures[first[0]] + ", before " + listed(beaten)
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
		return "Whether " + many + " blocked less than " + one + ": cannot tell."
	}
	share := func(arm string) string {
		m, _, _ := median(s.values(metricNamed(metric), arm))
		return report.FigureText(metric, m)
	}
	less, more := many, one
	if (d.Verdict == "a") == (d.A == one) {
		less, more = one, many
	}
	return fmt.Sprintf("%s blocked less than %s: %s against %s of the messages (p = %.2g, %d paired repeats).",
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

// best returns the arms whose median is best, as far as the digits printed show, in
// the order of the arms; and every arm's median in words.
func (s *sample) best(x *result.Comparison, m metric) (first []string, figures map[string]string) {
	figures = map[string]string{}
	top, text := math.Inf(-m.better), ""
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
			figures[f.Arm] = "lost: so many never arrived"
		default:
			continue
		}
		if text == "" || float64(m.better)*(v-top) > 0 {
			top, text = v, figures[f.Arm]
		}
	}
	for _, arm := range s.arms {
		if text != "" && figures[arm] == text {
			first = append(first, arm)
		}
	}
	return first, figures
}

// beats says that a is better than b by a metric, and that this can be told.
func (s *sample) beats(x *result.Comparison, m metric, a, b string) bool {
	return slices.ContainsFunc(x.Differences, func(d result.Difference) bool {
		return d.Metric == m.name && (d.A == a && d.B == b && d.Verdict == "a" || d.A == b && d.B == a && d.Verdict == "b")
	})
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
