package netem

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		spec  string
		want  Impairment
		print string
	}{
		{"", Impairment{}, ""},
		{" \t\n", Impairment{}, ""},
		{"delay 20ms", Impairment{Delay: 20 * time.Millisecond}, "delay 20ms"},
		{"latency 20ms", Impairment{Delay: 20 * time.Millisecond}, "delay 20ms"},
		{"delay 100", Impairment{Delay: 100 * time.Microsecond}, "delay 100us"},
		{"delay 1.5SECS", Impairment{Delay: 1500 * time.Millisecond}, "delay 1.5s"},
		{"delay 0.25us", Impairment{Delay: 250}, "delay 0.25us"},
		{"delay 100ns", Impairment{Delay: 100}, "delay 0.1us"},
		{"delay 274.877906s", Impairment{Delay: MaxDelay}, "delay 274.877906s"},
		{"delay 0 5ms", Impairment{Jitter: 5 * time.Millisecond}, "delay 0s 5ms"},
		{"delay 0ms 0ms", Impairment{}, ""},
		{"delay 20ms 5ms", Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond}, "delay 20ms 5ms"},
		{"delay 20ms 2147483647ns", Impairment{Delay: 20 * time.Millisecond, Jitter: MaxJitter}, "delay 20ms 2.147483647s"},
		{"distribution normal delay 20ms 5ms", Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Distribution: Normal}, "delay 20ms 5ms distribution normal"},
		{"delay 20ms 5ms distribution uniform", Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond}, "delay 20ms 5ms"},
		{"loss 2%", Impairment{Loss: RandomLoss(Percent(2))}, "loss 2%"},
		{"loss 2", Impairment{Loss: RandomLoss(Percent(2))}, "loss 2%"},
		{"loss random 2e0%", Impairment{Loss: RandomLoss(Percent(2))}, "loss 2%"},
		{"drop 100%", Impairment{Loss: RandomLoss(Always)}, "loss 100%"},
		{"loss 0%", Impairment{}, ""},
		{"duplicate .5%", Impairment{Duplicate: Percent(0.5)}, "duplicate 0.5%"},
		{"corrupt 0.1%", Impairment{Corrupt: Percent(0.1)}, "corrupt 0.1%"},
		{"corrupt 33.333333%", Impairment{Corrupt: Percent(33.333333)}, "corrupt 33.333333%"},
		{"reorder 25% delay 10ms", Impairment{Delay: 10 * time.Millisecond, Reorder: Percent(25), Gap: 1}, "delay 10ms reorder 25%"},
		{"gap 0 reorder 25% delay 10ms", Impairment{Delay: 10 * time.Millisecond, Reorder: Percent(25), Gap: 1}, "delay 10ms reorder 25%"},
		{"gap 5 delay 10ms reorder 25%", Impairment{Delay: 10 * time.Millisecond, Reorder: Percent(25), Gap: 5}, "delay 10ms reorder 25% gap 5"},
		{"reorder 0%", Impairment{}, ""},
		{"gap 0", Impairment{}, ""},
		{"rate 10mbit", Impairment{Rate: 10e6}, "rate 10mbit"},
		{"rate 1500Kbit", Impairment{Rate: 1500e3}, "rate 1500kbit"},
		{"rate 8", Impairment{Rate: 8}, "rate 8bit"},
		{"rate 15bit", Impairment{Rate: 8}, "rate 8bit"},
		{"rate 1mbps", Impairment{Rate: 8e6}, "rate 8mbit"},
		{"rate 1000tbit", Impairment{Rate: MaxRate}, "rate 1000tbit"},
		{"limit 1", Impairment{Limit: 1}, "limit 1"},
		{"limit 1000", Impairment{}, ""},
		{"limit 4294967295", Impairment{Limit: 1<<32 - 1}, "limit 4294967295"},
		// Shortened as tc allows: the first keyword of its list that fits.
		{"l 7", Impairment{Limit: 7}, "limit 7"},
		{"la 7ms lo 1%", Impairment{Delay: 7 * time.Millisecond, Loss: RandomLoss(Percent(1))}, "delay 7ms loss 1%"},
		{"d 7ms r 1% g 2", Impairment{Delay: 7 * time.Millisecond, Reorder: Percent(1), Gap: 2}, "delay 7ms reorder 1% gap 2"},
		{"dr 1% du 2% c 3% ra 8bit", Impairment{Loss: RandomLoss(Percent(1)), Duplicate: Percent(2), Corrupt: Percent(3), Rate: 8}, "loss 1% duplicate 2% corrupt 3% rate 8bit"},
		{"di normal de 2ms 1ms", Impairment{Delay: 2 * time.Millisecond, Jitter: time.Millisecond, Distribution: Normal}, "delay 2ms 1ms distribution normal"},
		{
			"rate 1gbit limit 50 gap 3 reorder 1% corrupt 2% duplicate 3% loss 4% distribution normal delay 5ms 1ms",
			Impairment{
				Delay: 5 * time.Millisecond, Jitter: time.Millisecond, Distribution: Normal,
				Loss: RandomLoss(Percent(4)), Duplicate: Percent(3), Corrupt: Percent(2), Reorder: Percent(1), Gap: 3,
				Rate: 1e9, Limit: 50,
			},
			"delay 5ms 1ms distribution normal loss 4% duplicate 3% corrupt 2% reorder 1% gap 3 rate 1gbit limit 50",
		},
	} {
		got, err := Parse(c.spec)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.spec, got, err, c.want)
			continue
		}
		if got.String() != c.print {
			t.Errorf("Parse(%q) prints %q, want %q", c.spec, got, c.print)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		// What tc refuses, for the same reason.
		{"reorder 25%", "reordering not possible without specifying some delay"},
		{"reorder 25% delay 0ms 5ms", "reordering not possible without specifying some delay"},
		{"gap 5", "gap specified without reorder probability"},
		{"gap 5 delay 1ms reorder 0%", "gap specified without reorder probability"},
		{"distribution normal", "distribution specified but no latency and jitter values"},
		{"delay 10ms distribution normal", "distribution specified but no latency and jitter values"},
		{"delay 10ms distribution uniform", "distribution specified but no latency and jitter values"},
		{"delay 0 5ms distribution normal", "distribution specified but no latency and jitter values"},
		{"delay 10ms 5ms distribution nor", `unknown distribution "nor": want normal or uniform`},
		{"loss 101%", `loss: "101%" is out of range: want 0% to 100%`},
		{"loss -1%", `loss: "-1%" is out of range`},
		{"loss 1%%", `loss: "1%%" is not a percentage`},
		{"loss 1 %", `unknown word "%"`},
		{"loss rand 1%", `unknown loss parameter "rand"`},
		{"loss", "loss needs a value: loss [random] PERCENT"},
		{"loss random", "loss needs a value"},
		{"delay", "delay needs a value: delay TIME [JITTER]"},
		{"delay fast", `delay: "fast" is not a time`},
		{"delay 10m", `unknown unit "m", want s, ms, us or ns`},
		{"delay -1ms", `delay: "-1ms" is negative`},
		{"delay 10ms -1ms", `jitter: "-1ms" is negative`},
		{"delay 274.877907s", "delay 274.877907s is too long: want 0 to 274.877906s (the most that tc takes)"},
		{"delay 1e999s", "too large for a time"},
		{"delay nan", `"nan" is not a time`},
		{"duplicate", "duplicate needs a value"},
		{"duplicate inf", `duplicate: "inf" is not a percentage`},
		{"corrupt 1ms", `corrupt: "1ms" is not a percentage`},
		{"reorder -5% delay 1ms", `reorder: "-5%" is out of range`},
		{"rate", "rate needs a value: rate RATE"},
		{"rate 1x", `rate: "1x" is not a rate: unknown unit "x"`},
		{"rate 50%", "a share of the device's speed has no meaning here"},
		{"limit x", `limit: "x" is not a number of packets: want a whole number from 1 to 4294967295`},
		{"limit -1", `limit: "-1" is not a number of packets`},
		{"limit 4294967296", `limit: "4294967296" is not a number of packets`},
		{"gap -1", `gap: "-1" is not a number of packets: want a whole number from 0`},
		{"20ms", `unknown word "20ms": want limit, delay, loss, reorder, corrupt, gap, duplicate, distribution or rate`},
		{"Delay 20ms", `unknown word "Delay"`},
		{"delayed 20ms", `unknown word "delayed"`},
		// What tc takes in silence, and the path is not the one that was written.
		{"rate 0", `rate: "0" is no rate: want 8bit to 1000tbit`},
		{"rate 7bit", `rate: "7bit" is out of range`},
		{"rate -5mbit", `rate: "-5mbit" is negative`},
		{"rate 1001tbit", `rate: "1001tbit" is out of range`},
		{"rate 1e999", `rate: "1e999" is out of range`},
		{"limit 0", `limit: "0" is not a number of packets`},
		{"limit 1k", `limit: "1k" is not a number of packets`},
		{"limit 1.5", `limit: "1.5" is not a number of packets`},
		{"delay 10ms 3s", "jitter 3s is too long: want 0 to 2.147483647s (the kernel cuts what is above)"},
		{"delay 1ms latency 2ms", `delay given twice, the second time as "latency"`},
		{"loss 0% loss 1%", "loss given twice"},
		{"delay 0x10", `unknown unit "x10"`},
	} {
		i, err := Parse(c.spec)
		if err == nil {
			t.Errorf("Parse(%q) = %q, want an error", c.spec, i)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || errors.Is(err, ErrNotSupported) {
			t.Errorf("Parse(%q): %v\nwant %s", c.spec, err, c.want)
		}
		if i != (Impairment{}) {
			t.Errorf("Parse(%q) returned %q beside its error", c.spec, i)
		}
	}
}

func TestParseSaysWhatIsNotSupported(t *testing.T) {
	for spec, want := range map[string]string{
		"delay 20ms 5ms 25%":                       `delay correlation "25%"`,
		"loss 1% 25%":                              `loss correlation "25%"`,
		"loss random 1% 25%":                       `loss correlation "25%"`,
		"duplicate 1% 25%":                         `duplicate correlation "25%"`,
		"corrupt 1% 25%":                           `corrupt correlation "25%"`,
		"delay 1ms reorder 1% 25%":                 `reorder correlation "25%"`,
		"loss state 1%":                            "loss state",
		"loss gemodel 1% 10%":                      "loss gemodel",
		"delay 20ms 5ms distribution pareto":       `distribution "pareto"`,
		"delay 20ms 5ms distribution paretonormal": `distribution "paretonormal"`,
		"slot 1ms":                                 "slot",
		"loss 1% ecn":                              "ecn",
		"seed 7":                                   "seed",
		"rate 1mbit -5":                            `rate packet overhead "-5"`,
	} {
		_, err := Parse(spec)
		if !errors.Is(err, ErrNotSupported) || err.Error() != "not supported yet: "+want {
			t.Errorf("Parse(%q): %v, want not supported yet: %s", spec, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		i    Impairment
		want string
	}{
		{Impairment{Delay: -1}, "delay -0.001us is negative"},
		{Impairment{Delay: MaxDelay + 1}, "delay 274.877906001s is too long"},
		{Impairment{Jitter: -time.Second}, "jitter -1s is negative"},
		{Impairment{Jitter: MaxJitter + 1}, "jitter 2.147483648s is too long"},
		{Impairment{Delay: 2, Jitter: 1, Distribution: "flat"}, `unknown distribution "flat"`},
		{Impairment{Delay: 2, Jitter: 1, Distribution: "pareto"}, "not supported yet"},
		{Impairment{Delay: 2, Distribution: Normal}, "distribution specified but"},
		{Impairment{Reorder: 1}, "reordering not possible"},
		{Impairment{Delay: 1, Gap: 1}, "gap specified without"},
		{Impairment{Rate: 7}, `"7bit" is out of range`},
		{Impairment{Rate: MaxRate + 1}, "is out of range"},
	} {
		err := c.i.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.i, err, c.want)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewDirection took %+v", c.i)
				}
			}()
			NewDirection(c.i, 1)
		}()
	}
}

func TestIsClean(t *testing.T) {
	for _, i := range []Impairment{{}, {Limit: DefaultLimit}, {Loss: RandomLoss(0)}, {Distribution: "uniform"}} {
		if !i.IsClean() || i.String() != "" || i.QueueLimit() != 1000 {
			t.Errorf("%+v: clean %v, %q, limit %d", i, i.IsClean(), i, i.QueueLimit())
		}
	}
	for _, i := range []Impairment{{Delay: 1}, {Jitter: 1}, {Loss: RandomLoss(1)}, {Duplicate: 1}, {Corrupt: 1}, {Rate: 8}, {Limit: 1}} {
		if i.IsClean() || i.String() == "" {
			t.Errorf("%+v is clean, prints %q", i, i)
		}
	}
}

// impairments generates every kind of valid impairment, as Parse returns them.
func impairments() *rapid.Generator[Impairment] {
	return rapid.Custom(func(t *rapid.T) Impairment {
		some := func(name string) bool { return rapid.Bool().Draw(t, name) }
		probability := func(name string) Probability {
			return rapid.OneOf(
				rapid.SampledFrom([]Probability{0, 1, Percent(1), Percent(50), Always}),
				rapid.Custom(func(t *rapid.T) Probability { return Probability(rapid.Uint32().Draw(t, "p")) }),
			).Draw(t, name)
		}
		var i Impairment
		if some("delayed") {
			i.Delay = time.Duration(rapid.Int64Range(1, int64(MaxDelay)).Draw(t, "delay"))
		}
		if some("jittered") {
			i.Jitter = time.Duration(rapid.Int64Range(1, int64(MaxJitter)).Draw(t, "jitter"))
		}
		if i.Delay != 0 && i.Jitter != 0 && some("normal") {
			i.Distribution = Normal
		}
		if p := probability("loss"); p != 0 {
			i.Loss = RandomLoss(p)
		}
		i.Duplicate = probability("duplicate")
		i.Corrupt = probability("corrupt")
		if i.Delay != 0 {
			i.Reorder = probability("reorder")
		}
		if i.Reorder != 0 {
			i.Gap = max(1, rapid.Uint32().Draw(t, "gap"))
		}
		if some("rated") {
			i.Rate = 8 * Rate(rapid.Uint64Range(1, uint64(MaxRate/8)).Draw(t, "rate"))
		}
		if i.Limit = rapid.Uint32().Draw(t, "limit"); i.Limit == DefaultLimit {
			i.Limit = 0
		}
		return i
	})
}

func TestParseReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := impairments().Draw(t, "impairment")
		got, err := Parse(i.String())
		if err != nil || got != i {
			t.Fatalf("%+v prints %q, which is %+v, %v", i, i, got, err)
		}
	})
}

// TestOrderIsFree: the same arguments in any order are the same impairment.
func TestOrderIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.Permutation([]string{
			"delay 20ms 5ms", "distribution normal", "loss 1%", "duplicate 2%", "corrupt 3%",
			"reorder 4%", "gap 5", "rate 6mbit", "limit 7",
		}).Draw(t, "arguments")
		got, err := Parse(strings.Join(args, " "))
		const want = "delay 20ms 5ms distribution normal loss 1% duplicate 2% corrupt 3% reorder 4% gap 5 rate 6mbit limit 7"
		if err != nil || got.String() != want {
			t.Fatalf("%q: %q, %v", args, got, err)
		}
	})
}

// FuzzParse: whatever is read is valid, prints in one line and is read back.
func FuzzParse(f *testing.F) {
	for _, spec := range []string{
		"", "delay 20ms 5ms distribution normal loss 1%", "delay 1.5s reorder 25% gap 5", "rate 10.7mbit limit 50",
		"loss random 33.333333%", "duplicate 0.00000002% corrupt 99.99999999%", "delay 0.0005us", "latency 1e3 0.1ns",
		"reorder 1e-9% delay 1", "rate 1kibps", "limit 1000", "delay 274.8779064s", "delay 0 2.1474836474s",
		"loss gemodel 1% 10%", "delay 10ms 5ms 25%", "slot 1ms", "gap 0", "delay 7µs",
	} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		i, err := Parse(spec)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("Parse(%q) says more than a line: %q", spec, err)
			}
			return
		}
		if err := i.Validate(); err != nil {
			t.Fatalf("Parse(%q) = %+v, which is not valid: %v", spec, i, err)
		}
		again, err := Parse(i.String())
		if err != nil || again != i || again.String() != i.String() {
			t.Fatalf("Parse(%q) = %+v, prints %q, is read as %+v, %v", spec, i, i, again, err)
		}
		if i.IsClean() != (i.String() == "") {
			t.Fatalf("Parse(%q) prints %q, clean %v", spec, i, i.IsClean())
		}
	})
}
