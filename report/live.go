package report

import (
	"math"
	"slices"
	"strconv"

	"netcmp/result"
)

// liveChart is a chart in the form that the page's script draws it from
// (page.js): either curves over one x, or the messages of one trial.
type liveChart struct {
	ID   string   `json:"id"` // of the figure whose drawing it stands in for
	X    liveAxis `json:"x"`
	Y    liveAxis `json:"y"`
	Tick int64    `json:"tick"` // ns of the unit of times below

	Lead   string      `json:"lead,omitempty"` // what is said before an x: "within"
	Steps  bool        `json:"steps,omitempty"`
	At     deltas      `json:"at,omitempty"`
	Curves []liveCurve `json:"curves,omitempty"`

	Colour  int               `json:"colour"`
	Planned deltas            `json:"planned,omitempty"`
	Delay   deltas            `json:"delay,omitempty"`
	Held    result.NumberRuns `json:"held,omitempty"`

	delayDeltas
}

// delayDeltas are the parts of messages' delays, ns, where they are known.
type delayDeltas struct {
	Waiting  deltas `json:"waiting,omitempty"`
	Crossing deltas `json:"crossing,omitempty"`
	Blocked  deltas `json:"blocked,omitempty"` // of transports that keep the order
	ReadLate deltas `json:"readLate,omitempty"`
	HeldBack deltas `json:"heldBack,omitempty"` // of documents that do not tell the two before apart
}

type liveAxis struct {
	Unit string  `json:"unit"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Log  bool    `json:"log,omitempty"`
}

type liveCurve struct {
	Name   string    `json:"name"`
	Colour int       `json:"colour"`
	Y      sixDigits `json:"y"`
	Low    sixDigits `json:"low,omitempty"`
	High   sixDigits `json:"high,omitempty"`
}

// deltas are written each as its difference to the one before; what is negative
// is not known, and null.
type deltas []int64

// MarshalJSON is json.Marshaler's.
func (d deltas) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	before := int64(0)
	for i, v := range d {
		if i > 0 {
			b = append(b, ',')
		}
		if v < 0 {
			b = append(b, "null"...)
			continue
		}
		b = strconv.AppendInt(b, v-before, 10)
		before = v
	}
	return append(b, ']'), nil
}

// sixDigits are written with six significant digits; what is not a number is null.
type sixDigits []float64

// MarshalJSON is json.Marshaler's.
func (f sixDigits) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, v := range f {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			b = append(b, "null"...)
			continue
		}
		b = strconv.AppendFloat(b, v, 'g', 6, 64)
	}
	return append(b, ']'), nil
}

// live is the set of curves as the script draws it: all over the same x.
func (s *curveSet) live() *liveChart {
	l := &liveChart{
		X:    liveAxis{s.xUnit.name, s.x.low, s.x.high, s.x.log},
		Y:    liveAxis{s.yUnit.name, s.y.low, s.y.high, s.y.log},
		Tick: 1, Lead: s.lead, Steps: s.steps,
	}
	for _, c := range s.curves {
		for _, p := range c.points {
			l.At = append(l.At, int64(p.x))
		}
	}
	slices.Sort(l.At)
	l.At = slices.Compact(l.At)
	for _, c := range s.curves {
		k := liveCurve{Name: c.arm, Colour: c.colour, Y: c.over(l.At, s.steps)}
		if len(c.low) > 0 {
			k.Low, k.High = curve{points: c.low}.over(l.At, s.steps), curve{points: c.high}.over(l.At, s.steps)
		}
		l.Curves = append(l.Curves, k)
	}
	return l
}

// over is the curve's value at each x. As steps it stays at a value until the
// next; else it has none between its points.
func (c curve) over(at deltas, steps bool) sixDigits {
	all := make(sixDigits, len(at))
	i := -1
	for j, x := range at {
		for i+1 < len(c.points) && int64(c.points[i+1].x) <= x {
			i++
		}
		switch {
		case i >= 0 && (steps || int64(c.points[i].x) == x):
			all[j] = c.points[i].y
		default:
			all[j] = math.NaN()
		}
	}
	return all
}
