package report

import (
	"html/template"
	"slices"
	"strings"

	"netcmp/result"
)

// Sizes of the drawings of bars: a line of words, and the bar below it.
const barWidth, barRow, barThick = 360, 32, 10

// bars draws a row for each arm.
func bars(x *result.Comparison, draw func(c *canvas, arm string, y float64) string) template.HTML {
	c := &canvas{width: barWidth, height: float64(barRow * len(x.Plan.Arms)), x: scale{low: 0, high: 1, from: 0, to: barWidth}}
	var words []string
	for i, arm := range x.Plan.Arms {
		y := float64(i * barRow)
		said := draw(c, arm, y+17)
		c.b.WriteString(`<g class="name" fill="#1c1e21">`)
		c.text(0, y+12, "start", arm)
		c.b.WriteString(`</g>`)
		c.text(barWidth, y+12, "end", said)
		words = append(words, arm+": "+said)
	}
	return c.done(strings.Join(words, "; "))
}

func (c *canvas) bar(from, to, y float64, classes ...string) {
	c.rect(from, to, y, barThick, classes...)
}

func (c *canvas) rect(from, to, y, thick float64, classes ...string) {
	if to > from {
		c.b.WriteString(shape("rect", classes...) + ` x="` + number(c.x.at(from)) + `" y="` + number(y) +
			`" width="` + number(c.x.at(to)-c.x.at(from)) + `" height="` + number(thick) + `"/>`)
	}
}

func medianOf(x *result.Comparison, metric, arm string) (float64, bool) {
	for _, f := range x.Table {
		if f.Metric == metric && f.Arm == arm && f.Median != nil {
			return *f.Median, true
		}
	}
	return 0, false
}

// medianOfTrials is that of a figure which the comparison's table does not have.
func medianOfTrials(x *result.Comparison, arm string, of func(*result.Document) *int64) (float64, bool) {
	var all []int64
	for _, d := range x.Trials {
		if d.Trial == nil || d.Trial.Arm != arm || d.IsDisturbed() && x.Plan.Repeat > 1 {
			continue
		}
		if v := of(d); v != nil {
			all = append(all, *v)
		}
	}
	n := len(all)
	if n == 0 {
		return 0, false
	}
	slices.Sort(all)
	return float64(all[(n-1)/2]+all[n/2]) / 2, true
}

// A part is a figure that a bar shows, in a shade of its own.
type part struct {
	name, words string // of the table's column; after the value on the bar
	shade       string
	of          func(*result.Document) *int64
}

// partsChart draws figures of each arm in one bar. Where whole names a metric of
// the comparison, the parts are of that, one after the other; else each reaches
// from the beginning, past the one before it. The whole, or the last part, is
// said first.
func partsChart(x *result.Comparison, d chartData, whole string, parts []part) chartData {
	d.Columns = []string{""}
	for _, p := range parts {
		d.Columns = append(d.Columns, p.name)
	}
	if whole != "" {
		d.Columns = append(d.Columns, "together")
	}
	most := 0.0
	values := map[string][]float64{} // those of the parts, and the whole; −1: not measured
	for _, arm := range x.Plan.Arms {
		for _, p := range parts {
			v, ok := medianOfTrials(x, arm, p.of)
			if !ok {
				v = -1
			}
			values[arm] = append(values[arm], v)
		}
		if whole != "" {
			v, ok := medianOf(x, whole, arm)
			if !ok {
				v = -1
			}
			values[arm] = append(values[arm], v)
		}
		most = max(most, slices.Max(values[arm]))
	}
	if most <= 0 {
		return d
	}
	drawing := bars(x, func(c *canvas, arm string, y float64) string {
		row := []string{arm}
		var said []string
		from, last := 0.0, len(values[arm])-1
		for i, v := range values[arm] {
			switch {
			case v < 0:
				row = append(row, unknown)
				continue
			case i == last:
				said = slices.Insert(said, 0, Duration(int64(v)))
			default:
				said = append(said, parts[i].words+" "+Duration(int64(v)))
			}
			row = append(row, Duration(int64(v)))
			if i == len(parts) {
				break
			}
			to := v
			if whole != "" {
				to += from
			}
			c.bar(from/most, min(to/most, 1), y, parts[i].shade, filled(colour(x, arm)))
			from = max(from, to)
		}
		d.Rows = append(d.Rows, row)
		if len(said) == 0 {
			return notMeasured
		}
		return strings.Join(said, ", ")
	})
	d.Figures = []figureData{{Drawing: drawing}}
	return d
}

func setupChart(x *result.Comparison) chartData {
	return partsChart(x, chartData{
		ID: "setup", Title: "Until the first message",
		Text: "From the beginning of the connection until it stood (solid), was encrypted (paler), and the first message was there (palest): medians of the trials.",
	}, "", []part{
		{"connected", "connected", "bar", func(d *result.Document) *int64 { return d.Setup.ConnectNS }},
		{"encrypted", "encrypted", "half", func(d *result.Document) *int64 { return d.Setup.SecureNS }},
		{"first message", "first message", "pale", func(d *result.Document) *int64 { return d.Setup.FirstMessageNS }},
	})
}

func costChart(x *result.Comparison) chartData {
	return partsChart(x, chartData{
		ID: "cpu", Title: "Processor time a message",
		Text: "User and system time of the sender's process (solid) and the receiver's (paler), netcmp's own work included, without what punctuality costs: medians of the trials, each by itself.",
	}, "cpu_per_message_ns", []part{
		{"sender", "sending", "bar", func(d *result.Document) *int64 { return d.Cost.SenderCPUPerMessageNS }},
		{"receiver", "receiving", "half", func(d *result.Document) *int64 { return d.Cost.ReceiverCPUPerMessageNS }},
	})
}

func wireChart(x *result.Comparison) chartData {
	const metric = "overhead_ratio"
	d := chartData{
		ID: "wire", Title: "On the wire", Columns: []string{"", FigureName(metric)},
		Text: "Bytes of both directions against bytes of messages delivered: medians of the trials.",
	}
	most := 0.0
	for _, arm := range x.Plan.Arms {
		v, _ := medianOf(x, metric, arm)
		most = max(most, v)
	}
	if most == 0 {
		return d
	}
	drawing := bars(x, func(c *canvas, arm string, y float64) string {
		said := notMeasured
		if v, ok := medianOf(x, metric, arm); ok {
			c.bar(0, v/most, y, "bar", filled(colour(x, arm)))
			said = FigureText(metric, v)
		}
		d.Rows = append(d.Rows, []string{arm, said})
		return said
	})
	d.Figures = []figureData{{Drawing: drawing}}
	return d
}

// fateChart is what became of the messages.
func fateChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "fate", Title: "What became of the messages", Columns: []string{"", "in order", "out of order", "lost"},
		Text: "In order (solid), out of order (paler), and lost (red): shares of those sent, medians of the trials.",
	}
	some := false
	drawing := bars(x, func(c *canvas, arm string, y float64) string {
		ratio, ok := medianOf(x, "delivery_ratio", arm)
		if !ok {
			d.Rows = append(d.Rows, []string{arm, unknown, unknown, unknown})
			return notMeasured
		}
		some = true
		reordered, _ := medianOf(x, "reordered_ratio", arm)
		inOrder := ratio * (1 - reordered)
		n := filled(colour(x, arm))
		c.bar(0, inOrder, y, "bar", n)
		c.bar(inOrder, ratio, y, "pale", n)
		c.bar(ratio, 1, y, "gone")
		d.Rows = append(d.Rows, []string{arm, Percent(inOrder), Percent(ratio - inOrder), Percent(1 - ratio)})
		said := Percent(ratio) + " delivered"
		if reordered > 0 {
			said += ", " + Percent(reordered) + " reordered"
		}
		return said
	})
	if some {
		d.Figures = []figureData{{Drawing: drawing}}
	}
	return d
}
