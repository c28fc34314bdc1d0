package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"netcmp/result"
)

// Sizes of the drawings, in their own units.
const (
	chartWidth, chartHeight = 720, 300
	stairWidth, stairHeight = 360, 240
	barHeight               = 26
)

// shown is the first trial of an arm that has each message's times.
func shown(x *result.Comparison, arm string) *result.Document {
	for _, d := range x.Trials {
		if d.Trial != nil && d.Trial.Arm == arm && d.Messages != nil && len(d.Messages.DelayNS) > 0 &&
			len(d.Messages.PlannedNS) == len(d.Messages.DelayNS) {
			return d
		}
	}
	return nil
}

// stairs draw each message of one trial of each arm, all to one scale.
func stairs(x *result.Comparison) []figureData {
	var all []figureData
	end, count := 1.0, 1.0
	for _, arm := range x.Plan.Arms {
		if d := shown(x, arm); d != nil {
			for i, planned := range d.Messages.PlannedNS {
				end = max(end, float64(planned+max(d.Messages.DelayNS[i], 0)))
			}
			count = max(count, float64(len(d.Messages.DelayNS)))
		}
	}
	for _, arm := range x.Plan.Arms {
		d := shown(x, arm)
		if d == nil {
			continue
		}
		c := newCanvas(stairWidth, stairHeight, scale{low: 0, high: end}, scale{low: 0, high: count})
		c.axes(func(v float64) string { return ExactDuration(int64(v)) }, number)
		var plan, came, lost []point
		for i, planned := range d.Messages.PlannedNS {
			if planned < 0 {
				continue
			}
			if i == 0 || i == len(d.Messages.PlannedNS)-1 || i%64 == 0 {
				plan = append(plan, point{float64(planned), float64(i)})
			}
			if delay := d.Messages.DelayNS[i]; delay >= 0 {
				came = append(came, point{float64(planned + delay), float64(i)})
			} else {
				lost = append(lost, point{float64(planned), float64(i)})
			}
		}
		c.line("plan", plan, false)
		c.marks(fmt.Sprintf("dots s%d", colour(x, arm)), came, "h0")
		c.marks("lost", lost, "m-2.5-2.5l5 5m0-5l-5 5")
		caption := fmt.Sprintf("%s: %s came, %s never", arm, Count(int64(len(came))), Count(int64(len(lost))))
		if s := d.Stall; s != nil && positive(s.Held) {
			caption += fmt.Sprintf("; %s waited for another", Count(*s.Held))
		}
		all = append(all, figureData{Drawing: c.done("Message numbers against arrival. " + caption), Caption: caption})
	}
	return all
}

func percentWords(v float64) string { return number(v*100) + " %" }

func durationWords(v float64) string { return ExactDuration(int64(math.Round(v))) }

// usableChart is the share in time against the deadline.
func usableChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "usable", Title: "Usable within a deadline", Legend: legend(x),
		Text:    "The share of the messages sent that were there in time; one that was lost never was. The band spans the trials.",
		Columns: []string{"deadline"},
	}
	if len(x.Usable) == 0 || len(x.Usable[0].Points) < 2 {
		return d
	}
	first := x.Usable[0].Points
	c := newCanvas(chartWidth, chartHeight,
		scale{low: float64(first[0].WithinNS), high: float64(first[len(first)-1].WithinNS), log: true}, scale{low: 0, high: 1})
	c.axes(durationWords, percentWords)
	var words []string
	for _, curve := range x.Usable {
		var line, band []point
		for _, p := range curve.Points {
			line = append(line, point{float64(p.WithinNS), p.Ratio})
			band = append(band, point{float64(p.WithinNS), p.High})
		}
		for _, p := range slices.Backward(curve.Points) {
			band = append(band, point{float64(p.WithinNS), p.Low})
		}
		n := colour(x, curve.Arm)
		c.line(fmt.Sprintf("band f%d", n), band, false)
		c.line(fmt.Sprintf("curve s%d", n), line, false)
		d.Columns = append(d.Columns, curve.Arm)
	}
	for _, within := range append([]int64{10e6, 20e6}, append(slices.Clone(rowsShown), 1e9, 2e9)...) {
		row := []string{ExactDuration(within)}
		for _, curve := range x.Usable {
			share := unknown
			if i := slices.IndexFunc(curve.Points, func(p result.CurvePoint) bool { return p.WithinNS == within }); i >= 0 {
				share = Percent(curve.Points[i].Ratio)
				if within == 100e6 {
					words = append(words, curve.Arm+" "+share+" within 100 ms")
				}
			}
			row = append(row, share)
		}
		d.Rows = append(d.Rows, row)
	}
	d.Drawing = c.done("Share usable against the deadline: " + strings.Join(words, ", "))
	return d
}

// laterChart is the share of messages that took longer (the complementary
// distribution), of all trials together.
func laterChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "later", Title: "How late the latest are", Legend: legend(x),
		Text:    "The share of the messages sent that took longer than a time. Where a curve ends above the floor, the rest was lost.",
		Columns: []string{"", "half", "9 of 10", "99 of 100", "999 of 1000"},
	}
	type curve struct {
		arm    string
		points []point
	}
	var curves []curve
	low, high, least := math.Inf(1), 0.0, 1.0
	for _, arm := range x.Plan.Arms {
		bins, sent := map[int64]int64{}, int64(0)
		for _, t := range x.Trials {
			if t.Trial == nil || t.Trial.Arm != arm || t.Delay == nil {
				continue
			}
			sent += t.Delivery.Sent
			for _, b := range t.Delay.Distribution {
				bins[b[0]] += b[1]
			}
		}
		if sent == 0 || len(bins) == 0 {
			continue
		}
		var uppers []int64
		for v := range bins {
			uppers = append(uppers, v)
		}
		slices.Sort(uppers)
		left, points := sent, []point{{float64(uppers[0]), 1}}
		row := []string{arm}
		for _, v := range uppers {
			before := left
			left = max(left-bins[v], 0)
			share := float64(left) / float64(sent)
			points = append(points, point{float64(v), share})
			for i, q := range []float64{0.5, 0.1, 0.01, 0.001} {
				if float64(before)/float64(sent) > q && share <= q && len(row) == i+1 {
					row = append(row, Duration(v))
				}
			}
		}
		for len(row) < len(d.Columns) {
			row = append(row, infinite)
		}
		d.Rows = append(d.Rows, row)
		low, high = min(low, max(float64(uppers[0]), 1e3)), max(high, float64(uppers[len(uppers)-1]))
		least = min(least, 1/float64(sent))
		curves = append(curves, curve{arm, points})
	}
	if len(curves) == 0 || high <= low {
		return d
	}
	c := newCanvas(chartWidth, chartHeight, scale{low: low * 0.9, high: high * 1.1, log: true}, scale{low: max(least, 1e-7), high: 1, log: true})
	c.axes(durationWords, Percent)
	var words []string
	for _, k := range curves {
		c.line(fmt.Sprintf("curve s%d", colour(x, k.arm)), k.points, true)
		words = append(words, k.arm)
	}
	d.Drawing = c.done("Share of messages that took longer, for " + strings.Join(words, ", "))
	return d
}

// overTimeChart is how many messages came in each interval of one trial.
func overTimeChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "time", Title: "Delivered over time", Legend: legend(x),
		Text: "Messages a second, by interval, of the first trial of each.",
	}
	const fewestIntervals = 3
	end, most := 0.0, 0.0
	lines := map[string][]point{}
	for _, arm := range x.Plan.Arms {
		i := slices.IndexFunc(x.Trials, func(t *result.Document) bool { return t.Trial != nil && t.Trial.Arm == arm })
		if i < 0 || len(x.Trials[i].Intervals) < fewestIntervals {
			continue
		}
		intervals := x.Trials[i].Intervals
		width := float64(intervals[1].AtNS - intervals[0].AtNS)
		if width <= 0 {
			continue
		}
		for _, v := range intervals {
			rate := float64(v.Delivered) / width * 1e9
			lines[arm] = append(lines[arm], point{float64(v.AtNS), rate})
			end, most = max(end, float64(v.AtNS)+width), max(most, rate)
		}
		lines[arm] = append(lines[arm], point{float64(intervals[len(intervals)-1].AtNS) + width, 0})
	}
	if len(lines) == 0 || most == 0 {
		return d
	}
	c := newCanvas(chartWidth, chartHeight, scale{low: 0, high: end}, scale{low: 0, high: most * 1.05})
	c.axes(durationWords, Rate)
	for _, arm := range x.Plan.Arms {
		c.line(fmt.Sprintf("curve s%d", colour(x, arm)), lines[arm], true)
	}
	d.Drawing = c.done("Messages a second over time")
	return d
}

// bars draws a bar for each arm: values are shares of the longest.
func bars(x *result.Comparison, draw func(c *canvas, arm string, y float64) string) template.HTML {
	height := float64(barHeight*len(x.Plan.Arms) + 4)
	c := &canvas{width: chartWidth, height: height, x: scale{low: 0, high: 1, from: 120, to: chartWidth - 190}}
	var words []string
	for i, arm := range x.Plan.Arms {
		y := float64(i*barHeight + 4)
		fmt.Fprintf(&c.b, `<text class="name" x="112" y="%s" text-anchor="end">%s</text>`, number(y+15), template.HTMLEscapeString(arm))
		said := draw(c, arm, y)
		fmt.Fprintf(&c.b, `<text x="%s" y="%s">%s</text>`, number(c.x.to+8), number(y+15), template.HTMLEscapeString(said))
		words = append(words, arm+": "+said)
	}
	return c.done(strings.Join(words, "; "))
}

func (c *canvas) bar(class string, from, to, y float64) {
	if to > from {
		fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%d"/>`, class, number(c.x.at(from)), number(y), number(c.x.at(to)-c.x.at(from)), barHeight-8)
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

func barChart(x *result.Comparison, id, title, text, metric string) chartData {
	d := chartData{ID: id, Title: title, Text: text}
	most := 0.0
	for _, arm := range x.Plan.Arms {
		v, _ := medianOf(x, metric, arm)
		most = max(most, v)
	}
	if most == 0 {
		return d
	}
	d.Drawing = bars(x, func(c *canvas, arm string, y float64) string {
		v, ok := medianOf(x, metric, arm)
		if !ok {
			return notMeasured
		}
		c.bar(fmt.Sprintf("bar f%d", colour(x, arm)), 0, v/most, y)
		return FigureText(metric, v)
	})
	return d
}

// fateChart is what became of the messages.
func fateChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "fate", Title: "What became of the messages",
		Text: "In order, out of order (paler), and lost (red): shares of those sent, medians of the trials.",
	}
	some := false
	drawing := bars(x, func(c *canvas, arm string, y float64) string {
		ratio, ok := medianOf(x, "delivery_ratio", arm)
		if !ok {
			return notMeasured
		}
		some = true
		reordered, _ := medianOf(x, "reordered_ratio", arm)
		inOrder := ratio * (1 - reordered)
		n := colour(x, arm)
		c.bar(fmt.Sprintf("bar f%d", n), 0, inOrder, y)
		c.bar(fmt.Sprintf("band f%d", n), inOrder, ratio, y)
		c.bar("gone", ratio, 1, y)
		said := Percent(ratio) + " delivered"
		if reordered > 0 {
			said += ", " + Percent(reordered) + " reordered"
		}
		return said
	})
	if some {
		d.Drawing = drawing
	}
	return d
}
