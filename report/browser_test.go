package report

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"netcmp/result"
)

// synthetic is a comparison of arms × repeat trials of count messages each: every
// fiftieth is lost, or holds the next ten.
func synthetic(arms []string, repeat, count int) *result.Comparison {
	x := &result.Comparison{
		Schema:  result.ComparisonSchema,
		Plan:    result.ComparisonPlan{Arms: arms, Repeat: repeat, Seed: 1, Command: "netcmp compare"},
		Verdict: []string{}, Warnings: []string{},
	}
	draw := rand.New(rand.NewPCG(1, 2))
	const step, delay = 2e6, 20e6
	for _, arm := range arms {
		reliable := natures[arm].reliable
		usable := result.Curve{Arm: arm}
		for within := 10e6; within < 2e9; within *= 1.06 {
			usable.Points = append(usable.Points, result.CurvePoint{WithinNS: int64(within), Ratio: draw.Float64(), Low: 0.1, High: 0.9})
		}
		x.Usable = append(x.Usable, usable)
		for _, metric := range []string{"delivery_ratio", "overhead_ratio"} {
			x.Table = append(x.Table, result.Figure{Metric: metric, Arm: arm, N: repeat, Median: new(0.99)})
		}
		for block := range repeat {
			d := base(arm)
			d.Trial = &result.Trial{Arm: arm, Block: block, Comparison: &x.Plan}
			m := &result.Messages{}
			bins := map[int64]int64{}
			var slowest []result.Dissected
			for i := range int64(count) {
				took := delay + draw.Int64N(1e6)
				switch j := i % 50; {
				case j == 49 && !reliable:
					took = -1
				case i >= 50 && j < 10 && reliable:
					took += (10 - j) * step
					m.Held = append(m.Held, [2]int64{i, i})
				}
				m.PlannedNS, m.DelayNS = append(m.PlannedNS, i*step), append(m.DelayNS, took)
				if arm == "tcp" || arm == "udp" {
					parts := result.Dissected{Number: i, WaitingNS: -1, CrossingNS: -1, HeldNS: -1, BlockedNS: -1, ReadLateNS: -1}
					if took >= 0 {
						parts.WaitingNS, parts.HeldNS = took%20_011, (took-delay)/2
						parts.CrossingNS = took - parts.WaitingNS - parts.HeldNS
						parts.BlockedNS = 0
						if reliable {
							parts.BlockedNS = parts.HeldNS / 3
						}
						parts.ReadLateNS = parts.HeldNS - parts.BlockedNS
						slowest = append(slowest, parts)
					}
					m.WaitingNS, m.CrossingNS, m.HeldNS = append(m.WaitingNS, parts.WaitingNS), append(m.CrossingNS, parts.CrossingNS), append(m.HeldNS, parts.HeldNS)
					m.BlockedNS, m.ReadLateNS = append(m.BlockedNS, parts.BlockedNS), append(m.ReadLateNS, parts.ReadLateNS)
				}
				if took >= 0 {
					bins[took/300_000*300_000]++
				}
			}
			for at := int64(0); at < int64(count)*step; at += int64(count) * step / 8 {
				d.Intervals = append(d.Intervals, result.Interval{AtNS: at, Delivered: int64(count)/8 - draw.Int64N(9)})
			}
			d.Messages = m
			if reliable {
				d.Stall.Held = new(int64(len(m.Held)))
			}
			if len(slowest) > 0 {
				slices.SortFunc(slowest, func(a, b result.Dissected) int { return cmp.Compare(delayOf(b), delayOf(a)) })
				d.Anatomy = &result.Anatomy{Messages: int64(len(slowest)), Slowest: slowest[:min(10, len(slowest))]}
			}
			d.Delivery.Sent = int64(count)
			d.Delay.Distribution = nil
			for v := int64(0); v < 2e9; v += 300_000 {
				if bins[v] > 0 {
					d.Delay.Distribution = append(d.Delay.Distribution, [2]int64{v, bins[v]})
				}
			}
			x.Trials = append(x.Trials, d)
		}
	}
	return x
}

func sixTimesFive() *result.Comparison {
	return synthetic([]string{"tcp", "tls", "udp", "quic", "quic-streams", "quic-datagram"}, 5, 5000)
}

// A real browser shows the page without a word of complaint, and asks for
// nothing: its style and its script have got through its own policy.
func TestPageInBrowser(t *testing.T) {
	b := startBrowser(t)
	x := synthetic([]string{"tcp", "udp"}, 1, 100) // a message each four pixels, or two when they come together
	url := pageFile(t, htmlOf(t, x))
	b.window(1000, "light")
	b.open(url)

	if n := eval[int](b, `document.querySelectorAll("figure.live canvas").length`); n != 5 {
		t.Fatalf("%d live charts, want the messages of two and three of curves", n)
	}
	if eval[bool](b, `[...document.querySelectorAll("figure.live > svg")].some(s => s.checkVisibility())`) {
		t.Error("a drawing is to be seen beside the chart that stands in for it")
	}
	// Each trial's points have its own colour, which the SVG has, too.
	for i := range 2 {
		n := eval[int](b, fmt.Sprintf(`(() => { const c = document.querySelector("#stairs-%d canvas"), want = %q;
			const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; let n = 0;
			const hex = v => v.toString(16).padStart(2, "0");
			for (let i = 0; i < d.length; i += 4) if ("#" + hex(d[i]) + hex(d[i+1]) + hex(d[i+2]) === want && d[i+3] > 200) n++;
			return n; })()`, i, accents[colour(x, x.Plan.Arms[i])]))
		if n < 98 {
			t.Errorf("%d pixels of %d have the colour of their trial", n, i)
		}
	}
	if got := eval[string](b, `document.querySelector("#stairs-1 figcaption").textContent`); got != "udp: 98 came, 2 never" {
		t.Errorf("the caption is %q", got)
	}

	t.Run("pointer", func(t *testing.T) {
		b.t = t
		// Message 55 waited over tcp; 49 was lost over udp, and stands where it was due.
		for arm, figure := range []string{"stairs-0", "stairs-1"} {
			for _, number := range []int{42, 49, 55} {
				m := x.Trials[arm].Messages
				at := m.PlannedNS[number] + max(m.DelayNS[number], 0)
				px, py := place(b, figure, float64(at), float64(number), x)
				b.mouse("mouseMoved", px, py, 0)
				want := told(x.Trials[arm], number)
				if got := readout(b, figure); got != want {
					t.Errorf("at message %d: %q, want %q", number, got, want)
				}
			}
		}
	})
	t.Run("zoom", func(t *testing.T) {
		b.t = t
		x1, y1 := place(b, "stairs-1", 40e6, 10, x)
		x2, _ := place(b, "stairs-1", 90e6, 10, x)
		b.mouse("mouseMoved", x1, y1, 0)
		b.mouse("mousePressed", x1, y1, 1)
		b.mouse("mouseMoved", x2, y1, -1)
		b.mouse("mouseReleased", x2, y1, 1)
		// 50 ms now fill the plot: in its middle is what came 65 ms after the beginning,
		// and the other trial's chart has gone along.
		for _, figure := range []string{"stairs-1", "stairs-0"} {
			box := plotBox(b, figure)
			b.mouse("mouseMoved", box.x+box.w/2, box.y+box.h/2, 0)
			if got := numberOf(t, readout(b, figure)); math.Abs(got-22) > 2 {
				t.Errorf("%s: message %v is in the middle, want about 22", figure, got)
			}
		}
		box := plotBox(b, "stairs-1")
		for clicks := 1; clicks <= 2; clicks++ {
			b.mouse("mousePressed", box.x+box.w/2, box.y+box.h/2, clicks)
			b.mouse("mouseReleased", box.x+box.w/2, box.y+box.h/2, clicks)
		}
		b.mouse("mouseMoved", box.x+box.w/2+1, box.y+box.h/2, 0)
		if got := numberOf(t, readout(b, "stairs-1")); math.Abs(got-46) > 3 {
			t.Errorf("all shown again, and message %v is in the middle", got)
		}
	})
	t.Run("keyboard", func(t *testing.T) {
		b.t = t
		eval[bool](b, `[...document.querySelectorAll(".legend button")][2].focus(), true`)
		b.key("Tab")
		if got := eval[string](b, `document.activeElement.closest("figure").id`); got != "stairs-0" {
			t.Fatalf("Tab leads to %s", got)
		}
		if eval[string](b, `document.activeElement.getAttribute("aria-label")`) == "" {
			t.Error("the chart has no words for who cannot see it")
		}
		b.key("Home")
		for n := range 3 {
			if got, want := readout(b, "stairs-0"), told(x.Trials[0], n); got != want {
				t.Errorf("after %d steps: %q, want %q", n, got, want)
			}
			b.key("ArrowRight")
		}
		b.key("ArrowLeft")
		if got, want := readout(b, "stairs-0"), told(x.Trials[0], 2); got != want {
			t.Errorf("a step back: %q, want %q", got, want)
		}
		b.key("+")
		b.key("End")
		if got := numberOf(t, readout(b, "stairs-0")); got > 75 {
			t.Errorf("zoomed in, and the last message is still %v", got)
		}
		b.key("Escape")
		b.key("End")
		m, last := x.Trials[0].Messages, 0
		for i := range m.DelayNS {
			if m.PlannedNS[i]+m.DelayNS[i] > m.PlannedNS[last]+m.DelayNS[last] {
				last = i
			}
		}
		if got, want := readout(b, "stairs-0"), told(x.Trials[0], last); got != want {
			t.Errorf("the last is %q, want %q", got, want)
		}
	})
	t.Run("curves", func(t *testing.T) {
		b.t = t
		p := x.Usable[0].Points[40]
		eval[bool](b, `document.querySelector("#usable-0 .plot").focus(), true`)
		b.key("Home")
		for range 40 {
			b.key("ArrowRight")
		}
		want := fmt.Sprintf("within %s: tcp %s, udp %s", Duration(p.WithinNS), shareText(p.Ratio), shareText(x.Usable[1].Points[40].Ratio))
		if got := readout(b, "usable-0"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		eval[bool](b, `document.querySelector("[aria-labelledby=usable] .legend button").click(), true`)
		b.key("ArrowLeft")
		if got := readout(b, "usable-0"); strings.Contains(got, "tcp") || !strings.Contains(got, "udp") {
			t.Errorf("tcp was switched off, and it says %q", got)
		}
	})
	t.Run("table", func(t *testing.T) {
		b.t = t
		eval[bool](b, `document.querySelector("#stairs-1 details summary").click(), true`)
		frame(b)
		row := eval[[]string](b, `[...document.querySelectorAll("#stairs-1 tbody tr")[99].cells].map(c => c.textContent)`)
		if want := []string{"99", "198.0 ms", "–", "∞", "never came"}; strings.Join(row, "|") != strings.Join(want, "|") {
			t.Errorf("the row is %q", row)
		}
	})
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{360, 1000} {
			t.Run(fmt.Sprintf("%s %d", scheme, width), func(t *testing.T) {
				b.t = t
				b.window(width, scheme)
				if got := eval[int](b, "document.documentElement.scrollWidth"); got > width {
					t.Errorf("the page is %d wide in a window of %d", got, width)
				}
				if got, want := eval[string](b, "getComputedStyle(document.body).backgroundColor"), map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]; got != want {
					t.Errorf("the paper is %s", got)
				}
			})
		}
	}
	b.t = t
	// On paper the drawings stand there, sharp and in light colours.
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	if n := eval[int](b, `[...document.querySelectorAll("figure > svg")].filter(s => s.checkVisibility() && !s.parentElement.querySelector(".plot")?.checkVisibility()).length`); n != 11 {
		t.Errorf("on paper %d drawings are to be seen", n)
	}
	b.content(url)
}

// Without scripts the drawings are there, whole, and the page is as quiet.
func TestPageWithoutScript(t *testing.T) {
	b := startBrowser(t)
	url := pageFile(t, htmlOf(t, synthetic([]string{"tcp", "udp"}, 1, 1500)))
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	for _, width := range []int{360, 1000} {
		b.width(width)
		b.open(url)
		var box struct{ Model struct{ Width, Height int } }
		var root struct{ Root struct{ NodeID int } }
		b.call("DOM.getDocument", nil, &root)
		var all struct{ NodeIDs []int }
		b.call("DOM.querySelectorAll", map[string]any{"nodeId": root.Root.NodeID, "selector": "figure > svg"}, &all)
		if len(all.NodeIDs) != 11 {
			t.Errorf("%d drawings", len(all.NodeIDs))
		}
		for _, id := range all.NodeIDs {
			b.call("DOM.getBoxModel", map[string]any{"nodeId": id}, &box)
			if box.Model.Width < 280 || box.Model.Width > width || box.Model.Height < 50 {
				t.Errorf("in a window of %d a drawing has %d × %d", width, box.Model.Width, box.Model.Height)
			}
		}
		var page struct{ CSSContentSize struct{ Width int } }
		b.call("Page.getLayoutMetrics", nil, &page)
		if page.CSSContentSize.Width > width {
			t.Errorf("the page is %d wide in a window of %d", page.CSSContentSize.Width, width)
		}
	}
	for _, c := range b.complaints {
		t.Error(c)
	}
}

// A server that allows nothing at all leaves the page its words and drawings:
// every shape has its colours by itself.
func TestPageUnderStrictestPolicy(t *testing.T) {
	page := htmlOf(t, synthetic([]string{"tcp", "udp"}, 1, 1500))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	}))
	defer server.Close()
	b := startBrowser(t)
	b.window(1000, "light")
	b.open(server.URL)
	if eval[int](b, `document.querySelectorAll("canvas").length`) != 0 {
		t.Error("the script ran all the same")
	}
	if got := eval[string](b, "getComputedStyle(document.body).maxWidth"); got != "none" {
		t.Errorf("the style was applied all the same: %s", got)
	}
	unseen := eval[[]string](b, `[...document.querySelectorAll("svg path, svg rect")].filter(e => {
		const s = getComputedStyle(e), line = s.stroke !== "none", none = s.fill === "none";
		return !line && (none || s.fill === "rgb(107, 114, 128)") || line && !none && !e.closest(".legend") || !e.checkVisibility();
	}).map(e => e.outerHTML.slice(0, 80))`)
	if len(unseen) > 0 {
		t.Errorf("without the style these have no colour of their own, or one too many: %q", unseen)
	}
	if got := eval[int](b, `document.querySelectorAll(".dots")[0].getBoundingClientRect().width | 0`); got < 300 {
		t.Errorf("the messages are %d wide", got)
	}
}

// A page of six protocols, five trials each of 5000 messages, is small, and a
// browser that runs opens it within two seconds: from its beginning until its
// charts are drawn and one more frame. Of the first time more than half is the
// browser's own beginning, which a slow machine draws out to two seconds.
func TestPageOpensFast(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector is not in the browser, only beside it")
	}
	page := htmlOf(t, sixTimesFive())
	b := startBrowser(t)
	b.window(1000, "light")
	url := pageFile(t, page)
	took := make([]float64, 3)
	for i := range took {
		b.open(url)
		frame(b)
		took[i] = eval[float64](b, "performance.now()")
	}
	t.Logf("%d bytes, open after %.0f ms", len(page), took)
	if n := eval[int](b, `document.querySelectorAll("figure.live canvas").length`); n != 9 {
		t.Errorf("%d live charts", n)
	}
	if slices.Min(took) > 2000 {
		t.Errorf("it took %.0f ms to open", took)
	}
	b.content(url)
}

type box struct{ x, y, w, h float64 }

// plotBox is where a chart's plot is in the window, after it is scrolled to.
func plotBox(b *browser, figure string) box {
	b.t.Helper()
	v := eval[[]float64](b, fmt.Sprintf(`(() => { const e = document.querySelector("#%s .u-over"); e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`, figure))
	frame(b)
	return box{v[0], v[1], v[2], v[3]}
}

// place is where a message is in the window, by the scales of all stairs.
func place(b *browser, figure string, at, number float64, x *result.Comparison) (px, py float64) {
	b.t.Helper()
	end, count := 0.0, 0.0
	for _, d := range x.Trials {
		for i, planned := range d.Messages.PlannedNS {
			end = max(end, float64(planned+max(d.Messages.DelayNS[i], 0)))
		}
		count = max(count, float64(len(d.Messages.DelayNS)))
	}
	r := plotBox(b, figure)
	return r.x + r.w*at/end, r.y + r.h*(1-number/count)
}

func readout(b *browser, figure string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector("#%s output").textContent`, figure))
}

// told is what the page says of a message, by the document's figures.
func told(d *result.Document, number int) string {
	m := d.Messages
	instant := func(ns int64) string {
		digits := 1
		if ns < 1e7 {
			digits = 3
		}
		return fmt.Sprintf("%.*f ms", digits, float64(ns)/1e6)
	}
	round := func(ns int64) int64 { return (ns + 500) / 1000 * 1000 }
	planned, delay := round(m.PlannedNS[number]), m.DelayNS[number]
	s := fmt.Sprintf("message %d: due at %s, ", number, instant(planned))
	if delay < 0 {
		return s + "never came"
	}
	s += fmt.Sprintf("came at %s, after %s", instant(planned+round(delay)), Duration(round(delay)))
	for _, run := range m.Held {
		if run[0] <= int64(number) && int64(number) <= run[1] {
			s += ", head-of-line blocked"
		}
	}
	if partOf(m.WaitingNS, int64(number)) >= 0 {
		s += fmt.Sprintf(" (waiting %s, crossing %s, ", Duration(m.WaitingNS[number]), Duration(m.CrossingNS[number]))
		if d.Stall.Held != nil {
			s += fmt.Sprintf("head-of-line blocked %s, ", Duration(m.BlockedNS[number]))
		}
		s += fmt.Sprintf("read late %s)", Duration(m.ReadLateNS[number]))
	}
	return s
}

// shareText is a share as the page has it: six digits of it.
func shareText(share float64) string { return Percent(math.Round(share*1e6) / 1e6) }

// numberOf is that of the message which is told of.
func numberOf(t *testing.T, readout string) float64 {
	t.Helper()
	var n float64
	if _, err := fmt.Sscanf(readout, "message %f:", &n); err != nil {
		t.Errorf("%q names no message", readout)
	}
	return n
}
