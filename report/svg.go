package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// scale leads from values to pixels.
type scale struct {
	low, high float64 // values
	from, to  float64 // pixels
	log       bool
}

func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(math.Max(v, s.low))
	}
	if high == low {
		return s.from
	}
	return s.from + (math.Min(math.Max(v, low), high)-low)/(high-low)*(s.to-s.from)
}

// ticks are round values that divide the scale: 1, 2 and 5 times powers of ten,
// and of a logarithmic one the powers and, where there are few, those between.
func (s scale) ticks(most int) []float64 {
	var all []float64
	if s.log {
		steps := []float64{1, 2, 5}
		if math.Log10(s.high/s.low) > float64(most)/3 {
			steps = steps[:1]
		}
		for e := math.Floor(math.Log10(s.low)); e <= math.Ceil(math.Log10(s.high)); e++ {
			for _, m := range steps {
				if v := m * math.Pow(10, e); v >= s.low*0.999 && v <= s.high*1.001 {
					all = append(all, v)
				}
			}
		}
		return all
	}
	span := s.high - s.low
	if span <= 0 || math.IsInf(span, 0) || math.IsNaN(span) {
		return []float64{s.low}
	}
	step := math.Pow(10, math.Floor(math.Log10(span/float64(most))))
	for _, m := range []float64{1, 2, 5, 10} {
		if span/(step*m) <= float64(most) {
			step *= m
			break
		}
	}
	for v := math.Ceil(s.low/step-1e-9) * step; v <= s.high+step*1e-9; v += step {
		all = append(all, v)
	}
	return all
}

// canvas is a drawing in the making.
type canvas struct {
	width, height float64
	x, y          scale
	b             strings.Builder
}

// The room around a plot for its axes, pixels.
const marginLeft, marginRight, marginTop, marginBottom = 52, 12, 10, 30

func newCanvas(width, height float64, x, y scale) *canvas {
	c := &canvas{width: width, height: height, x: x, y: y}
	c.x.from, c.x.to = marginLeft, width-marginRight
	c.y.from, c.y.to = height-marginBottom, marginTop
	return c
}

// number writes a place to a tenth of a pixel.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10+0, 'f', -1, 64) // + 0: there is no negative zero
}

// axes draws both, with what words make of the ticks' values.
func (c *canvas) axes(xWords, yWords func(float64) string) {
	fmt.Fprintf(&c.b, `<path class="axis" d="M%s %sV%sH%s"/>`, number(c.x.from), number(c.y.to), number(c.y.from), number(c.x.to))
	for _, v := range c.x.ticks(6) {
		at := number(c.x.at(v))
		fmt.Fprintf(&c.b, `<path class="axis" d="M%s %sv4"/><text x="%s" y="%s" text-anchor="middle">%s</text>`,
			at, number(c.y.from), at, number(c.y.from+16), template.HTMLEscapeString(xWords(v)))
	}
	for _, v := range c.y.ticks(5) {
		at := c.y.at(v)
		fmt.Fprintf(&c.b, `<path class="axis" d="M%s %sH%s"/><text x="%s" y="%s" text-anchor="end">%s</text>`,
			number(c.x.from-4), number(at), number(c.x.to), number(c.x.from-7), number(at+4), template.HTMLEscapeString(yWords(v)))
	}
}

// point is a place in values.
type point struct{ x, y float64 }

// line draws a curve through the points; as steps it stays at a value until the
// next.
func (c *canvas) line(class string, points []point, steps bool) {
	if len(points) == 0 {
		return
	}
	var d strings.Builder
	for i, p := range points {
		x, y := number(c.x.at(p.x)), number(c.y.at(p.y))
		switch {
		case i == 0:
			d.WriteString("M" + x + " " + y)
		case steps:
			d.WriteString("H" + x + "V" + y)
		default:
			d.WriteString("L" + x + " " + y)
		}
	}
	fmt.Fprintf(&c.b, `<path class="%s" d="%s"/>`, class, d.String())
}

// marks draws a short stroke at each point: a dot where it has round ends.
func (c *canvas) marks(class string, points []point, stroke string) {
	if len(points) == 0 {
		return
	}
	var d strings.Builder
	for _, p := range points {
		d.WriteString("M" + number(c.x.at(p.x)) + " " + number(c.y.at(p.y)) + stroke)
	}
	fmt.Fprintf(&c.b, `<path class="%s" d="%s"/>`, class, d.String())
}

// done is the drawing, with the words that stand for it where it cannot be seen.
func (c *canvas) done(words string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %s %s" role="img" aria-label="%s">%s</svg>`,
		number(c.width), number(c.height), template.HTMLEscapeString(words), c.b.String()))
}
