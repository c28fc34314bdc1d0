package netem

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWarnings(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		{"", ""},
		{"delay 20ms 5ms distribution normal loss 2%", ""},
		{"loss gemodel 1% 10% ecn", ""},
		{"loss list 1,2", ""},
		{"rate 100mbit delay 20ms", ""},
		{"slot 5ms packets 3", ""},
		{"loss 5% 25%", "loss 5% 25% really loses 0.194%: correlated draws crowd around 50%, in netem as here; for 5% in bursts, loss gemodel 3.75% 71.25%"},
		{"loss 1% 25%", "loss 1% 25% really loses 0.000242%: "},
		{"loss 1% 100%", "it loses every packet or none"},
		{"delay 20ms 5ms 25%", "delay correlation 25% has no effect"},
		{"delay 20ms 5ms 25% distribution normal", "delay correlation 25% has no effect"},
		{"delay 5s 2s 25% limit 60000", "at a jitter of 2s it skews them instead"},
		{"delay 20ms 5ms 100%", "every packet has the same delay"},
		{"duplicate 1% 25%", "duplicate correlation 25% has no effect: tc sends it to the kernel only beside another correlation"},
		{"corrupt 10% 25%", "corrupt 10% 25% really hits 1.75%"},
		{"delay 10ms reorder 25%", "reorder 25% is not the share of reordered packets but of those that go ahead without the delay, and each reorders those before it: with a packet every millisecond 69.4% are reordered"},
		{"delay 10ms reorder 25% gap 5", "with a packet every millisecond 78.6% are reordered"},
		{"loss 10% duplicate 12%", "so 8.8% of the packets do not arrive at all and not 10%"},
		{"delay 100ms rate 1gbit", "the default limit of 1000 packets counts the packets in the delay, too, and rate 1gbit in a delay of 100ms has 8257 of them: no more than 121mbit of full packets pass, the rest is dropped; add limit 16514"},
		{"delay 100ms rate 1gbit limit 9000", ""},
		{"delay 280ms", "no more than 3571 packets a second pass (43.3mbit of full ones), the rest is dropped; add limit 28000 or more"},
		{"delay 100ms", ""},
		{"delay 10ms limit 50", "limit 50 counts the packets in the delay, too: with a delay of 10ms no more than 5000 packets"},
		{"loss state 60% 50% 0% 100% 60%", "the steps out of a state add up to more than 100%"},
		{"rate 1mbit queue tbf 1000", "queue tbf 1000 holds less than a full frame of 1514 bytes"},
	} {
		all := parse(t, c.spec).Warnings()
		got := strings.Join(all, "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || len(all) > 1 {
			t.Errorf("%s:\n%s\nwant %s", c.spec, got, c.want)
		}
	}
	if all := parse(t, "loss 10% 25% duplicate 1% delay 300ms 5ms 10% reorder 5%").Warnings(); len(all) != 5 {
		t.Errorf("%d warnings: %q", len(all), all)
	}
}

// TestWarningsNameWhatWorks: the model that is named instead loses what the
// correlated one promises, and its losses have the correlation.
func TestWarningsNameWhatWorks(t *testing.T) {
	l := CorrelatedLoss{Percent(5), Percent(25)}.bursts()
	if math.Abs(l.Rate()-0.05) > 1e-6 || math.Abs(1-l.P.Float64()-l.R.Float64()-0.25) > 1e-6 {
		t.Errorf("%v loses %v", l, l.Rate())
	}
	d := NewDirection(Impairment{Loss: l}, lawSeed)
	var v Verdict
	both, one, last := 0.0, 0.0, 0
	for n := range lawPackets {
		d.Admit(int64(n), 1000, 0, &v)
		one += float64(v.Lost)
		both += float64(v.Lost * last)
		last = v.Lost
	}
	p := one / lawPackets
	if got := (both/lawPackets - p*p) / (p * (1 - p)); math.Abs(got-0.25) > 0.015 {
		t.Errorf("lag-1 correlation %.4f, want 0.25", got)
	}
}

// TestReorderedShare against what is reordered.
func TestReorderedShare(t *testing.T) {
	drawsMuch(t)
	for _, c := range []struct {
		r      float64
		gap    uint32
		delay  time.Duration
		period time.Duration
		want   float64
	}{
		{0.25, 1, 10 * time.Millisecond, time.Millisecond, 0.694},
		{0.40, 1, 4 * time.Millisecond, time.Millisecond / 2, 0.583},
		{0.25, 5, 10 * time.Millisecond, time.Millisecond, 0.786},
		{0.25, 5, 10 * time.Millisecond, time.Millisecond / 2, 0.870},
	} {
		if got := reorderedShare(c.r, c.gap, c.delay, c.period); math.Abs(got-c.want) > 0.0006 {
			t.Errorf("%+v: %.4f", c, got)
		}
	}
	for _, c := range []struct {
		spec string
		r    float64
	}{{"delay 3ms reorder 30% gap 9", 0.3}, {"delay 5ms reorder 100% gap 3", 1}, {"delay 1ms reorder 30%", 0.3}, {"delay 4ms reorder 20% gap 4", 0.2}} {
		i := parse(t, c.spec)
		want := reorderedShare(c.r, i.Gap, i.Delay, time.Millisecond)
		got, sd := reordered(t, c.spec, time.Millisecond).mean()
		if math.Abs(got-want) > 4*sd+1e-5 {
			t.Errorf("%s: %.5f ± %.5f reordered, the law gives %.5f", c.spec, got, sd, want)
		}
	}
}

func TestExtensions(t *testing.T) {
	up := file(t, "up.trace", "1\n2\n")
	mine := file(t, "mine.dist", "1 2 3\n")
	for _, c := range []struct {
		spec string
		want []string
	}{
		{"", nil},
		{"delay 20ms 5ms 25% distribution pareto loss state 1% ecn duplicate 1% corrupt 1% rate 1mbit 1 48 5 slot distribution normal 5ms 1ms limit 7 seed 9", nil},
		{"delay 0 noreorder", nil},
		{"delay 20ms 5ms noreorder", []string{"noreorder"}},
		{"loss list 5,4", []string{"loss list 4-5"}},
		{"rate 1mbit queue codel target 9ms", []string{"queue codel"}},
		{"rate 1mbit queue tbf 15k", []string{"queue tbf"}},
		{"trace " + up, []string{"trace " + up}},
		{"delay 20ms 5ms distribution " + mine, []string{"distribution " + mine}},
		{"slot distribution " + mine + " 5ms 1ms", []string{"slot distribution " + mine}},
	} {
		if got := parse(t, c.spec).Extensions(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.spec, got, c.want)
		}
	}
}

func TestProfiles(t *testing.T) {
	all := Profiles()
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
		if p.Source == "" || p.Note == "" || strings.Contains(p.Source+p.Note, "\n") {
			t.Errorf("%+v", p)
		}
		for _, i := range []Impairment{p.Path.Up, p.Path.Down} {
			if again, err := Parse(i.String()); err != nil || again != i || i.IsClean() {
				t.Errorf("%s: %q, %v", p.Name, i, err)
			}
			if w := i.Warnings(); w != nil {
				t.Errorf("%s warns: %q", p.Name, w)
			}
			if x := i.Extensions(); x != nil {
				t.Errorf("%s is nothing for tc: %q", p.Name, x)
			}
		}
		if got, err := LookupProfile(p.Name); err != nil || got != p {
			t.Errorf("LookupProfile(%q) = %+v, %v", p.Name, got, err)
		}
	}
	for _, name := range []string{"dsl", "cable", "wifi-good", "wifi-bad", "3g", "4g", "5g", "geo-satellite", "leo-satellite", "transatlantic", "lossy", "datacenter"} {
		if !slices.Contains(names, name) {
			t.Errorf("no profile %s", name)
		}
	}
	all[0].Name = "changed"
	if Profiles()[0].Name == "changed" {
		t.Error("Profiles hands out its own")
	}
	_, err := LookupProfile("moon")
	if err == nil || err.Error() != "unknown profile \"moon\": want "+strings.Join(names[:len(names)-1], ", ")+" or "+names[len(names)-1] {
		t.Error(err)
	}
	t.Log(fmt.Sprint(names))
}
