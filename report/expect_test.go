package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"netcmp/result"
)

func TestExpect(t *testing.T) {
	d := udpLossy()
	d.Seed = math.MaxUint64
	d.QUIC = &result.QUIC{RTTNS: 20_500_000, PacketsLost: 12, Version: "v1"}
	d.Order.Density = map[string]float64{"-1": 0.25}
	d.Loss.Lengths = map[int64]int64{2: 5}
	d.Loss.Numbers = [][2]int64{{3, 4}}
	for _, c := range []struct {
		condition string
		holds     bool
		says      string
	}{
		{"delivery.ratio>=0.99", false, "it is 0.9805"},
		{"delivery.ratio>=98%", true, "it is 0.9805"},
		{"delivery.ratio >= 98.05 %", true, "it is 0.9805"},
		{"delivery.ratio>98.05%", false, "it is 0.9805"},
		{"delivery.ratio==0.9805", true, "it is 0.9805"},
		{"delivery.lost<=39", true, "it is 39"},
		{"delivery.lost<39", false, "it is 39"},
		{"delivery.lost!=0", true, "it is 39"},
		{"delivery.lost = 39", true, "it is 39"},
		{"delivery.lost==39.5", false, "it is 39"},
		{"delay.p50_ns<=50ms", true, "it is 20.1 ms"},
		{"delay.p50_ns<=20100us", true, "it is 20.1 ms"},
		{"delay.p50_ns<20.1ms", false, "it is 20.1 ms"},
		{"delay.p50_ns<20.1000001ms", true, "it is 20.1 ms"},
		{"delay.p50_ns==20100000", true, "it is 20.1 ms"},
		{"delay.p50_ns>1e7", true, "it is 20.1 ms"},
		{"delay.p99_ns<=50ms", false, "it is infinite: that percentile falls among the lost messages"},
		{"delay.p99_ns>50ms", false, "it is infinite: that percentile falls among the lost messages"},
		{"delay.p99_ns!=50ms", false, "it is infinite: that percentile falls among the lost messages"},
		{"delay.p99_ns==null", true, "it was not measured"},
		{"delay.p50_ns==null", false, "it was measured"},
		{"delay.p50_ns!=null", true, "it was measured"},
		{"reverse.delivery.ratio>=0.9", false, "it was not measured"},
		{"reverse==null", true, "it was not measured"},
		{"link!=null", true, "it was measured"},
		{"tcp_info.total_retrans<=3", false, "it was not measured"},
		{"instrument.pacing_error_ns.p99<1ms", true, "it is 35 µs"},
		{"deadline.0.in_time_ratio>=0.9", true, "it is 0.9805"},
		{"deadline.1.within_ns==100ms", true, "it is 100 ms"},
		{"deadline.7.in_time_ratio>=0.9", false, "it was not measured"},
		{"speed.goodput_bps>=1.9mbit", true, "it is 1.952 Mbit/s"},
		{"speed.goodput_bps>=10Mbit/s", false, "it is 1.952 Mbit/s"},
		{"speed.goodput_bps<1952001bit", true, "it is 1.952 Mbit/s"},
		{"wire.overhead_ratio<=1.1", false, "it is 1.105"},
		{"wire.overhead_ratio>1.1055", false, "it is 1.1055"},
		{"seed==18446744073709551615", true, "it is 18446744073709551615"},
		{"seed==18446744073709551614", false, "it is 18446744073709551615"},
		{"interrupted==false", true, "it is false"},
		{"interrupted!=false", false, "it is false"},
		{"proto==udp", true, `it is "udp"`},
		{"proto=='udp'", true, `it is "udp"`},
		{`engine!="kernel"`, true, `it is "emulator"`},
		{"plan.rate_per_s==500", true, "it is 500"},
		{"account.unexplained==0", true, "it is 0"},
		{"order.density.-1<=30%", true, "it is 0.25"},
		{"order.density.5<=30%", false, "it was not measured"},
		{"loss.lengths.2==5", true, "it is 5"},
		{"loss.numbers.0.1==4", true, "it is 4"},
		{"loss.numbers.4.1==4", false, "it was not measured"},
		{"warnings.0!=x", false, "it was not measured"},
		{"quic.rtt_ns<21ms", true, "it is 20.5 ms"},
		{"quic.packets_lost<=12", true, "it is 12"},
		{"quic.segmentation_offload==false", true, "it is false"},
		{"quic.version==v1", true, `it is "v1"`},
		{"quic.datagram_packets_sent==null", true, "it was not measured"},
	} {
		e, err := ParseExpect(c.condition)
		if err != nil {
			t.Errorf("%s: %v", c.condition, err)
			continue
		}
		words := "does not hold"
		if c.holds {
			words = "holds"
		}
		want := "expect " + c.condition + ": " + words + ", " + c.says
		if got := e.Check(d); got.Holds != c.holds || got.Text != want {
			t.Errorf("got  %t %s\nwant %t %s", got.Holds, got.Text, c.holds, want)
		}
	}
}

// The figure that decided must be seen to decide.
func TestExpectShowsWhatDecided(t *testing.T) {
	d := base("udp")
	d.Delivery.Ratio = f(0.98999999)
	d.Delay.P99NS = n(50_000_001)
	for condition, want := range map[string]string{
		"delivery.ratio>=0.99": "expect delivery.ratio>=0.99: does not hold, it is 0.98999999",
		"delay.p99_ns<=50ms":   "expect delay.p99_ns<=50ms: does not hold, it is 50.000001 ms",
		"delay.p99_ns<=40ms":   "expect delay.p99_ns<=40ms: does not hold, it is 50 ms",
	} {
		e, err := ParseExpect(condition)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Check(d).Text; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestParseExpectErrors(t *testing.T) {
	for condition, want := range map[string]string{
		"":                                "no operator; known: >=, <=, >, <, ==, !=",
		"delivery.ratio":                  "no operator",
		">=0.99":                          "no quantity before the operator",
		"delivery.ratio=>0.99":            "=> is no operator",
		"delivery.ratio<>1":               "<> is no operator",
		"delivery.ratio>=":                "no value after the operator",
		"delivery.ratoi>=0.99":            "delivery.ratoi is not in a result document; near: delivery.ratio,",
		"ratio>=0.99":                     "near: delivery.ratio",
		"p99_ns<=5ms":                     "near: delay.p99_ns",
		"delay.p99<=5ms":                  "near: delay.p99_ns",
		"goodput>1mbit":                   "speed.goodput_bps",
		"delivery>=1":                     "delivery is not one figure; near: delivery.",
		"deadline.in_time_ratio>=1":       `"in_time_ratio" is no place in a list`,
		"deadline.-1.in_time_ratio>=1":    `"-1" is no place in a list`,
		"deadline.+1.in_time_ratio>=1":    `"+1" is no place in a list`,
		"loss.numbers.0.2>=1":             "the places there end at 1",
		"loss.lengths.x>=1":               `"x" is no number`,
		"delivery.ratio.x>=1":             "is not in a result document",
		"delivery.ratio>=high":            "high is no number; delivery.ratio is a ratio; write 0.98 or 98%",
		"delivery.ratio>=0.9.9":           "0.9.9 is no number",
		"delivery.ratio>=50ms":            "ms does not measure delivery.ratio, which is a ratio",
		"delay.p99_ns<=50%":               "% does not measure delay.p99_ns, which is a time; its units are ns, us, ms, s",
		"delay.p99_ns<=50ms/s":            "ms/s is no unit",
		"delay.p99_ns<=50mbit":            "mbit does not measure",
		"delivery.lost<=2%":               "% does not measure delivery.lost, which is a number without a unit",
		"delay.p99_ns>=null":              ">= compares numbers",
		"delivery.sent==null":             "delivery.sent is never null",
		"delivery.sent>=1e99":             "out of all range",
		"delivery.sent>=1e99999999999999": "out of all range",
		"delivery.sent>=NaN":              "no number",
		"delivery.sent>=Inf":              "no number",
		"delivery.sent>=0x10":             "no unit",
		"interrupted==maybe":              "interrupted is true or false",
		"interrupted>=true":               ">= compares numbers",
		"proto>=udp":                      ">= compares numbers",
		"Measured.delivery.ratio>=1":      "is not in a result document",
	} {
		_, err := ParseExpect(condition)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", condition, err, want)
		}
	}
}

func TestExpectWithoutAnything(t *testing.T) {
	if (Expect{}).Check(base("udp")).Holds {
		t.Error("no condition holds")
	}
	e, err := ParseExpect("delivery.ratio>=0")
	if err != nil || e.String() != "delivery.ratio>=0" {
		t.Fatal(e, err)
	}
	if e.Check(nil).Holds || e.Check(&result.Document{}).Holds {
		t.Error("it holds of nothing")
	}
}

// Every figure that a document shows can be asked for, by the name it has
// there.
func TestEveryPathIsKnown(t *testing.T) {
	all := places()
	if len(all) < 150 {
		t.Errorf("only %d paths", len(all))
	}
	for _, name := range all {
		if _, err := parsePath(name); err != nil {
			t.Error(err)
		}
	}
	data, err := Line(tcpBothWays())
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				walk(strings.TrimPrefix(prefix+"."+key, "."), inner)
			}
		case json.Number:
			e, err := ParseExpect(prefix + "==" + v.String())
			if err != nil {
				t.Error(err)
			} else if o := e.Check(tcpBothWays()); !o.Holds {
				t.Error(o.Text)
			}
		case nil:
			e, err := ParseExpect(prefix + "==null")
			if err != nil {
				t.Error(err)
			} else if o := e.Check(tcpBothWays()); !o.Holds {
				t.Error(o.Text)
			}
		}
	}
	walk("", tree)
}

func FuzzParseExpect(fz *testing.F) {
	for _, s := range []string{
		"delivery.ratio>=0.99", "delay.p99_ns<=50ms", "speed.goodput_bps>10mbit/s", "proto==udp", "interrupted=false", "delay.p99_ns==null",
		"deadline.0.in_time_ratio>=98%", "loss.numbers.0.1<3", "quic.a.b.c!=x", "order.density.-1<1e-3", "seed==18446744073709551615", "a=>b", "..=", "delay.p50_ns<1e-40s",
	} {
		fz.Add(s)
	}
	documents := []*result.Document{{}, udpLossy(), tcpBothWays(), nothingArrived()}
	fz.Fuzz(func(t *testing.T, s string) {
		e, err := ParseExpect(s)
		if err != nil {
			return
		}
		again, err := ParseExpect(e.String())
		if err != nil {
			t.Fatalf("%q was read and %q is not: %v", s, e, err)
		}
		for _, d := range documents {
			o := e.Check(d)
			if o != again.Check(d) {
				t.Errorf("%q and %q differ", e, again)
			}
			if o.Text == "" || strings.ContainsAny(o.Text, "\x00\x1b\n") {
				t.Errorf("%q says %q", s, o.Text)
			}
			if _, measured := e.path.in(d); !measured && o.Holds && e.value.kind != nullValue {
				t.Errorf("%q holds of a thing not measured", s)
			}
		}
	})
}
