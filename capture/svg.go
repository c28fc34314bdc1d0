package capture

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Measures of a ladder's drawing, pixels.
const (
	svgWidth  = 960.0
	svgLeft   = 130.0 // the client's pole
	svgRight  = svgWidth - svgLeft
	svgTop    = 74.0
	svgBottom = 24.0

	// Between two instants lie as many pixels as milliseconds, within bounds: an
	// arrow has room for what stands on it, and nobody scrolls through a silence.
	perMillisecond = 1.0
	afterSending   = 34.0
	afterArrival   = 15.0
	longest        = 90.0

	lostShare = 0.62 // of the way, that a lost packet is drawn
	lostFall  = 20.0
)

const svgStyle = `<style>
svg.ladder{--ink:#1b1b1b;--faint:#6b6b6b;--paper:#ffffff;--up:#0a58a6;--down:#8a4500;--lost:#b3001b;font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
@media (prefers-color-scheme:dark){svg.ladder{--ink:#e8e8e8;--faint:#a0a0a0;--paper:#161616;--up:#7db8f5;--down:#f0b070;--lost:#ff7a85}}
svg.ladder .paper{fill:var(--paper)}
svg.ladder text{fill:var(--ink);stroke:var(--paper);stroke-width:3px;paint-order:stroke;stroke-linejoin:round}
svg.ladder .head{font-weight:bold}
svg.ladder .faint{fill:var(--faint);font-size:10.5px}
svg.ladder .pole{stroke:var(--ink);stroke-width:2}
svg.ladder .up{--way:var(--up)}
svg.ladder .down{--way:var(--down)}
svg.ladder .lost{--way:var(--lost)}
svg.ladder .way{stroke:var(--way);stroke-width:1.5;fill:none}
svg.ladder .lost .way{stroke-dasharray:6 3}
svg.ladder .end{fill:var(--way);stroke:none}
svg.ladder .cross{stroke:var(--way);stroke-width:2.5;fill:none}
</style>
`

// SVG writes the ladder as a drawing that needs nothing else, follows the
// reader's choice of dark or light, and tells itself to those who do not see it.
func (l *Ladder) SVG(w io.Writer) error {
	sent, arrived, height := l.places()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="ladder" role="img" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`+"\n",
		svgWidth, height, svgWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n", html.EscapeString(cmp.Or(l.Title, "A ladder of packets")), html.EscapeString(l.told()))
	b.WriteString(svgStyle)
	fmt.Fprintf(&b, `<rect class="paper" width="%.0f" height="%.0f"/>`+"\n", svgWidth, height)
	text := func(class, anchor string, x, y float64, s string) {
		fmt.Fprintf(&b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(s))
	}
	if l.Title != "" {
		text("head", "middle", svgWidth/2, 22, l.Title)
	}
	client, server := l.peers()
	text("head", "start", svgLeft-30, 48, client)
	text("head", "end", svgRight+30, 48, server)
	text("faint", "end", svgLeft-12, svgTop-8, "ms")
	text("faint", "start", svgRight+12, svgTop-8, "ms")
	for _, x := range []float64{svgLeft, svgRight} {
		fmt.Fprintf(&b, `<line class="pole" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x, svgTop-14, x, height-svgBottom)
	}
	for i := range l.Rungs {
		l.drawRung(&b, &l.Rungs[i], sent[i], arrived[i])
	}
	if l.Left > 0 {
		text("faint", "middle", svgWidth/2, height-8, fmt.Sprintf("… and %d more packets", l.Left))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// places finds the height at which each packet is sent and comes, and that of
// the whole.
func (l *Ladder) places() (sent, arrived []float64, height float64) {
	type event struct {
		at    int64
		rung  int
		sends bool
	}
	var events []event
	for i := range l.Rungs {
		r := &l.Rungs[i]
		if r.Sent != 0 {
			events = append(events, event{r.Sent, i, true})
		}
		if r.Arrived != 0 {
			events = append(events, event{r.Arrived, i, false})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	sent, arrived = make([]float64, len(l.Rungs)), make([]float64, len(l.Rungs))
	y := svgTop
	for i, e := range events {
		if i > 0 {
			least := afterArrival
			if events[i-1].sends {
				least = afterSending
			}
			y += min(max(float64(e.at-events[i-1].at)/1e6*perMillisecond, least), longest)
		}
		if e.sends {
			sent[e.rung] = y
		} else {
			arrived[e.rung] = y
		}
	}
	return sent, arrived, y + lostFall + svgBottom + 16
}

// drawRung draws one packet from the height from to the height to.
func (l *Ladder) drawRung(b *strings.Builder, r *Rung, from, to float64) {
	x1, x2, class := svgLeft, svgRight, "up"
	if !r.Up {
		x1, x2, class = svgRight, svgLeft, "down"
	}
	switch {
	case r.Arrived == 0:
		class += " lost"
		x2, to = x1+(x2-x1)*lostShare, from+lostFall
	case r.Sent == 0: // it is seen from somewhere on the way on
		x1, from = x2+(x1-x2)*lostShare, to-lostFall
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s</title>`+"\n", class, html.EscapeString(l.line(r)))
	fmt.Fprintf(b, `<line class="way" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x1, from, x2, to)
	angle := math.Atan2(to-from, x2-x1)
	if r.Arrived == 0 {
		const arm = 6
		fmt.Fprintf(b, `<path class="cross" d="M%.1f %.1fl%d %dm0 -%dl-%d %d"/>`+"\n", x2-arm, to-arm, 2*arm, 2*arm, 2*arm, 2*arm, 2*arm)
	} else {
		corner := func(turn float64) (x, y float64) {
			return x2 - 11*math.Cos(angle+turn), to - 11*math.Sin(angle+turn)
		}
		ax, ay := corner(0.35)
		bx, by := corner(-0.35)
		fmt.Fprintf(b, `<path class="end" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fZ"/>`+"\n", x2, to, ax, ay, bx, by)
	}
	// What stands on it begins at the sender's side, along the arrow.
	anchor, inset, lean := "start", 14.0, angle
	if !r.Up {
		anchor, inset, lean = "end", -14.0, angle-math.Pi
	}
	at := func(class string, dy float64, s string) {
		if s == "" {
			return
		}
		x := x1 + inset
		y := from + inset*math.Tan(angle) + dy
		fmt.Fprintf(b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f" transform="rotate(%.2f %.1f %.1f)">%s</text>`+"\n",
			class, anchor, x, y, lean*180/math.Pi, x, y, html.EscapeString(s))
	}
	at("label", -4, r.labels()[1])
	at("faint", 12, r.absolute())
	client, server := l.ends(r)
	time := func(anchor string, x, y float64, s string) {
		if s != "" {
			fmt.Fprintf(b, `<text class="faint" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", anchor, x, y+4, s)
		}
	}
	atClient, atServer := from, to
	if !r.Up {
		atClient, atServer = to, from
	}
	time("end", svgLeft-12, atClient, client)
	time("start", svgRight+12, atServer, server)
	b.WriteString("</g>\n")
}

// absolute are the numbers as they stand in the header.
func (r *Rung) absolute() string {
	var parts []string
	for _, n := range []string{r.Seq, r.Ack} {
		if _, in, ok := strings.Cut(n, "("); ok {
			parts = append(parts, n[:3]+" "+strings.TrimSuffix(in, ")"))
		}
	}
	return strings.Join(parts, ", ")
}

// line is the packet in a sentence.
func (l *Ladder) line(r *Rung) string {
	from, to := "the client", "the server"
	if !r.Up {
		from, to = to, from
	}
	client, server := l.ends(r)
	sent, came := client, server
	if !r.Up {
		sent, came = server, client
	}
	s := from + " sends " + r.labels()[0]
	if sent != "" {
		s = sent + " ms: " + s
	}
	if came != "" {
		return s + "; " + to + " has it at " + came + " ms"
	}
	return s + "; it does not come"
}

// told is the whole ladder in words.
func (l *Ladder) told() string {
	lost := 0
	var lines []string
	for i := range l.Rungs {
		if l.Rungs[i].Arrived == 0 {
			lost++
		}
		lines = append(lines, l.line(&l.Rungs[i])+".")
	}
	return strconv.Itoa(len(l.Rungs)) + " packets between client and server, " + strconv.Itoa(lost) + " lost. " + strings.Join(lines, " ")
}
