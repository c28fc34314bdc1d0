package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"netcmp/result"
)

const stairWidth, stairHeight = 360, 240

// mostDrawn bounds the messages of one trial that a page has.
const mostDrawn = 20_000

// mostNumbers bounds the numbers of lost messages that a table lists, in runs.
const mostNumbers = 12

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

// stairs are the messages of one trial as they are drawn.
type stairs struct {
	colour         int
	arm            string
	planned, delay []int64
	held           result.NumberRuns
	parts          delayDeltas
	came, lost     []point // in time and number
	words          string
	row            []string
}

func newStairs(x *result.Comparison, arm string, d *result.Document) stairs {
	n := min(len(d.Messages.DelayNS), mostDrawn)
	s := stairs{
		colour: colour(x, arm), arm: arm, held: d.Messages.Held,
		planned: d.Messages.PlannedNS[:n], delay: d.Messages.DelayNS[:n],
	}
	part := func(all []int64) deltas { return all[:min(n, len(all))] }
	s.parts = delayDeltas{Waiting: part(d.Messages.WaitingNS), Crossing: part(d.Messages.CrossingNS), ReadLate: part(d.Messages.ReadLateNS)}
	switch {
	case s.parts.ReadLate == nil:
		s.parts.HeldBack = part(d.Messages.HeldNS)
	case d.Stall != nil && d.Stall.Held != nil:
		s.parts.Blocked = part(d.Messages.BlockedNS)
	}
	var took []int64
	var missing result.NumberRuns
	for i, planned := range s.planned {
		number := int64(i)
		switch delay := s.delay[i]; {
		case planned < 0:
		case delay >= 0:
			s.came = append(s.came, point{float64(planned + delay), float64(i)})
			took = append(took, delay)
		default:
			s.lost = append(s.lost, point{float64(planned), float64(i)})
			missing.Add(number)
		}
	}
	s.words = fmt.Sprintf("%s: %s came, %s never", arm, Count(int64(len(s.came))), Count(int64(len(s.lost))))
	waited := notMeasured
	switch {
	case d.Stall == nil:
	case d.Stall.Held == nil:
		waited = "0"
	default:
		waited = Count(*d.Stall.Held)
		if *d.Stall.Held > 0 {
			s.words += "; " + waited + " head-of-line blocked"
		}
	}
	if n < len(d.Messages.DelayNS) {
		s.words += fmt.Sprintf(" (the first %s of %s)", Count(int64(n)), Count(int64(len(d.Messages.DelayNS))))
	}
	s.row = []string{arm, Count(int64(len(s.came))), Count(int64(len(s.lost))), waited, unknown, unknown, unknown, runsText(missing)}
	if len(took) > 0 {
		slices.Sort(took)
		s.row[4], s.row[5], s.row[6] = Duration(took[0]), Duration(took[len(took)/2]), Duration(took[len(took)-1])
	}
	return s
}

// runsText lists runs of numbers: "3, 7–9 and 5 more".
func runsText(runs result.NumberRuns) string {
	var parts []string
	for _, r := range runs[:min(len(runs), mostNumbers)] {
		part := strconv.FormatInt(r[0], 10)
		if r[1] > r[0] {
			part += "–" + strconv.FormatInt(r[1], 10)
		}
		parts = append(parts, part)
	}
	switch {
	case len(runs) == 0:
		return "none"
	case len(runs) > mostNumbers:
		return strings.Join(parts, ", ") + fmt.Sprintf(" and %d more", len(runs)-mostNumbers)
	}
	return strings.Join(parts, ", ")
}

// stairsChart has each message of one trial of each arm, all to one scale.
func stairsChart(x *result.Comparison) chartData {
	d := chartData{
		ID: "stairs", Title: "Every message",
		Text: "Each point is a message of the first trial: its number against the time at which it came. The thin line is the plan; " +
			"a red mark is a message that never came. Where messages wait for a lost one, the points rise upright: all of them come at once.",
		Columns: []string{"", "came", "never came", "head-of-line blocked", "fastest", "half within", "slowest", "numbers that never came"},
		Legend:  []legendItem{{"came", sample("curve", "ink")}, {"never came", sample("lost")}, {"planned", sample("plan")}},
	}
	var all []stairs
	end, count := 1.0, 1.0
	for _, arm := range x.Plan.Arms {
		t := shown(x, arm)
		if t == nil {
			continue
		}
		s := newStairs(x, arm, t)
		for _, p := range slices.Concat(s.came, s.lost) {
			end = max(end, p.x)
		}
		count = max(count, float64(len(s.delay)))
		all = append(all, s)
		d.Rows = append(d.Rows, s.row)
	}
	end = math.Ceil(end/1e3)*1e3 + 1e3 // not below what the times are when they are rounded
	for _, s := range all {
		c := newCanvas(stairWidth, stairHeight, scale{low: 0, high: end}, scale{low: 0, high: count})
		c.axes(timeUnit.words, countUnit.words)
		var plan []point
		for i, planned := range s.planned {
			if planned >= 0 {
				plan = append(plan, point{float64(planned), float64(i)})
			}
		}
		c.line(plan, false, "plan")
		c.marks(s.came, "h0", "dots", stroked(s.colour))
		c.marks(s.lost, "m-2.5-2.5l5 5m0-5l-5 5", "lost")
		d.Figures = append(d.Figures, figureData{
			Drawing: c.done("Message numbers against arrival. " + s.words), Caption: s.words,
			Live: &liveChart{
				X: liveAxis{Unit: timeUnit.name, High: end}, Y: liveAxis{Unit: countUnit.name, High: count},
				Tick: s.tick(), Colour: s.colour,
				Planned: s.coded(s.planned), Delay: s.coded(s.delay), Held: s.held,
				delayDeltas: s.parts,
			},
		})
	}
	return d
}

// tick is the unit of the times that a page has, ns: a thousandth of the least
// delay or finer.
func (s *stairs) tick() int64 {
	least := int64(math.MaxInt64)
	for _, v := range s.delay {
		if v >= 0 {
			least = min(least, v)
		}
	}
	if least >= 1e6 {
		return 1e3
	}
	return 1
}

func (s *stairs) coded(times []int64) deltas {
	tick := s.tick()
	all := make(deltas, len(times))
	for i, v := range times {
		if all[i] = v; v > 0 {
			all[i] = (v + tick/2) / tick
		}
	}
	return all
}
