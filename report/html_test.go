package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
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

// The page is one file that asks for nothing, and its own policy lets its own
// style through and nothing else.
func TestPageStandsAlone(t *testing.T) {
	p := htmlOf(t, compared())
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(p)
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(strings.ReplaceAll(p, "&#43;", "+"), want) {
		t.Errorf("the policy is not %s", want)
	}
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
	if p := htmlOf(t, x); strings.Contains(p, "<script") || strings.Contains(p, "<img") {
		t.Error("it came through")
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
