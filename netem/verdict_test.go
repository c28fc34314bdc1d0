package netem

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func parse(t testing.TB, spec string) Impairment {
	t.Helper()
	i, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestConservation: whatever the impairment, every copy of every packet is
// accounted for, and no copy is of a kind that was not asked for.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := impairments().Draw(t, "impairment")
		d := NewDirection(i, rapid.Uint64().Draw(t, "seed"))
		now := rapid.Int64Range(0, 1e15).Draw(t, "start")
		v := Verdict{N: 2, Lost: 9, Dropped: 9, Duplicated: true} // what is left from another packet
		for range 200 {
			now += rapid.Int64Range(0, 1e9).Draw(t, "step")
			length := rapid.IntRange(14, 65_549).Draw(t, "length")
			backlog := rapid.OneOf(rapid.IntRange(0, 3), rapid.Just(i.QueueLimit()-1), rapid.Just(i.QueueLimit())).Draw(t, "backlog")
			capable := rapid.Bool().Draw(t, "capable")
			d.Decide(now, Packet{Length: length, ECNCapable: capable}, backlog, &v)

			copies := 1
			if v.Duplicated {
				copies = 2
			}
			if v.N < 0 || v.Lost < 0 || v.Dropped < 0 || v.N+v.Lost+v.Dropped != copies {
				t.Fatalf("%s: copies unaccounted for: %+v", i, v)
			}
			if full := backlog >= i.QueueLimit(); full && v.N > 0 || !full && v.Dropped > 0 && i.Queue.Kind != CoDel {
				t.Fatalf("%s: backlog %d, %+v", i, backlog, v)
			}
			if v.Lost > 0 && i.Loss == nil || v.Duplicated && i.Duplicate == 0 {
				t.Fatalf("%s: %+v", i, v)
			}
			for k, c := range v.Copies {
				if k >= v.N {
					if c != (Copy{}) {
						t.Fatalf("%s: a copy that is not there: %+v", i, v)
					}
					continue
				}
				if c.Ahead && (i.Reorder == 0 || c.Due != now) {
					t.Fatalf("%s at %d: %+v", i, now, v)
				}
				if c.Mark && (!i.ECN || !capable) || v.Lost > 0 && i.ECN && capable {
					t.Fatalf("%s, capable %v: %+v", i, capable, v)
				}
				if c.Queued < 0 || c.Queued > 0 && (i.Rate == 0 || c.Due < now+c.Queued) {
					t.Fatalf("%s at %d: %+v", i, now, v)
				}
				if c.Corrupt && i.Corrupt == 0 {
					t.Fatalf("%s: %+v", i, v)
				}
				if !c.Ahead && i.Jitter == 0 && c.Due < now+i.Delay.Nanoseconds() {
					t.Fatalf("%s at %d: too early: %+v", i, now, v)
				}
				index, mask := c.Flip(length)
				if index < 0 || index >= length || c.Corrupt != (bits.OnesCount8(mask) == 1) || !c.Corrupt && mask != 0 {
					t.Fatalf("%+v flips %08b of byte %d of %d", c, mask, index, length)
				}
			}
		}
	})
}

func TestCleanPathPassesEverything(t *testing.T) {
	d := NewDirection(Impairment{}, 1)
	var v Verdict
	for now := range int64(10_000) {
		d.Admit(now, 1000, 0, &v)
		if v != (Verdict{N: 1, Copies: [2]Copy{{Due: now}}}) {
			t.Fatalf("at %d: %+v", now, v)
		}
	}
}

// TestOrderOfDecisions follows netem_enqueue through its corners.
func TestOrderOfDecisions(t *testing.T) {
	const now, ms = int64(1e9), int64(1e6)
	for _, c := range []struct {
		spec    string
		backlog int
		want    string
	}{
		{"delay 5ms", 999, "N 1 lost 0 dropped 0 duplicated false: 5"},
		{"delay 5ms", 1000, "N 0 lost 0 dropped 1 duplicated false:"},
		{"loss 100%", 1000, "N 0 lost 1 dropped 0 duplicated false:"}, // loss comes before the limit
		{"duplicate 100%", 0, "N 2 lost 0 dropped 0 duplicated true: 0 0"},
		{"duplicate 100%", 1000, "N 0 lost 0 dropped 2 duplicated true:"},            // the clone falls with its original
		{"duplicate 100% limit 1", 0, "N 2 lost 0 dropped 0 duplicated true: 0 0"},   // two copies into one place
		{"duplicate 100% loss 100%", 0, "N 1 lost 0 dropped 0 duplicated false: 0"},  // one less, one more
		{"duplicate 100% loss 100%", 1000, "N 0 lost 0 dropped 1 duplicated false:"}, // and it still meets the limit
		{"duplicate 100% corrupt 100%", 0, "N 2 lost 0 dropped 0 duplicated true: 0! 0!"},
		{"delay 5ms reorder 100%", 0, "N 1 lost 0 dropped 0 duplicated false: 0<"},
		{"delay 5ms reorder 100% gap 2", 0, "N 1 lost 0 dropped 0 duplicated false: 5"},
		// The clone is queued first, so it takes the place in the gap and the original overtakes it.
		{"delay 5ms reorder 100% gap 2 duplicate 100%", 0, "N 2 lost 0 dropped 0 duplicated true: 5 0<"},
		{"delay 5ms rate 8mbit", 0, "N 1 lost 0 dropped 0 duplicated false: 6"},
		{"delay 5ms rate 8mbit duplicate 100%", 0, "N 2 lost 0 dropped 0 duplicated true: 6 7"},
		// Who overtakes overtakes the rate too.
		{"delay 5ms rate 8mbit reorder 100%", 0, "N 1 lost 0 dropped 0 duplicated false: 0<"},
	} {
		var v Verdict
		NewDirection(parse(t, c.spec), 1).Admit(now, 1000, c.backlog, &v)
		var got strings.Builder
		got.WriteString(fmt.Sprintf("N %d lost %d dropped %d duplicated %v:", v.N, v.Lost, v.Dropped, v.Duplicated))
		for _, copied := range v.Copies[:v.N] {
			got.WriteString(fmt.Sprintf(" %d", (copied.Due-now)/ms))
			if copied.Ahead {
				got.WriteString("<")
			}
			if copied.Corrupt {
				got.WriteString("!")
			}
		}
		if got.String() != c.want {
			t.Errorf("%s, backlog %d:\n got %s\nwant %s", c.spec, c.backlog, got.String(), c.want)
		}
	}
}

// TestClonesAreDamagedApart: a clone is made before its original is damaged and
// meets a draw of its own.
func TestClonesAreDamagedApart(t *testing.T) {
	d := NewDirection(parse(t, "duplicate 100% corrupt 50%"), 1)
	var v Verdict
	counts := make([]int, 4)
	for n := range int64(100_000) {
		d.Admit(n, 1000, 0, &v)
		k := 0
		for c := range v.Copies {
			k <<= 1
			if v.Copies[c].Corrupt {
				k++
			}
		}
		counts[k]++
		if v.Copies[0].Corrupt && v.Copies[0].Draw == v.Copies[1].Draw {
			t.Fatalf("both copies of packet %d have the same damage: %+v", n, v)
		}
	}
	chiSquare(t, "damage of clone and original", counts)
}

// TestFlipIsUniform over the bits of a packet.
func TestFlipIsUniform(t *testing.T) {
	const length = 61
	d := NewDirection(parse(t, "corrupt 100%"), 1)
	var v Verdict
	counts := make([]int, length*8)
	for n := range int64(500_000) {
		d.Admit(n, length, 0, &v)
		index, mask := v.Copies[0].Flip(length)
		counts[index*8+bits.TrailingZeros8(mask)]++
	}
	chiSquare(t, "flipped bits", counts)
	if index, mask := v.Copies[0].Flip(0); index != 0 || mask != 0 {
		t.Errorf("an empty packet: %08b of byte %d", mask, index)
	}
}

// TestRateIsTheKernels: whole nanoseconds from whole bytes a second, one packet
// after another, and nothing saved up while idle.
func TestRateIsTheKernels(t *testing.T) {
	d := NewDirection(parse(t, "rate 10mbit delay 1ms"), 1)
	var v Verdict
	for _, c := range []struct {
		now    int64
		length int
		due    int64
	}{
		{0, 1514, 1_000_000 + 1_211_200},
		{0, 1514, 1_000_000 + 2*1_211_200},
		{500_000, 60, 1_000_000 + 2*1_211_200 + 48_000}, // behind them
		{1_000_000_000, 1514, 1_001_000_000 + 1_211_200},
	} {
		if d.Admit(c.now, c.length, 0, &v); v.N != 1 || v.Copies[0].Due != c.due {
			t.Errorf("at %d: %+v, want due %d", c.now, v, c.due)
		}
	}
}

// TestFatesAreKept: a seed means the same in every version and on every
// machine. If this fails, saved seeds no longer reproduce their runs.
func TestFatesAreKept(t *testing.T) {
	d := NewDirection(parse(t, "delay 10ms 3ms distribution normal loss 20% duplicate 20% corrupt 20% reorder 20%"), DirectionSeed(42, true))
	var got strings.Builder
	var v Verdict
	for n := range int64(16) {
		d.Admit(n*1e6, 1000, 0, &v)
		got.WriteString(fmt.Sprint(n, ":"))
		for c := range v.N {
			index, mask := v.Copies[c].Flip(1000)
			got.WriteString(fmt.Sprintf(" %d/%d/%d", v.Copies[c].Due, index, mask))
		}
		got.WriteString("\n")
	}
	if got.String() != keptFates {
		t.Errorf("fates of seed 42:\n%s\nwant\n%s", got.String(), keptFates)
	}
}

// packet: due/damaged byte/mask of each copy
const keptFates = `0: 0/0/0
1: 1000000/0/0 1000000/0/0
2: 10479858/486/2
3: 12967041/0/0
4: 14310913/0/0
5: 12284180/0/0
6: 17396729/0/0
7: 16836670/0/0
8: 15680786/350/32 8000000/0/0
9: 9000000/0/0
10: 22032837/0/0
11:
12:
13: 18920410/352/1
14: 21451172/0/0 14000000/612/128
15: 25818115/0/0
`

// TestSameSeedSameFates, and another seed other fates.
func TestSameSeedSameFates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := impairments().Draw(t, "impairment")
		seed := rapid.Uint64().Draw(t, "seed")
		a, b := NewDirection(i, seed), NewDirection(i, seed)
		var va, vb Verdict
		for n := range int64(100) {
			a.Admit(n*1e6, 1000, 0, &va)
			b.Admit(n*1e6, 1000, 0, &vb)
			if va != vb {
				t.Fatalf("%s, packet %d: %+v and %+v", i, n, va, vb)
			}
		}
	})
	i := parse(t, "loss 50%")
	a, b := NewDirection(i, DirectionSeed(1, true)), NewDirection(i, DirectionSeed(1, false))
	var va, vb Verdict
	same := 0
	for n := range int64(1000) {
		a.Admit(n, 1000, 0, &va)
		b.Admit(n, 1000, 0, &vb)
		if va == vb {
			same++
		}
	}
	if same < 400 || same > 600 {
		t.Errorf("%d of 1000 packets have the same fate up and down", same)
	}
}

// TestImpairmentsDoNotDisturbEachOther: what one impairment does to a packet
// does not depend on which others are on.
func TestImpairmentsDoNotDisturbEachOther(t *testing.T) {
	const packets = 100_000
	type fate struct {
		lost, corrupt bool
		due           int64
		draw          uint64
	}
	fates := func(spec string) (all [packets]fate) {
		d := NewDirection(parse(t, spec), 3)
		var v Verdict
		for n := range all {
			d.Admit(int64(n)*1e6, 1000, n%7, &v)
			c := v.Copies[max(0, v.N-1)] // the original
			all[n] = fate{lost: v.N == 0, corrupt: c.Corrupt, due: c.Due, draw: c.Draw}
		}
		return all
	}

	loss := fates("loss 10%")
	for _, more := range []string{"delay 10ms 5ms", "delay 10ms 5ms distribution normal", "corrupt 30%", "delay 10ms reorder 30%", "rate 1mbit", "limit 50"} {
		for n, f := range fates("loss 10% " + more) {
			if f.lost != loss[n].lost {
				t.Fatalf("%s moved the losses, first at packet %d", more, n)
			}
		}
	}
	// A duplicate may make up for a loss and adds none.
	for n, f := range fates("loss 10% duplicate 30%") {
		if f.lost && !loss[n].lost {
			t.Fatalf("duplicate lost packet %d", n)
		}
	}
	jitter := fates("delay 10ms 5ms")
	for n, f := range fates("delay 10ms 5ms loss 10% corrupt 30%") {
		if !f.lost && f.due != jitter[n].due {
			t.Fatalf("loss and corrupt moved the delay of packet %d", n)
		}
	}
	for n, f := range fates("delay 10ms 5ms duplicate 30%") {
		if f.due != jitter[n].due {
			t.Fatalf("duplicate moved the delay of packet %d", n)
		}
	}
	corrupt := fates("corrupt 30%")
	for n, f := range fates("corrupt 30% loss 10% delay 10ms 5ms") {
		if !f.lost && (f.corrupt != corrupt[n].corrupt || f.draw != corrupt[n].draw) {
			t.Fatalf("loss and delay moved the damage of packet %d", n)
		}
	}
}

func TestAdmitDoesNotAllocate(t *testing.T) {
	for _, m := range models {
		for _, options := range [][]Option{nil, {WithFate(FateByTime)}} {
			spec := m.spec(t)
			d := NewDirection(parse(t, spec), 1, options...)
			var v Verdict
			now := int64(0)
			if n := testing.AllocsPerRun(1000, func() { now += 1e6; d.Decide(now, Packet{1000, true}, 0, &v) }); n != 0 {
				t.Errorf("%s: %v allocations a packet", spec, n)
			}
		}
	}
}

const everything = "delay 20ms 5ms 10% distribution paretonormal loss gemodel 2% 25% 90% 0.1% ecn duplicate 1% 5% corrupt 1% 5% reorder 5% 5% gap 3 rate 100mbit 4 48 5 queue codel slot 1ms 2ms packets 40 limit 5000"

// A modelSpec is a kind of impairment by itself.
type modelSpec struct{ name, words string }

var models = []modelSpec{
	{"clean", ""},
	{"loss", "delay 20ms loss 2%"},
	{"loss-correlated", "loss 20% 25%"},
	{"gemodel", "loss gemodel 1% 10%"},
	{"state", "loss state 3% 40% 10% 60% 0.2%"},
	{"list", "loss list 10,20-25,100-100000"},
	{"ecn", "loss 10% ecn"},
	{"jitter", "delay 20ms 5ms"},
	{"normal", "delay 20ms 5ms distribution normal"},
	{"pareto", "delay 20ms 5ms 25% distribution pareto"},
	{"noreorder", "delay 20ms 5ms noreorder"},
	{"reorder", "delay 20ms reorder 10% 20% gap 3"},
	{"cells", "rate 10mbit 4 48 5"},
	{"tbf", "rate 10mbit queue tbf 15000"},
	{"codel", "rate 7mbit queue codel"},
	{"slot", "slot 2ms 5ms packets 3"},
	{"slot-normal", "slot distribution normal 5ms 1ms"},
	{"trace", "trace"},
	{"everything", everything},
}

func (m modelSpec) spec(t testing.TB) string {
	if m.words == "trace" {
		return "trace " + file(t, "model.trace", "1\n1\n2\n4\n9\n")
	}
	return m.words
}

func BenchmarkAdmit(b *testing.B) {
	for _, m := range models {
		b.Run(m.name, func(b *testing.B) {
			d := NewDirection(parse(b, m.spec(b)), 1)
			var v Verdict
			now := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				now += 1e6
				d.Decide(now, Packet{Length: 1000}, 0, &v)
			}
		})
	}
}
