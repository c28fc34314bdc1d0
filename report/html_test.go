package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netcmp/result"
)

// compared is a comparison of two arms with one trial each, of which the second
// lost a message.
func compared() *result.Comparison {
	x := &result.Comparison{
		Schema:  result.ComparisonSchema,
		Plan:    result.ComparisonPlan{Arms: []string{"tcp", "udp"}, Repeat: 1, Seed: 7, Command: "netcmp compare --protos tcp,udp --seed 7"},
		Verdict: []string{"Letters win below 50 ms."}, Warnings: []string{},
		Table: []result.Figure{
			{Metric: "delivery_ratio", Arm: "tcp", N: 1, Median: new(1.0)}, {Metric: "delivery_ratio", Arm: "udp", N: 1, Median: new(0.75)},
			{Metric: "delay_p99_ns", Arm: "tcp", N: 1, Median: new(60e6)}, {Metric: "delay_p99_ns", Arm: "udp", N: 1, Infinite: true},
			{Metric: "first_message_ns", Arm: "tcp", N: 1, Median: new(60e6)}, {Metric: "first_message_ns", Arm: "udp", N: 1, Median: new(20e6)},
		},
		Differences: []result.Difference{
			{Metric: "first_message_ns", A: "tcp", B: "udp", N: 6, Verdict: "b"},
			{Metric: "delivery_ratio", A: "tcp", B: "udp", N: 6, Verdict: result.CannotTell},
		},
	}
	for _, arm := range x.Plan.Arms {
		d := base(arm)
		d.Trial = &result.Trial{Arm: arm, Comparison: &x.Plan}
		d.Messages = &result.Messages{PlannedNS: []int64{0, 2e6, 4e6, 6e6}, DelayNS: []int64{20e6, 20e6, 60e6, 58e6}}
		if arm == "udp" {
			d.Messages.DelayNS[2] = -1
		}
		d.Delay.Distribution = [][2]int64{{20e6, 2}, {60e6, 1}}
		x.Trials = append(x.Trials, d)
		c := result.Curve{Arm: arm}
		for _, within := range []int64{10e6, 50e6, 100e6, 2e9} {
			c.Points = append(c.Points, result.CurvePoint{WithinNS: within, Ratio: 0.5, Low: 0.4, High: 0.6})
		}
		x.Usable = append(x.Usable, c)
	}
	return x
}

func htmlOf(t *testing.T, x *result.Comparison) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, x); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	styleElement  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	scriptElement = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	dataElement   = regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)
)

// The page is one file that asks for nothing, and its own policy lets its own
// style and its own script through and nothing else.
func TestPageStandsAlone(t *testing.T) {
	p := htmlOf(t, compared())
	hashed := func(element *regexp.Regexp) string {
		found := element.FindAllStringSubmatch(p, -1)
		if len(found) != 1 {
			t.Fatalf("%d of %s", len(found), element)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := `content="default-src 'none'; style-src ` + hashed(styleElement) + "; script-src " + hashed(scriptElement) + `"`
	if !strings.Contains(html.UnescapeString(p), want) {
		t.Errorf("the policy is not %s", want)
	}
	if !strings.Contains(p, "Copyright (c) 2022 Leon Sorokin") || !strings.Contains(p, "Permission is hereby granted") {
		t.Error("uPlot goes without its licence")
	}
	if !json.Valid([]byte(dataElement.FindStringSubmatch(p)[1])) {
		t.Error("the data are not JSON")
	}
	p = dataElement.ReplaceAllString(scriptElement.ReplaceAllString(p, ""), "")
	for _, bad := range []string{"<script", "src=", "href=", "url(", "@import", "style=\"", "onload", "http://", "https://"} {
		if strings.Contains(p, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	d := xml.NewDecoder(strings.NewReader(p))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// The page of six protocols, five trials each of 5000 messages, is under 5 MB;
// and of a trial with more messages than a page has, it says so.
func TestPageIsSmall(t *testing.T) {
	if n := len(htmlOf(t, sixTimesFive())); n > 5e6 {
		t.Errorf("%d bytes", n)
	}
	p := htmlOf(t, synthetic([]string{"tcp", "udp"}, 1, mostDrawn+1))
	if !strings.Contains(p, "(the first 20000 of 20001)") {
		t.Error("it does not say that not all messages are there")
	}
}

// Every chart has words for who cannot see it, and a table behind it.
func TestPageHasTables(t *testing.T) {
	p := htmlOf(t, sixTimesFive())
	charts := 0
	for _, section := range strings.Split(p, "<section ")[1:] {
		section, _, _ = strings.Cut(section, "</section>")
		if !strings.Contains(section, "<figure") {
			continue
		}
		charts++
		name, _, _ := strings.Cut(section, ">")
		if !strings.Contains(section, "<table>") {
			t.Errorf("%s has no table", name)
		}
		for _, drawing := range strings.Split(section, `role="img"`)[1:] {
			if words, ok := strings.CutPrefix(drawing, ` aria-label="`); !ok || words[0] == '"' {
				t.Errorf("%s has no words", name)
			}
		}
	}
	if charts != 9 {
		t.Errorf("%d charts, want messages, anatomy, three of curves, four of bars", charts)
	}
}

// A message is a point, a lost one a mark, and the figures are those of the
// comparison.
func TestPageShowsTheFigures(t *testing.T) {
	p := htmlOf(t, compared())
	if n := strings.Count(p, "h0"); n < 7 {
		t.Errorf("%d points, want the 7 messages that came", n)
	}
	if n := strings.Count(p, "l5 5m0-5l-5 5"); n != 1 {
		t.Errorf("%d marks, want the 1 message that was lost", n)
	}
	for _, want := range []string{
		"udp: 3 came, 1 never", "Letters win below 50 ms.", "75.00 %", "∞ (lost)", `<td class="best">20.0 ms</td>`,
		"netcmp compare --protos tcp,udp --seed 7", `role="img"`, "<th scope=\"row\">100 ms</th><td>50.00 %</td>",
	} {
		if !strings.Contains(p, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// The slowest messages of an arm are bars of three shapes to one scale, and where
// no packets were looked at there is nothing of it.
func TestPageShowsTheAnatomy(t *testing.T) {
	x := compared()
	if p := htmlOf(t, x); strings.Contains(p, "Where the time went") {
		t.Error("there is an anatomy that nobody measured")
	}
	x.Trials[0].Anatomy = &result.Anatomy{Slowest: []result.Dissected{
		{Number: 38, WaitingNS: 20e6, CrossingNS: 60e6, HeldNS: 0}, {Number: 39, WaitingNS: 0, CrossingNS: 20e6, HeldNS: 20e6, BlockedNS: 10e6, ReadLateNS: 10e6},
	}}
	p := htmlOf(t, x)
	for _, want := range []string{
		`aria-label="tcp: message 38: 80.0 ms (waiting 20.0 ms, crossing 60.0 ms); message 39: 40.0 ms (crossing 20.0 ms, head-of-line blocked 10.0 ms, read late 10.0 ms)"`,
		`x="0" y="20" width="90" height="4"`, `x="90" y="17" width="270" height="10"`, // 38: waiting low, crossing full, nothing held
		`x="0" y="49" width="90" height="10"`, `x="90" y="49" width="45" height="10"`, `d="M92 49v10M96 49v10`, // 39: crossing, blocked hatched
		`x="135" y="52" width="45" height="4"`, // 39: read late, low
		`<th scope="row">tcp</th><td>39</td><td>0 s</td><td>20.0 ms</td><td>10.0 ms</td><td>10.0 ms</td><td>40.0 ms</td>`,
	} {
		if !strings.Contains(p, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(p, "<figcaption>udp</figcaption>") {
		t.Error("udp has an anatomy that nobody measured")
	}
}

// A datagram waits for none before it: where no bar is of a transport that keeps order,
// the page does not speak of blocking. Documents that do not tell blocking from reading
// late have one part for both.
func TestPageBlocksNoDatagrams(t *testing.T) {
	for _, x := range []struct {
		slowest     result.Dissected
		has, hasNot []string
	}{
		{result.Dissected{CrossingNS: 20e6, HeldNS: 20e6, ReadLateNS: 20e6}, []string{"read late 20.0 ms"}, []string{"head-of-line blocked: it had arrived", "a message before it was missing", "held back"}},
		{result.Dissected{CrossingNS: 20e6, HeldNS: 20e6}, []string{"held back 20.0 ms"}, []string{"head-of-line blocked: it had arrived", "read late"}},
	} {
		c := compared()
		c.Trials[1].Anatomy = &result.Anatomy{Slowest: []result.Dissected{x.slowest}}
		page, _, _ := strings.Cut(htmlOf(t, c), "<script")
		for _, want := range x.has {
			if !strings.Contains(page, want) {
				t.Errorf("%+v: %q is missing", x.slowest, want)
			}
		}
		for _, no := range x.hasNot {
			if strings.Contains(page, no) {
				t.Errorf("%+v: it says %q", x.slowest, no)
			}
		}
	}
}

// What a saved file says is text and nothing else.
func TestPageTrustsNobody(t *testing.T) {
	x := compared()
	const evil = `<script>alert(1)</script>"><img src=x>`
	x.Plan.Arms[1], x.Plan.Command, x.Verdict[0] = evil, evil, evil
	x.Trials[1].Trial.Arm, x.Trials[1].Proto = evil, evil
	x.Usable[1].Arm = evil
	for i := range x.Table {
		if x.Table[i].Arm == "udp" {
			x.Table[i].Arm = evil
		}
	}
	x.Trials[0].Environment.Kernel, x.Warnings = evil, []string{evil}
	p := htmlOf(t, x)
	if n := strings.Count(p, "<script"); n != 2 || strings.Contains(p, "<img") || strings.Count(p, "</script") != 2 {
		t.Errorf("it came through: %d scripts", n)
	}
}

// The scales' ticks lie on them, ascend and are not too many.
func TestTicks(t *testing.T) {
	for _, s := range []scale{
		{low: 0, high: 1}, {low: 0, high: 4.1e9}, {low: 0, high: 1e-3}, {low: 10e6, high: 2e9, log: true}, {low: 1e-6, high: 1, log: true}, {low: 3, high: 3},
	} {
		ticks := s.ticks(6)
		if len(ticks) == 0 || len(ticks) > 9 {
			t.Errorf("%+v has %d ticks", s, len(ticks))
		}
		for i, v := range ticks {
			if v < s.low*0.99 || v > s.high*1.01 || i > 0 && v <= ticks[i-1] {
				t.Errorf("%+v: %v", s, ticks)
			}
		}
	}
}

// A protocol has one colour on every page, and two arms never the same.
func TestColours(t *testing.T) {
	of := func(arms ...string) (numbers []int) {
		x := &result.Comparison{Plan: result.ComparisonPlan{Arms: arms}}
		for _, arm := range arms {
			numbers = append(numbers, colour(x, arm))
		}
		return numbers
	}
	for _, c := range []struct {
		arms []string
		want []int
	}{
		{[]string{"udp", "tcp"}, []int{2, 0}},
		{[]string{"udp#1", "udp#2", "tcp"}, []int{2, 1, 0}},
		{[]string{"quic", "new", "tcp"}, []int{3, 1, 0}},
	} {
		if got := of(c.arms...); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.arms, got, c.want)
		}
	}
}
