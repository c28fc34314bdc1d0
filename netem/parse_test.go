package netem

import (
	"errors"
	"fmt"
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
		{"loss 5% 25%", Impairment{Loss: CorrelatedLoss{Percent(5), Percent(25)}}, "loss 5% 25%"},
		{"loss random 5% 0%", Impairment{Loss: RandomLoss(Percent(5))}, "loss 5%"},
		{"loss 0% 25%", Impairment{}, ""},
		{"loss gemodel 2%", Impairment{Loss: GilbertElliott{Percent(2), Percent(98), Always, 0}}, "loss gemodel 2% 98%"},
		{"loss gemodel 2% 25% 100% 0%", Impairment{Loss: GilbertElliott{Percent(2), Percent(25), Always, 0}}, "loss gemodel 2% 25%"},
		{"loss gemodel 2% 25% 70%", Impairment{Loss: GilbertElliott{Percent(2), Percent(25), Percent(70), 0}}, "loss gemodel 2% 25% 70%"},
		{"loss gemodel 2% 25% 100% 1%", Impairment{Loss: GilbertElliott{Percent(2), Percent(25), Always, Percent(1)}}, "loss gemodel 2% 25% 100% 1%"},
		{"loss gemodel 0%", Impairment{}, ""},
		{"loss state 3%", Impairment{Loss: FourState{Percent(3), Percent(97), 0, Always, 0}}, "loss state 3% 97%"},
		{"loss state 3% 40% 10%", Impairment{Loss: FourState{Percent(3), Percent(40), Percent(10), Always, 0}}, "loss state 3% 40% 10%"},
		{"loss state 3% 40% 10% 60% 0.2%", Impairment{Loss: FourState{Percent(3), Percent(40), Percent(10), Percent(60), Percent(0.2)}}, "loss state 3% 40% 10% 60% 0.2%"},
		{"loss state 3% 40% 0% 60%", Impairment{Loss: FourState{Percent(3), Percent(40), 0, Percent(60), 0}}, "loss state 3% 40% 0% 60%"},
		{"loss list 20-25,10,11,5-6,7", Impairment{Loss: LossList("5-7,10-11,20-25")}, "loss list 5-7,10-11,20-25"},
		{"loss 1% ecn", Impairment{Loss: RandomLoss(Percent(1)), ECN: true}, "loss 1% ecn"},
		{"e loss gemodel 1% 10%", Impairment{Loss: GilbertElliott{Percent(1), Percent(10), Always, 0}, ECN: true}, "loss gemodel 1% 10% ecn"},
		{"delay 20ms 5ms 25%", Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, DelayCorrelation: Percent(25)}, "delay 20ms 5ms 25%"},
		{"delay 20ms 0 25%", Impairment{Delay: 20 * time.Millisecond}, "delay 20ms"},
		{"delay 20ms 5ms noreorder", Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, NoReorder: true}, "delay 20ms 5ms noreorder"},
		{"delay 20ms 5ms 1% noreorder distribution pareto", Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, DelayCorrelation: Percent(1), NoReorder: true, Distribution: Pareto}, "delay 20ms 5ms 1% noreorder distribution pareto"},
		{"duplicate 1% 2% corrupt 3% 4%", Impairment{Duplicate: Percent(1), DuplicateCorrelation: Percent(2), Corrupt: Percent(3), CorruptCorrelation: Percent(4)}, "duplicate 1% 2% corrupt 3% 4%"},
		{"reorder 5% 6% delay 1ms gap 2", Impairment{Delay: time.Millisecond, Reorder: Percent(5), ReorderCorrelation: Percent(6), Gap: 2}, "delay 1ms reorder 5% 6% gap 2"},
		{"rate 10mbit 20", Impairment{Rate: 10e6, Framing: Framing{Packet: 20}}, "rate 10mbit 20"},
		{"rate 10mbit -14 48 5", Impairment{Rate: 10e6, Framing: Framing{-14, 48, 5}}, "rate 10mbit -14 48 5"},
		{"rate 10mbit 0 0 5", Impairment{Rate: 10e6}, "rate 10mbit"},
		{"rate 10mbit 0 48 -3", Impairment{Rate: 10e6, Framing: Framing{0, 48, -3}}, "rate 10mbit 0 48 -3"},
		{"rate 10mbit queue tbf 15k", Impairment{Rate: 10e6, Queue: Queue{Kind: TokenBucket, Burst: 15360}}, "rate 10mbit queue tbf 15360"},
		{"rate 10mbit queue codel", Impairment{Rate: 10e6, Queue: Queue{Kind: CoDel}}, "rate 10mbit queue codel"},
		{"queue codel interval 100ms target 20ms rate 10mbit", Impairment{Rate: 10e6, Queue: Queue{Kind: CoDel, Target: 20 * time.Millisecond}}, "rate 10mbit queue codel target 20ms"},
		{"slot 5ms", Impairment{Slot: Slot{Min: 5 * time.Millisecond, Max: 5 * time.Millisecond}}, "slot 5ms"},
		{"slot 0 5ms p 3 b 4k", Impairment{Slot: Slot{Max: 5 * time.Millisecond, Packets: 3, Bytes: 4096}}, "slot 0s 5ms packets 3 bytes 4096"},
		{"slot 0 packets 3", Impairment{}, ""},
		{"slot distribution pareto 5ms 2ms bytes 3000", Impairment{Slot: Slot{Distribution: Pareto, Delay: 5 * time.Millisecond, Jitter: 2 * time.Millisecond, Bytes: 3000}}, "slot distribution pareto 5ms 2ms bytes 3000"},
		{"seed 18446744073709551615", Impairment{Seed: 1<<64 - 1}, "seed 18446744073709551615"},
		{"sl 1ms s 7", Impairment{Slot: Slot{Min: time.Millisecond, Max: time.Millisecond}, Seed: 7}, "slot 1ms seed 7"},
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
		{"delay 10ms 5ms distribution nor", `unknown distribution "nor": want normal, pareto, paretonormal or uniform, or a file`},
		{"loss 101%", `loss: "101%" is out of range: want 0% to 100%`},
		{"loss -1%", `loss: "-1%" is out of range`},
		{"loss 1%%", `loss: "1%%" is not a percentage`},
		{"loss 1 %", `unknown word "%"`},
		{"loss rand 1%", `unknown loss parameter "rand"`},
		{"loss", "loss needs a value: loss [random] PERCENT [CORRELATION]"},
		{"loss random", "loss needs a value"},
		{"delay", "delay needs a value: delay TIME [JITTER [CORRELATION]]"},
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
		{"20ms", `unknown word "20ms": want limit, delay, noreorder (after delay), loss, seed, ecn, reorder, corrupt, gap, duplicate, distribution, rate, slot, queue or trace`},
		{"Delay 20ms", `unknown word "Delay"`},
		{"delayed 20ms", `unknown word "delayed"`},
		{"loss 1% 101%", `loss: "101%" is out of range`},
		{"loss state", "loss needs a value"},
		{"loss state x", `loss: "x" is not a percentage`},
		{"loss state 1% 2% 3% 4% 5% 6%", `unknown word "6%"`},
		{"loss gemodel", "loss needs a value"},
		{"loss gemodel 1% 120%", `loss: "120%" is out of range`},
		{"loss list", "loss needs a value"},
		{"loss list 1,,2", `loss list: "" is not a packet number or range: want them as in 10,20-25`},
		{"loss list 9-8", `loss list: "9-8" is not a packet number or range`},
		{"loss list -3", `loss list: "-3" is not`},
		{"ecn", "ecn requested without loss model"},
		{"ecn loss 0%", "ecn requested without loss model"},
		{"delay 1ms 1ms 200%", `delay: "200%" is out of range`},
		{"delay 1ms noreorder reorder 1%", "noreorder and reorder contradict each other"},
		{"noreorder", `unknown word "noreorder"`},
		{"delay 10ms 5ms distribution experimental", `unknown distribution "experimental": want normal, pareto, paretonormal or uniform, or a file of tc's format as ./experimental.dist`},
		{"delay 10ms 5ms distribution ./none", `distribution "./none": no such file or directory`},
		{"delay 10ms 5ms distribution /dev/zero", `distribution "/dev/zero" is not a regular file`},
		{"delay 10ms 5ms distribution /proc", `is not a regular file`},
		{"rate 1mbit 1.5", `rate: packet overhead "1.5" is not a number of bytes`},
		{"rate 1mbit 0 -1", `rate: cell size "-1" is not a number of bytes`},
		{"rate 1mbit 0 48 -48", "rate cell overhead -48 is out of range: want -47"},
		{"rate 1mbit 70000", "rate packet overhead 70000 is out of range"},
		{"slot", "slot needs a value"},
		{"slot fast", `unknown slot parameter "fast"`},
		{"slot 2ms 1ms", "slot: the longest time 1ms is below the shortest 2ms"},
		{"slot -1ms", `slot: "-1ms" is negative`},
		{"slot distribution uniform 1ms 1ms", "slot distribution uniform: tc has no table for it"},
		{"slot distribution normal 1ms 0", "non-positive jitter"},
		{"slot 1ms packets x", `slot: "x" is not a number of packets`},
		{"slot 1ms bytes -1", `slot: "-1" is not a size`},
		{"seed", "seed needs a value"},
		{"seed 0", `seed: "0" is not a seed: want a whole number from 1 to 18446744073709551615`},
		{"seed 1e3", `seed: "1e3" is not a seed`},
		{"queue red", `unknown queue "red": want tbf or codel`},
		{"queue tbf 1k", "queue tbf without a rate: add rate RATE"},
		{"rate 1mbit queue tbf 0", "lets nothing through"},
		{"rate 1mbit queue tbf lots", `queue: "lots" is not a size`},
		{"rate 1mbit queue codel target 0", "a target of 0 drops everything"},
		{"rate 1mbit queue codel target 1ms target 2ms", "queue: target given twice"},
		{"queue codel", "queue codel without a bottleneck"},
		{"q codel", `unknown word "q"`},
		{"trace ./none", `trace "./none": no such file`},
		{"trace /dev/zero", `trace "/dev/zero" is not a regular file`},
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
		{Impairment{Delay: 2, Jitter: 1, Distribution: "./none.dist"}, `distribution "./none.dist": no such file`},
		{Impairment{Loss: LossList("x")}, `loss list: "x" is not a packet number`},
		{Impairment{ECN: true}, "ecn requested without loss model"},
		{Impairment{ECN: true, Loss: RandomLoss(0)}, "ecn requested without loss model"},
		{Impairment{Delay: 1, Reorder: 1, NoReorder: true}, "noreorder and reorder contradict"},
		{Impairment{Framing: Framing{Packet: 1}}, "rate overheads without a rate"},
		{Impairment{Rate: 8, Framing: Framing{Packet: MaxFraming + 1}}, "packet overhead 65537 is out of range"},
		{Impairment{Rate: 8, Framing: Framing{Cell: MaxFraming + 1}}, "cell size 65537 is out of range"},
		{Impairment{Rate: 8, Framing: Framing{Cell: 48, CellOverhead: -48}}, "cell overhead -48 is out of range: want -47 to 65536 bytes"},
		{Impairment{Queue: Queue{Kind: "red"}}, `unknown queue "red"`},
		{Impairment{Queue: Queue{Burst: 1}}, "queue without a kind"},
		{Impairment{Rate: 8, Queue: Queue{Kind: TokenBucket}}, "queue tbf needs a burst"},
		{Impairment{Rate: 8, Queue: Queue{Kind: CoDel, Burst: 1}}, "queue codel has no burst"},
		{Impairment{Rate: 8, Queue: Queue{Kind: CoDel, Target: -1}}, "queue target -0.001us is negative"},
		{Impairment{Queue: Queue{Kind: CoDel}}, "queue codel without a bottleneck"},
		{Impairment{Queue: Queue{Kind: TokenBucket, Burst: 9}}, "queue tbf without a rate"},
		{Impairment{Rate: 8, Trace: "none"}, "trace takes the place of a rate"},
		{Impairment{Trace: "none"}, `trace "none": no such file`},
		{Impairment{Slot: Slot{Min: -1}}, "slot -0.001us is negative"},
		{Impairment{Slot: Slot{Min: 2, Max: 1}}, "slot: the longest time 0.001us is below the shortest 0.002us"},
		{Impairment{Slot: Slot{Min: 2, Max: 2, Distribution: Normal}}, "slot has either times or a distribution"},
		{Impairment{Slot: Slot{Delay: 2, Distribution: Normal}}, "slot distribution: non-positive jitter"},
		{Impairment{Slot: Slot{Delay: 2, Jitter: 1}}, "slot distribution uniform"},
		{Impairment{Slot: Slot{Min: 1, Max: 1, Packets: 1 << 31}}, "packets and bytes are at most"},
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
		duration := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(1, int64(most)).Draw(t, name))
		}
		named := func(name string) Distribution {
			return rapid.SampledFrom([]Distribution{Normal, Pareto, ParetoNormal}).Draw(t, name)
		}
		var i Impairment
		if some("delayed") {
			i.Delay = duration("delay", MaxDelay)
		}
		if some("jittered") {
			i.Jitter = duration("jitter", MaxJitter)
			i.DelayCorrelation = probability("delay correlation")
		}
		if i.Delay != 0 && i.Jitter != 0 && some("shaped") {
			i.Distribution = named("distribution")
		}
		i.Loss = rapid.OneOf(
			rapid.Just[LossModel](nil),
			rapid.Custom(func(*rapid.T) LossModel { return RandomLoss(probability("loss")) }),
			rapid.Custom(func(*rapid.T) LossModel { return CorrelatedLoss{probability("loss"), probability("correlation")} }),
			rapid.Custom(func(*rapid.T) LossModel {
				return GilbertElliott{probability("p"), probability("r"), probability("1-h"), probability("1-k")}
			}),
			rapid.Custom(func(*rapid.T) LossModel {
				return FourState{probability("p13"), probability("p31"), probability("p32"), probability("p23"), probability("p14")}
			}),
			rapid.Custom(func(t *rapid.T) LossModel {
				var words []string
				for range rapid.IntRange(1, 5).Draw(t, "numbers") {
					first := rapid.Uint64Range(0, 300).Draw(t, "first")
					words = append(words, fmt.Sprintf("%d-%d", first, first+rapid.Uint64Range(0, 5).Draw(t, "more")))
				}
				return LossList(strings.Join(words, ","))
			}),
		).Draw(t, "loss model")
		i.ECN = i.Loss != nil && i.Loss.canonical() != nil && some("ecn")
		i.Duplicate, i.DuplicateCorrelation = probability("duplicate"), probability("duplicate correlation")
		i.Corrupt, i.CorruptCorrelation = probability("corrupt"), probability("corrupt correlation")
		if i.Delay != 0 {
			i.Reorder, i.ReorderCorrelation = probability("reorder"), probability("reorder correlation")
		}
		if i.Reorder != 0 {
			i.Gap = max(1, rapid.Uint32().Draw(t, "gap"))
		} else {
			i.NoReorder = some("noreorder")
		}
		if some("rated") {
			i.Rate = 8 * Rate(rapid.Uint64Range(1, uint64(MaxRate/8)).Draw(t, "rate"))
			if some("framed") {
				i.Framing.Packet = rapid.Int32Range(-MaxFraming, MaxFraming).Draw(t, "overhead")
				i.Framing.Cell = rapid.Uint32Range(0, MaxFraming).Draw(t, "cell")
				i.Framing.CellOverhead = rapid.Int32Range(1-int32(i.Framing.Cell), MaxFraming).Draw(t, "cell overhead")
			}
			switch i.Queue.Kind = rapid.SampledFrom([]QueueKind{FIFO, TokenBucket, CoDel}).Draw(t, "queue"); i.Queue.Kind {
			case TokenBucket:
				i.Queue.Burst = rapid.Uint32Range(1, 1<<31-1).Draw(t, "burst")
			case CoDel:
				i.Queue.Target, i.Queue.Interval = duration("target", MaxDelay), duration("interval", MaxDelay)
			}
		}
		if some("slotted") {
			i.Slot.Packets = rapid.Uint32Range(0, 1<<31-1).Draw(t, "packets")
			i.Slot.Bytes = rapid.Uint32Range(0, 1<<31-1).Draw(t, "bytes")
			if some("slot distribution") {
				i.Slot.Distribution, i.Slot.Delay, i.Slot.Jitter = named("slot"), duration("slot delay", MaxDelay), duration("slot jitter", MaxJitter)
			} else {
				i.Slot.Max = duration("max", MaxDelay)
				i.Slot.Min = duration("min", i.Slot.Max)
			}
		}
		i.Limit = rapid.Uint32().Draw(t, "limit")
		if some("seeded") {
			i.Seed = rapid.Uint64().Draw(t, "seed")
		}
		return i.canonical()
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

func TestWith(t *testing.T) {
	up := file(t, "up.trace", "1\n2\n")
	for _, c := range []struct{ before, with, want string }{
		{"", "", ""},
		{"delay 20ms loss 1%", "", "delay 20ms loss 1%"},
		{"delay 20ms loss 1%", "loss 100%", "delay 20ms loss 100%"},
		{"delay 20ms loss 1%", "loss 0%", "delay 20ms"},
		{"delay 20ms loss 5% 25% ecn", "loss 2%", "delay 20ms loss 2% ecn"},
		{"loss gemodel 1% 10% ecn", "loss 0", ""},
		{"delay 20ms 5ms 25% noreorder distribution normal", "delay 50ms", "delay 50ms"},
		{"delay 20ms 5ms distribution normal", "delay 50ms 1ms", "delay 50ms 1ms distribution normal"},
		{"delay 20ms 5ms distribution normal", "distribution uniform", "delay 20ms 5ms"},
		{"duplicate 1% 2% corrupt 3% 4%", "duplicate 5% corrupt 0", "duplicate 5%"},
		{"delay 9ms reorder 5% 6% gap 7", "reorder 1%", "delay 9ms reorder 1% gap 7"},
		{"delay 9ms reorder 5% gap 7", "reorder 0", "delay 9ms"},
		{"delay 9ms reorder 5% gap 7", "gap 0", "delay 9ms reorder 5%"},
		{"rate 1mbit 4 48 5 limit 9 seed 3", "rate 2mbit", "rate 2mbit limit 9 seed 3"},
		{"rate 1mbit 4 queue codel", "trace " + up, "queue codel trace " + up},
		{"queue codel trace " + up, "rate 1mbit", "rate 1mbit queue codel"},
		{"rate 1mbit queue codel target 9ms", "queue tbf 9k", "rate 1mbit queue tbf 9216"},
		{"slot 5ms packets 3", "slot 0", ""},
		{"slot 5ms packets 3", "slot distribution normal 5ms 1ms", "slot distribution normal 5ms 1ms"},
	} {
		got, err := parse(t, c.before).With(c.with)
		if err != nil || got.String() != c.want {
			t.Errorf("%q with %q: %q, %v; want %q", c.before, c.with, got, err, c.want)
		}
	}
	for _, c := range []struct{ before, with, want string }{
		{"delay 9ms reorder 5%", "delay 0", "reordering not possible"},
		{"rate 1mbit queue tbf 9k", "trace " + up, "queue tbf without a rate"},
		{"delay 9ms", "ecn", "ecn requested without loss model"},
		{"delay 9ms", "gap 3", "gap specified without reorder probability"},
		{"", "rate 1mbit trace " + up, "trace takes the place of a rate"},
		{"", "trace " + up + " rate 1mbit", "trace takes the place of a rate"},
		{"delay 9ms", "rate 0", "is no rate"},
	} {
		if got, err := parse(t, c.before).With(c.with); err == nil || !strings.Contains(err.Error(), c.want) || got != (Impairment{}) {
			t.Errorf("%q with %q: %q, %v; want %s", c.before, c.with, got, err, c.want)
		}
	}
	// The whole of a specification takes the place of whatever it names.
	rapid.Check(t, func(t *rapid.T) {
		i := impairments().Draw(t, "impairment")
		again, err := i.With(i.String())
		if err != nil || again != i {
			t.Fatalf("%+v with itself: %+v, %v", i, again, err)
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
		"loss state 3% 40% 10% 60% 0.2% ecn", "loss gemodel 1% 10% 70% 1%", "loss 5% 25%", "loss list 10,20-25,3", "seed 7",
		"delay 10ms 5ms 25% noreorder distribution pareto", "delay 9ms 1ms distribution ./x.dist", "duplicate 1% 2% corrupt 3% 4%",
		"rate 1mbit -14 48 5 queue tbf 15k", "rate 1mbit 0 0 5 queue codel target 1ms interval 20ms", "trace ./up.trace queue codel",
		"slot 1ms 5ms packets 3 bytes 64k", "slot distribution paretonormal 5ms 2ms p 9", "slot 0 packets 3",
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
		if bare := BareNumbers(i.String()); len(bare) > 0 {
			t.Fatalf("%q prints without a unit: %q", i, bare)
		}
		for _, line := range BareNumbers(spec) {
			if strings.ContainsAny(line, "\n\r") {
				t.Fatalf("BareNumbers(%q): %q is more than a line", spec, line)
			}
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
