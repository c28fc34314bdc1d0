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

// accents are the arms' colours on paper; page.css has them again, and those of
// a dark screen.
var accents = [...]string{"#0072b2", "#d55e00", "#009e73", "#a0559b", "#b8860b", "#4a5058", "#7a3b69", "#8c5a3c"}

// shapes are the attributes of each class of shape: a page whose style may not
// be applied is drawn by them alone. The style changes no more than colours.
var shapes = withColours(map[string]string{
	"axis":  ` fill="none" stroke="#d5d8dd"`,
	"plan":  ` fill="none" stroke="#6b7280" stroke-width=".7"`,
	"dots":  ` fill="none" stroke-width="2" stroke-linecap="round"`,
	"lost":  ` fill="none" stroke="#c0262d" stroke-width="1.2"`,
	"curve": ` fill="none" stroke-width="1.8"`,
	"band":  ` opacity=".15"`,
	"bar":   ` opacity=".85"`,
	"half":  ` opacity=".5"`,
	"pale":  ` opacity=".25"`,
	"ink":   ` stroke="#1c1e21"`,
	"hatch": ` fill="none"`,
	"inked": ` fill="#1c1e21"`,
	"gone":  ` fill="#c0262d"`,
})

func withColours(all map[string]string) map[string]string {
	for i, accent := range accents {
		all[stroked(i)] = ` stroke="` + accent + `"`
		all[filled(i)] = ` fill="` + accent + `"`
	}
	return all
}

// stroked and filled are the classes of a colour.
func stroked(colour int) string { return "s" + strconv.Itoa(colour) }
func filled(colour int) string  { return "f" + strconv.Itoa(colour) }

// shape is the beginning of an element of some classes.
func shape(element string, classes ...string) string {
	var attributes strings.Builder
	for _, class := range classes {
		attributes.WriteString(shapes[class])
	}
	return "<" + element + ` class="` + strings.Join(classes, " ") + `"` + attributes.String()
}

// canvas is a drawing in the making.
type canvas struct {
	width, height float64
	x, y          scale
	b             strings.Builder
}

// The room around a plot for its axes, pixels.
const marginLeft, marginRight, marginTop, marginBottom = 52, 14, 10, 24

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
	c.path(fmt.Sprintf("M%s %sV%sH%s", number(c.x.from), number(c.y.to), number(c.y.from), number(c.x.to)), "axis")
	for _, v := range c.x.ticks(6) {
		at := c.x.at(v)
		c.path(fmt.Sprintf("M%s %sv4", number(at), number(c.y.from)), "axis")
		c.text(at, c.y.from+16, "middle", xWords(v))
	}
	for _, v := range c.y.ticks(5) {
		at := c.y.at(v)
		c.path(fmt.Sprintf("M%s %sH%s", number(c.x.from-4), number(at), number(c.x.to)), "axis")
		c.text(c.x.from-7, at+4, "end", yWords(v))
	}
}

func (c *canvas) path(d string, classes ...string) {
	c.b.WriteString(shape("path", classes...) + ` d="` + d + `"/>`)
}

func (c *canvas) text(x, y float64, anchor, words string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s" text-anchor="%s">%s</text>`, number(x), number(y), anchor, template.HTMLEscapeString(words))
}

// point is a place in values.
type point struct{ x, y float64 }

// line draws a curve through the points; as steps it stays at a value until the
// next. What would be drawn over itself is left out.
func (c *canvas) line(points []point, steps bool, classes ...string) {
	if len(points) == 0 {
		return
	}
	var d strings.Builder
	var lastX, lastY string
	for i, p := range points {
		x, y := number(c.x.at(p.x)), number(c.y.at(p.y))
		switch {
		case i == 0:
			d.WriteString("M" + x + " " + y)
		case x == lastX && y == lastY, steps && y == lastY && i < len(points)-1:
			continue
		case steps:
			d.WriteString("H" + x + "V" + y)
		default:
			d.WriteString("L" + x + " " + y)
		}
		lastX, lastY = x, y
	}
	c.path(d.String(), classes...)
}

// marks draws a short stroke at each point: a dot where it has round ends. Of
// those that fall on the same half of a pixel one is drawn.
func (c *canvas) marks(points []point, stroke string, classes ...string) {
	if len(points) == 0 {
		return
	}
	var d strings.Builder
	drawn := map[[2]float64]bool{}
	for _, p := range points {
		x, y := math.Round(c.x.at(p.x)*2)/2, math.Round(c.y.at(p.y)*2)/2
		if at := [2]float64{x, y}; !drawn[at] {
			drawn[at] = true
			d.WriteString("M" + number(x) + " " + number(y) + stroke)
		}
	}
	c.path(d.String(), classes...)
}

// done is the drawing, with the words that stand for it where it cannot be seen.
func (c *canvas) done(words string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %s %s" role="img" aria-label="%s" font-family="system-ui, sans-serif" font-size="11" fill="#6b7280">%s</svg>`, //nolint:gosec // drawn here, words escaped
		number(c.width), number(c.height), template.HTMLEscapeString(words), c.b.String()))
}
