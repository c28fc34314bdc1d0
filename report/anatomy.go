package report

import (
	"html/template"
	"strings"

	"netcmp/result"
)

// hatch is how far apart the strokes of a hatched bar are.
const hatch = 4

// delayPart is one of the three that a message's delay consists of. They differ in
// shape, too: low, full, hatched.
type delayPart struct {
	name, words string
	of          func(result.Dissected) int64
	all         func(*result.Anatomy) *result.Quantiles
	draw        func(c *canvas, from, to, y float64, fill, stroke string)
}

var delayParts = []delayPart{
	{
		"waiting", "waiting to be sent: due, but its last byte had not left the sender's host yet",
		func(m result.Dissected) int64 { return m.WaitingNS },
		func(a *result.Anatomy) *result.Quantiles { return a.WaitingNS },
		func(c *canvas, from, to, y float64, fill, _ string) { c.rect(from, to, y+3, barThick-6, "bar", fill) },
	},
	{
		"crossing", "crossing and recovery: on its way, and sent again if it was lost, until all of it was at the receiver's door",
		func(m result.Dissected) int64 { return m.CrossingNS },
		func(a *result.Anatomy) *result.Quantiles { return a.CrossingNS },
		func(c *canvas, from, to, y float64, fill, _ string) { c.bar(from, to, y, "bar", fill) },
	},
	{
		"held back", "held back: at the door, and not read yet, as a rule because one before it was missing",
		func(m result.Dissected) int64 { return m.HeldNS },
		func(a *result.Anatomy) *result.Quantiles { return a.HeldNS },
		func(c *canvas, from, to, y float64, fill, stroke string) {
			c.bar(from, to, y, "pale", fill)
			var d strings.Builder
			for x := c.x.at(from) + hatch/2; x < c.x.at(to); x += hatch {
				d.WriteString("M" + number(x) + " " + number(y) + "v" + number(barThick))
			}
			if d.Len() > 0 {
				c.path(d.String(), "hatch", stroke)
			}
		},
	},
}

func delayOf(m result.Dissected) int64 { return m.WaitingNS + m.CrossingNS + m.HeldNS }

// dissected is the first trial of an arm whose delay was split.
func dissected(x *result.Comparison, arm string) *result.Anatomy {
	for _, d := range x.Trials {
		if d.Trial != nil && d.Trial.Arm == arm && d.Anatomy != nil && len(d.Anatomy.Slowest) > 0 {
			return d.Anatomy
		}
	}
	return nil
}

// anatomyChart has the slowest messages of each arm whose packets were looked at,
// and the parts of their delay, all to one scale.
func anatomyChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "anatomy", Title: "Where the time went",
		Text:    "The slowest messages of the first trial, by the packets at both hosts: each bar is a message's delay in its three parts, one after the other.",
		Columns: []string{"", "message"},
	}
	for _, p := range delayParts {
		c := &canvas{x: scale{low: 0, high: 1, from: 0, to: 20}}
		p.draw(c, 0, 1, 0, "inked", "ink")
		d.Legend = append(d.Legend, legendItem{p.words, template.HTML(`<svg viewBox="0 0 20 10" width="20" height="10" aria-hidden="true">` + c.b.String() + `</svg>`)}) //nolint:gosec // a drawing of our own
		d.Columns = append(d.Columns, p.name)
	}
	d.Columns = append(d.Columns, "together")
	most := int64(1)
	for _, arm := range x.Plan.Arms {
		if a := dissected(x, arm); a != nil {
			for _, m := range a.Slowest {
				most = max(most, delayOf(m))
			}
		}
	}
	for _, arm := range x.Plan.Arms {
		a := dissected(x, arm)
		if a == nil {
			continue
		}
		c := &canvas{width: barWidth, height: float64(barRow * len(a.Slowest)), x: scale{low: 0, high: float64(most), from: 0, to: barWidth}}
		var words []string
		for i, m := range a.Slowest {
			y, from := float64(i*barRow), 0.0
			row, said := []string{arm, Count(m.Number)}, []string{}
			for _, p := range delayParts {
				v := p.of(m)
				p.draw(c, from, from+float64(v), y+17, filled(colour(x, arm)), stroked(colour(x, arm)))
				from += float64(v)
				row, said = append(row, Duration(v)), append(said, p.name+" "+Duration(v))
			}
			total := Duration(delayOf(m))
			c.b.WriteString(`<g class="name" fill="#1c1e21">`)
			c.text(0, y+12, "start", "message "+Count(m.Number))
			c.b.WriteString(`</g>`)
			c.text(barWidth, y+12, "end", total)
			d.Rows = append(d.Rows, append(row, total))
			words = append(words, "message "+Count(m.Number)+": "+total+" ("+strings.Join(said, ", ")+")")
		}
		d.Figures = append(d.Figures, figureData{Drawing: c.done(arm + ": " + strings.Join(words, "; ")), Caption: arm})
	}
	return d
}
