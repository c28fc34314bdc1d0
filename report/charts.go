package report

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"netcmp/result"
)

// Sizes of the drawings of curves, in their own units: small, so that the words
// in them can still be read on a telephone.
const chartWidth, chartHeight = 480, 250

// axisUnit is what an axis counts: its name for the page's script, and how a
// drawing writes its ticks.
type axisUnit struct {
	name  string
	words func(float64) string
}

var (
	timeUnit  = axisUnit{"time", func(v float64) string { return ExactDuration(int64(math.Round(v))) }}
	shareUnit = axisUnit{"share", func(v float64) string { return plainShare(v) + " %" }}
	rateUnit  = axisUnit{"rate", Rate}
	countUnit = axisUnit{"count", number}
)

// plainShare writes the round values of ticks.
func plainShare(v float64) string {
	return strconv.FormatFloat(math.Round(v*1e8)/1e6+0, 'f', -1, 64)
}

// curve is a line of one arm, and the band around it if it has one.
type curve struct {
	arm               string
	colour            int
	points, low, high []point
}

// curveSet is a chart of curves: drawn here, and drawn again by the page's script.
type curveSet struct {
	x, y         scale
	xUnit, yUnit axisUnit
	steps        bool
	lead         string // what is said before an x: "within"
	words        string
	curves       []curve
}

// into draws the curves into a chart.
func (s *curveSet) into(d *chartData) {
	c := newCanvas(chartWidth, chartHeight, s.x, s.y)
	c.axes(s.xUnit.words, s.yUnit.words)
	for _, k := range s.curves {
		band := slices.Clone(k.high)
		for _, p := range slices.Backward(k.low) {
			band = append(band, p)
		}
		c.line(band, false, "band", filled(k.colour))
		points := k.points
		if i := slices.IndexFunc(points, func(p point) bool { return p.y <= 0 }); s.y.log && i >= 0 {
			points = points[:i+1] // it leaves the drawing through its floor
		}
		c.line(points, s.steps, "curve", stroked(k.colour))
		d.Legend = append(d.Legend, legendItem{k.arm, sample("curve", stroked(k.colour))})
	}
	d.Figures = []figureData{{Drawing: c.done(s.words), Live: s.live()}}
}

// usableChart is the share in time against the deadline.
func usableChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "usable", Title: "Usable within a deadline",
		Text:    "The share of the messages sent that were there in time; one that was lost never was. The band spans the trials.",
		Columns: []string{"deadline"},
	}
	if len(x.Usable) == 0 || len(x.Usable[0].Points) < 2 {
		return d
	}
	first := x.Usable[0].Points
	s := curveSet{
		x: scale{low: float64(first[0].WithinNS), high: float64(first[len(first)-1].WithinNS), log: true},
		y: scale{low: 0, high: 1}, xUnit: timeUnit, yUnit: shareUnit, lead: "within",
	}
	var words []string
	for _, curveOf := range x.Usable {
		k := curve{arm: curveOf.Arm, colour: colour(x, curveOf.Arm)}
		for _, p := range curveOf.Points {
			at := float64(p.WithinNS)
			k.points = append(k.points, point{at, p.Ratio})
			k.low, k.high = append(k.low, point{at, p.Low}), append(k.high, point{at, p.High})
		}
		s.curves = append(s.curves, k)
		d.Columns = append(d.Columns, curveOf.Arm)
	}
	for _, within := range deadlinesShown(x, defaultDeadlines) {
		row := []string{ExactDuration(within)}
		for _, curveOf := range x.Usable {
			share := inTimeText(x, curveOf.Arm, within)
			if within == 100e6 && share != unknown {
				words = append(words, curveOf.Arm+" "+share+" within 100 ms")
			}
			row = append(row, share)
		}
		d.Rows = append(d.Rows, row)
	}
	s.words = "Share usable against the deadline: " + strings.Join(words, ", ")
	s.into(&d)
	return d
}

// laterChart is the share of messages that took longer (the complementary
// distribution), of all trials together.
func laterChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "later", Title: "How late the latest are",
		Text:    "The share of the messages sent that took longer than a time, of all trials together. Where a curve ends above the floor, the rest was lost.",
		Columns: []string{"", "half within", "9 of 10", "99 of 100", "999 of 1000"},
	}
	s := curveSet{xUnit: timeUnit, yUnit: shareUnit, steps: true, lead: "longer than"}
	low, high, least := math.Inf(1), 0.0, 1.0
	var words []string
	for _, arm := range x.Plan.Arms {
		bins, sent := map[int64]int64{}, int64(0)
		for _, t := range x.Trials {
			if t.Trial == nil || t.Trial.Arm != arm || t.Delay == nil {
				continue
			}
			sent += t.Delivery.Planned()
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
		k := curve{arm: arm, colour: colour(x, arm)}
		left := sent
		row := []string{arm}
		for _, v := range uppers {
			before := left
			left = max(left-bins[v], 0)
			share := float64(left) / float64(sent)
			k.points = append(k.points, point{float64(v), share})
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
		words = append(words, arm+" 99 of 100 within "+row[3])
		low, high = min(low, max(float64(uppers[0]), 1e3)), max(high, float64(uppers[len(uppers)-1]))
		least = min(least, 1/float64(sent))
		s.curves = append(s.curves, k)
	}
	if len(s.curves) == 0 || high <= low {
		return d
	}
	s.x, s.y = scale{low: math.Round(low * 0.9), high: math.Round(high * 1.1), log: true}, scale{low: max(least, 1e-7), high: 1, log: true}
	for i := range s.curves { // before the first nothing had come, after the last nothing comes any more
		last := s.curves[i].points[len(s.curves[i].points)-1]
		s.curves[i].points = slices.Concat([]point{{s.x.low, 1}}, s.curves[i].points, []point{{s.x.high, last.y}})
	}
	s.words = "Share of messages that took longer: " + strings.Join(words, ", ")
	s.into(&d)
	return d
}

// overTimeChart is how many messages came in each interval of one trial: as fine
// as can be read where each message's time is known, else as the document has it.
func overTimeChart(x *result.Comparison) chartData {
	d := chartData{ID: "time", Title: "Delivered over time", Columns: []string{"from"}}
	const fewestIntervals = 3
	s := curveSet{xUnit: timeUnit, yUnit: rateUnit, steps: true, lead: "from"}
	end, most := 0.0, 0.0
	width := arrivalInterval(x)
	var words []string
	for _, arm := range x.Plan.Arms {
		k := curve{arm: arm, colour: colour(x, arm)}
		if t := shown(x, arm); width > 0 && t != nil {
			k.points = arrivalRates(t.Messages, width)
		} else if i := slices.IndexFunc(x.Trials, func(t *result.Document) bool { return t.Trial != nil && t.Trial.Arm == arm }); width == 0 && i >= 0 {
			k.points = intervalRates(x.Trials[i].Intervals)
		}
		if len(k.points) <= fewestIntervals {
			continue
		}
		least, greatest := math.Inf(1), 0.0
		for _, p := range k.points[:len(k.points)-1] {
			least, greatest = min(least, p.y), max(greatest, p.y)
		}
		end, most = max(end, k.points[len(k.points)-1].x), max(most, greatest)
		s.curves = append(s.curves, k)
		d.Columns = append(d.Columns, arm)
		words = append(words, arm+" between "+Rate(least)+" and "+Rate(greatest))
	}
	if len(s.curves) == 0 || most == 0 {
		return d
	}
	d.Text = "Messages a second that came, by interval, of the first trial of each."
	if width > 0 {
		d.Text = "Messages a second that came, in each " + ExactDuration(width) + " of the first trial of each."
	}
	s.x, s.y = scale{low: 0, high: end}, scale{low: 0, high: most * 1.05}
	s.words = "Messages a second over time: " + strings.Join(words, ", ")
	s.into(&d)
	d.Rows = s.rows(mostIntervals)
	return d
}

// arrivalInterval is a round time of which a page's longest trial has about as
// many as a table may have rows; 0 where the times are not known of every arm.
func arrivalInterval(x *result.Comparison) int64 {
	var end int64
	for _, arm := range x.Plan.Arms {
		t := shown(x, arm)
		if t == nil {
			return 0
		}
		for i, planned := range t.Messages.PlannedNS {
			end = max(end, planned+t.Messages.DelayNS[i])
		}
	}
	all := scale{low: 0, high: float64(end)}.ticks(mostIntervals)
	if len(all) < 2 {
		return 0
	}
	return int64(math.Round(all[1]))
}

// arrivalRates are the messages a second of each interval; the last point is
// where they end.
func arrivalRates(m *result.Messages, width int64) []point {
	var counts []int
	for i, planned := range m.PlannedNS {
		if planned < 0 || m.DelayNS[i] < 0 {
			continue
		}
		at := int((planned + m.DelayNS[i]) / width)
		for len(counts) <= at {
			counts = append(counts, 0)
		}
		counts[at]++
	}
	var all []point
	for i, n := range counts {
		all = append(all, point{float64(int64(i) * width), float64(n) / float64(width) * 1e9})
	}
	return append(all, point{float64(int64(len(counts)) * width), 0})
}

func intervalRates(intervals []result.Interval) []point {
	if len(intervals) < 2 {
		return nil
	}
	width := float64(intervals[1].AtNS - intervals[0].AtNS)
	if width <= 0 {
		return nil
	}
	var all []point
	for _, v := range intervals {
		all = append(all, point{float64(v.AtNS), float64(v.Delivered) / width * 1e9})
	}
	return append(all, point{float64(intervals[len(intervals)-1].AtNS) + width, 0})
}

// mostIntervals bounds the intervals of a drawing, and the rows of a table.
const mostIntervals = 60

// rows are the curves as a table, of not more than so many rows: beyond that
// every second, third … x.
func (s *curveSet) rows(most int) [][]string {
	l := s.live()
	var all [][]string
	every := (len(l.At) + most - 1) / most
	for i := 0; i < len(l.At); i += every {
		row := []string{s.xUnit.words(float64(l.At[i]))}
		for _, c := range l.Curves {
			if math.IsNaN(c.Y[i]) {
				row = append(row, unknown)
			} else {
				row = append(row, s.yUnit.words(c.Y[i]))
			}
		}
		all = append(all, row)
	}
	return all
}
