package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/guptarohit/asciigraph"
	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"

	"netcmp/result"
)

// ComparisonJSON writes a comparison for a program.
func ComparisonJSON(w io.Writer, x *result.Comparison) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(x); err != nil {
		return fmt.Errorf("report: comparison: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// ComparisonText writes a comparison for a person: what was asked, the table
// with an arm a column, the curve of what is usable within a deadline, and the
// verdict.
func ComparisonText(w io.Writer, x *result.Comparison, o Options) error {
	p := &page{o: o}
	p.rows(comparisonHead(x))
	p.blank()
	for line := range strings.Lines(tabulate(x).Render()) {
		p.b.WriteString(" " + strings.TrimRight(line, " \n") + "\n")
	}
	if slices.ContainsFunc(x.Differences, func(d result.Difference) bool { return d.Verdict != result.CannotTell }) {
		p.line("", p.dim("* best, and told apart from all the others"))
	}
	if note := heldNote(x); note != "" {
		p.line("", p.dim(note))
	}
	p.blank()
	if drawing := drawCurves(x, o); drawing != "" {
		p.b.WriteString(drawing)
		p.blank()
	}
	for _, sentence := range x.Verdict {
		p.paragraph(printable(sentence))
	}
	for _, warning := range x.Warnings {
		p.rows([]row{{label: "warning", c: printable(warning)}})
	}
	if x.Plan.Command != "" {
		p.verbatim("again", printable(x.Plan.Command))
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// comparisonHead says what was asked, in the words of the first trial.
func comparisonHead(x *result.Comparison) []row {
	if len(x.Trials) == 0 {
		return []row{{label: "messages", c: notMeasured}}
	}
	d := *x.Trials[0]
	d.Seed = x.Plan.Seed
	messages := messagesRow(&d)
	messages.c, _, _ = strings.Cut(messages.c, ", over ")
	done := map[int]bool{}
	for _, t := range x.Trials {
		if t.Trial != nil {
			done[t.Trial.Block] = true
		}
	}
	head := []row{pathRow(&d), messages}
	switch {
	case x.Interrupted:
		head = append(head, row{label: "repeats", c: fmt.Sprintf("interrupted: %d trials of %d", len(x.Trials), x.Plan.Repeat*len(x.Plan.Arms))})
	case x.Plan.Repeat > 1:
		c := fmt.Sprintf("%d times each, in random order", x.Plan.Repeat)
		if x.Repeated > 0 {
			c += fmt.Sprintf("; %s made again that this machine had disturbed", counted(int64(x.Repeated), "trial"))
		}
		head = append(head, row{label: "repeats", c: c})
	}
	switch {
	case len(x.Trials) == 1:
		head = append(disturbedRow(&d), head...)
	case x.Disturbed > 0 && x.Plan.Repeat == 1:
		var arms []string
		for _, t := range x.Trials {
			if t.IsDisturbed() && t.Trial != nil {
				arms = append(arms, printable(t.Trial.Arm))
			}
		}
		head = append([]row{{label: "DISTURBED", c: "do not trust the figures of " + strings.Join(arms, ", ") + ". Close other programs and repeat.", loud: true}}, head...)
	case x.Disturbed > 0:
		c := fmt.Sprintf("%d of %d trials are disturbed and count for nothing. Close other programs and repeat.", x.Disturbed, len(x.Trials))
		head = append([]row{{label: "DISTURBED", c: c, loud: true}}, head...)
	}
	return head
}

// usualDeadlines are those of the table, ns, where none were asked for.
var usualDeadlines = []int64{50e6, 100e6, 200e6, 500e6}

// deadlinesShown returns the deadlines whose shares are shown: those that were asked for,
// or the usual ones that a message can meet at all.
func deadlinesShown(x *result.Comparison, usual []int64) []int64 {
	least := int64(math.MaxInt64)
	asked := []int64{}
	for _, d := range x.Trials {
		if d.Delay != nil && d.Delay.MinNS != nil {
			least = min(least, *d.Delay.MinNS)
		}
		if len(asked) == 0 {
			for _, w := range d.Deadline {
				asked = append(asked, w.WithinNS)
			}
		}
	}
	if len(asked) > 0 && !slices.Equal(asked, defaultDeadlines) {
		return asked
	}
	return slices.DeleteFunc(slices.Clone(usual), func(w int64) bool { return least != math.MaxInt64 && w <= least })
}

// defaultDeadlines are those of a run for which none were asked.
var defaultDeadlines = []int64{10e6, 20e6, 50e6, 100e6, 200e6, 500e6, 1e9, 2e9}

// inTimeText writes inTime, or the share that the arm's curve has.
func inTimeText(x *result.Comparison, arm string, within int64) string {
	if v, ok := inTime(x, arm, within); ok {
		return Percent(v)
	}
	for _, c := range x.Usable {
		i := slices.IndexFunc(c.Points, func(p result.CurvePoint) bool { return p.WithinNS == within })
		if c.Arm == arm && i >= 0 {
			return Percent(c.Points[i].Ratio)
		}
	}
	return unknown
}

// inTime returns the median share of an arm's due messages that arrived within a
// deadline, over its undisturbed trials.
func inTime(x *result.Comparison, arm string, within int64) (float64, bool) {
	var all []float64
	for _, d := range x.Trials {
		if d.Trial == nil || d.Trial.Arm != arm || d.IsDisturbed() && x.Plan.Repeat > 1 {
			continue
		}
		for _, w := range d.Deadline {
			if w.WithinNS == within && w.InTimeRatio != nil {
				all = append(all, *w.InTimeRatio)
			}
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2, true
}

// tabulate is the table: a column for each arm, a row for each metric.
func tabulate(x *result.Comparison) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = pretty.FormatDefault
	head := table.Row{""}
	columns := []table.ColumnConfig{{Number: 1, Align: pretty.AlignLeft}}
	for i, arm := range x.Plan.Arms {
		head = append(head, printable(arm))
		columns = append(columns, table.ColumnConfig{Number: i + 2, Align: pretty.AlignRight, AlignHeader: pretty.AlignRight})
	}
	t.AppendHeader(head)
	t.SetColumnConfigs(columns)
	for _, metric := range metricsOf(x) {
		r := table.Row{FigureName(metric)}
		for _, arm := range x.Plan.Arms {
			r = append(r, cell(x, metric, arm))
		}
		t.AppendRow(r)
		if metric == "held_ratio" {
			usableRows(t, x)
		}
		if metric == "delay_p99_ns" {
			anatomyRows(t, x)
		}
	}
	return t
}

// metricsOf are those of the table, in its order.
func metricsOf(x *result.Comparison) []string {
	var names []string
	for _, f := range x.Table {
		if !slices.Contains(names, f.Metric) {
			names = append(names, f.Metric)
		}
	}
	return names
}

// cell is a median with half of its interval's width.
func cell(x *result.Comparison, metric, arm string) string {
	i := slices.IndexFunc(x.Table, func(f result.Figure) bool { return f.Metric == metric && f.Arm == arm })
	switch {
	case i < 0:
		return unknown
	case x.Table[i].Infinite:
		return infinite + " (lost)"
	case x.Table[i].Median == nil:
		return unknown
	}
	f := &x.Table[i]
	s := FigureText(metric, *f.Median)
	if f.CILow != nil && f.CIHigh != nil {
		if half := (*f.CIHigh - *f.CILow) / 2; half > 0 && half >= math.Abs(*f.Median)/1000 {
			s += " ±" + FigureText(metric, half)
		}
	}
	if bestByFar(x, metric, arm) {
		s += " *"
	}
	return s
}

// bestByFar says that an arm is better than every other by a metric, and that
// all of that can be told.
func bestByFar(x *result.Comparison, metric, arm string) bool {
	others := 0
	for _, d := range x.Differences {
		switch {
		case d.Metric != metric || d.A != arm && d.B != arm:
			continue
		case d.A == arm && d.Verdict != "a", d.B == arm && d.Verdict != "b":
			return false
		}
		others++
	}
	return others > 0
}

// anatomyRows say where the slowest hundredth's time went: medians of the trials, of
// the arms whose packets show it.
func anatomyRows(t table.Writer, x *result.Comparison) {
	for _, part := range delayParts {
		r, some := table.Row{"  " + part.name + ", p99"}, false
		for _, arm := range x.Plan.Arms {
			v, ok := medianOfTrials(x, arm, func(d *result.Document) *int64 {
				if d.Anatomy == nil {
					return nil
				}
				if q := part.all(d.Anatomy); q != nil {
					return &q.P99
				}
				return nil
			})
			text := unknown
			if some = some || ok; ok {
				text = Duration(int64(v))
			}
			r = append(r, text)
		}
		if some {
			t.AppendRow(r)
		}
	}
}

// heldNote says that head-of-line blocking is estimated of all arms, where the packets of
// some show it and the anatomy therefore says something else.
func heldNote(x *result.Comparison) string {
	shown, estimated := false, false
	for _, d := range x.Trials {
		shown = shown || d.Anatomy != nil
		estimated = estimated || d.Stall != nil && d.Stall.Held != nil && !d.Stall.Exact
	}
	if shown && estimated {
		return "head-of-line blocking is estimated from arrival times for all arms: not all of them have packets that show it"
	}
	return ""
}

func usableRows(t table.Writer, x *result.Comparison) {
	for _, within := range deadlinesShown(x, usualDeadlines) {
		r := table.Row{"usable in " + ExactDuration(within)}
		some := false
		for _, arm := range x.Plan.Arms {
			share := inTimeText(x, arm, within)
			some = some || share != unknown
			r = append(r, share)
		}
		if some {
			t.AppendRow(r)
		}
	}
}

// The drawing of the curves, columns and lines.
const drawingWidth, drawingHeight = 60, 10

var drawingMarks = []string{"●", "○", "▲", "△", "■", "□", "◆", "◇"}

// drawCurves draws the share that is usable against the deadline.
func drawCurves(x *result.Comparison, o Options) string {
	var series [][]float64
	var names []string
	var sets []asciigraph.CharSet
	for _, c := range x.Usable {
		if len(series) == len(drawingMarks) {
			break
		}
		var line []float64
		for _, p := range c.Points {
			line = append(line, p.Ratio*100)
		}
		mark := drawingMarks[len(series)]
		series, names = append(series, line), append(names, mark+" "+printable(c.Arm))
		sets = append(sets, asciigraph.CreateCharSet(mark))
	}
	if len(series) == 0 {
		return ""
	}
	width := drawingWidth
	if o.Width > 0 {
		width = min(width, max(o.Width-12, 20))
	}
	plot := asciigraph.PlotMany(series, asciigraph.Width(width), asciigraph.Height(drawingHeight),
		asciigraph.LowerBound(0), asciigraph.UpperBound(100), asciigraph.Precision(0), asciigraph.SeriesChars(sets...))
	var b strings.Builder
	b.WriteString(" usable within a deadline, % of the messages sent: " + strings.Join(names, "  ") + "\n")
	for line := range strings.Lines(plot) {
		b.WriteString(" " + strings.TrimRight(line, " \n") + "\n")
	}
	points := x.Usable[0].Points
	first, last := Duration(points[0].WithinNS), Duration(points[len(points)-1].WithinNS)
	b.WriteString(strings.Repeat(" ", 6) + pad(first, max(width-columns(last), columns(first)+1)) + last + "\n")
	return b.String()
}

// ComparisonMarkdown writes the table and the verdict for pasting into an issue.
func ComparisonMarkdown(w io.Writer, x *result.Comparison) error {
	var b strings.Builder
	for _, r := range comparisonHead(x) {
		b.WriteString("- **" + r.label + "** " + strings.ReplaceAll(r.c, nbsp, " ") + "\n")
	}
	b.WriteString("\n" + tabulate(x).RenderMarkdown() + "\n\n")
	if note := heldNote(x); note != "" {
		b.WriteString("- " + note + "\n")
	}
	for _, sentence := range x.Verdict {
		b.WriteString("- " + printable(sentence) + "\n")
	}
	for _, warning := range x.Warnings {
		b.WriteString("- warning: " + printable(warning) + "\n")
	}
	if x.Plan.Command != "" {
		b.WriteString("\n```sh\n" + printable(x.Plan.Command) + "\n```\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ComparisonCSV writes the figures, one a line, in the units of their names.
func ComparisonCSV(w io.Writer, x *result.Comparison) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"metric", "arm", "n", "median", "ci_low", "ci_high", "disturbed"})
	disturbed := map[string]int{} // trials, by arm
	for _, d := range x.Trials {
		if d.IsDisturbed() && d.Trial != nil {
			disturbed[d.Trial.Arm]++
		}
	}
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return plain(*v)
	}
	for _, f := range x.Table {
		mid := number(f.Median)
		if f.Infinite {
			mid = "inf"
		}
		_ = c.Write([]string{f.Metric, f.Arm, fmt.Sprint(f.N), mid, number(f.CILow), number(f.CIHigh), fmt.Sprint(disturbed[f.Arm])})
	}
	c.Flush()
	return c.Error()
}
