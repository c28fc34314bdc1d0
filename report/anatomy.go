package report

import (
	"html/template"
	"strings"

	"netcmp/result"
)

// hatch is how far apart the strokes of a hatched bar are.
const hatch = 4

// delayPart is one of those that a message's delay consists of. They differ in shape,
// too: low, full, hatched, low and pale.
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
		"crossing", "crossing and recovery: on its way, and sent again if it was lost, until all of it had arrived at the receiver's device",
		func(m result.Dissected) int64 { return m.CrossingNS },
		func(a *result.Anatomy) *result.Quantiles { return a.CrossingNS },
		func(c *canvas, from, to, y float64, fill, _ string) { c.bar(from, to, y, "bar", fill) },
	},
	{
		"head-of-line blocked", "head-of-line blocked: it had arrived, and a message before it was missing",
		func(m result.Dissected) int64 { return m.BlockedNS },
		func(a *result.Anatomy) *result.Quantiles { return a.BlockedNS },
		drawHatched,
	},
	{
		"read late", "read late: it and every message before it had arrived, and the receiving process had not read it yet",
		func(m result.Dissected) int64 { return m.ReadLateNS },
		func(a *result.Anatomy) *result.Quantiles { return a.ReadLateNS },
		func(c *canvas, from, to, y float64, fill, _ string) { c.rect(from, to, y+3, barThick-6, "pale", fill) },
	},
	{
		// Of documents that do not tell the two before apart.
		"held back", "held back: it had arrived, and the receiving process had not read it yet, because a message before it was missing or because it was late",
		func(m result.Dissected) int64 { return m.HeldNS - m.BlockedNS - m.ReadLateNS },
		func(a *result.Anatomy) *result.Quantiles {
			if a.BlockedNS != nil {
				return nil
			}
			return a.HeldNS
		},
		drawHatched,
	},
}

func drawHatched(c *canvas, from, to, y float64, fill, stroke string) {
	c.bar(from, to, y, "pale", fill)
	var d strings.Builder
	for x := c.x.at(from) + hatch/2; x < c.x.at(to); x += hatch {
		d.WriteString("M" + number(x) + " " + number(y) + "v" + number(barThick))
	}
	if d.Len() > 0 {
		c.path(d.String(), "hatch", stroke)
	}
}

func delayOf(m result.Dissected) int64 { return m.WaitingNS + m.CrossingNS + m.HeldNS }

// partsText lists the parts of a message's delay that are not zero.
func partsText(m result.Dissected) string {
	var parts []string
	for _, p := range delayParts {
		if v := p.of(m); v != 0 {
			parts = append(parts, p.name+" "+Duration(v))
		}
	}
	return strings.Join(parts, ", ")
}

// meanOf returns the mean of each part of some messages. The means add up as the parts of
// one message do.
func meanOf(messages []result.Dissected) (mean result.Dissected) {
	n := int64(len(messages))
	for _, m := range messages {
		mean.WaitingNS += m.WaitingNS
		mean.CrossingNS += m.CrossingNS
		mean.HeldNS += m.HeldNS
		mean.BlockedNS += m.BlockedNS
		mean.ReadLateNS += m.ReadLateNS
	}
	for _, v := range []*int64{&mean.WaitingNS, &mean.CrossingNS, &mean.HeldNS, &mean.BlockedNS} {
		*v /= n
	}
	if mean.ReadLateNS > 0 || mean.BlockedNS > 0 {
		mean.ReadLateNS = mean.HeldNS - mean.BlockedNS
	}
	return mean
}

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
// and the parts of their delay, all to one scale. A part that none of them has is left out.
func anatomyChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "anatomy", Title: "Where the time went",
		Text:    "The slowest messages of the first trial, by the packets at both hosts: each bar is a message's delay in its parts, one after the other.",
		Columns: []string{"", "message"},
	}
	most := int64(1)
	has := make([]bool, len(delayParts))
	for _, arm := range x.Plan.Arms {
		if a := dissected(x, arm); a != nil {
			for _, m := range a.Slowest {
				most = max(most, delayOf(m))
				for i, p := range delayParts {
					has[i] = has[i] || p.of(m) != 0
				}
			}
		}
	}
	var parts []delayPart
	for i, p := range delayParts {
		if !has[i] {
			continue
		}
		parts = append(parts, p)
		c := &canvas{x: scale{low: 0, high: 1, from: 0, to: 20}}
		p.draw(c, 0, 1, 0, "inked", "ink")
		d.Legend = append(d.Legend, legendItem{p.words, template.HTML(`<svg viewBox="0 0 20 10" width="20" height="10" aria-hidden="true">` + c.b.String() + `</svg>`)}) //nolint:gosec // a drawing of our own
		d.Columns = append(d.Columns, p.name)
	}
	d.Columns = append(d.Columns, "together")
	for _, arm := range x.Plan.Arms {
		a := dissected(x, arm)
		if a == nil {
			continue
		}
		c := &canvas{width: barWidth, height: float64(barRow * len(a.Slowest)), x: scale{low: 0, high: float64(most), from: 0, to: barWidth}}
		var words []string
		for i, m := range a.Slowest {
			y, from := float64(i*barRow), 0.0
			row := []string{arm, Count(m.Number)}
			for _, p := range parts {
				v := p.of(m)
				p.draw(c, from, from+float64(v), y+17, filled(colour(x, arm)), stroked(colour(x, arm)))
				from += float64(v)
				row = append(row, Duration(v))
			}
			total := Duration(delayOf(m))
			c.b.WriteString(`<g class="name" fill="#1c1e21">`)
			c.text(0, y+12, "start", "message "+Count(m.Number))
			c.b.WriteString(`</g>`)
			c.text(barWidth, y+12, "end", total)
			d.Rows = append(d.Rows, append(row, total))
			words = append(words, "message "+Count(m.Number)+": "+total+" ("+partsText(m)+")")
		}
		d.Figures = append(d.Figures, figureData{Drawing: c.done(arm + ": " + strings.Join(words, "; ")), Caption: arm})
	}
	return d
}
