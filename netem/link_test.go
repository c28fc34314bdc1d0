package netem

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCells: overheads and cells, as packet_time_ns rounds them.
func TestCells(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		length  int
		want    int64
	}{
		{Framing{}, 1514, 1514},
		{Framing{Packet: 20}, 1514, 1534},
		{Framing{Packet: -14}, 1514, 1500},
		{Framing{Packet: -100}, 60, 0},
		{Framing{Cell: 48, CellOverhead: 5}, 48, 53},
		{Framing{Cell: 48, CellOverhead: 5}, 49, 106},
		{Framing{Cell: 48, CellOverhead: 5}, 1, 53},
		{Framing{-14 + 18, 48, 5}, 1514, 32 * 53},                   // 1518 bytes in 31.6 cells
		{Framing{0, 48, 5}, 48 * 31, 31 * 53},                       // an exact number
		{Framing{0, 100, -20}, 250, 3 * 80},                         // signed
		{Framing{0, 1514, 0}, 60, 1514},                             // a cell is paid in full
		{Framing{MaxFraming, 1, MaxFraming}, 65549, math.MaxUint32}, // bounded as 32 bits are
	} {
		if got := c.framing.length(c.length); got != c.want {
			t.Errorf("%+v: %d bytes are %d, want %d", c.framing, c.length, got, c.want)
		}
	}
	// ADSL at 1 Mbit/s: 32 cells of 53 bytes take 13.568 ms.
	d := NewDirection(parse(t, "rate 1mbit 4 48 5"), 1)
	var v Verdict
	for n := range int64(3) {
		if d.Admit(0, 1514, 0, &v); v.Copies[0].Due != (n+1)*13_568_000 || v.Copies[0].Queued != n*13_568_000 {
			t.Errorf("packet %d: %+v", n, v.Copies[0])
		}
	}
}

// TestQueued: waiting for the link, the own transmission excluded, nor the delay.
func TestQueued(t *testing.T) {
	d := NewDirection(parse(t, "delay 20ms rate 8mbit"), 1) // 1 ms for 1000 bytes
	var v Verdict
	for n, want := range []int64{0, 500_000, 1_000_000, 1_500_000} {
		if d.Admit(int64(n)*500_000, 1000, 0, &v); v.Copies[0].Queued != want {
			t.Errorf("packet %d: %+v, want %d", n, v.Copies[0], want)
		}
	}
	// Nothing waits before it comes: a jitter above the delay.
	send(t, "delay 1ms 4ms rate 1gbit", 10*time.Millisecond, func(n int, now int64, v *Verdict) {
		if q := v.Copies[0].Queued; q < 0 || q > 8_000_000 {
			t.Fatalf("packet %d: %+v", n, v.Copies[0])
		}
	})
	d = NewDirection(parse(t, "delay 20ms 9ms reorder 20%"), 1)
	for n := range int64(1000) {
		if d.Admit(n*1e6, 1000, 0, &v); v.Copies[0].Queued != 0 {
			t.Fatalf("no bottleneck: %+v", v.Copies[0])
		}
	}
}

// TestEndOfTime: a path that is far too slow piles up to the end of time and
// not around it.
func TestEndOfTime(t *testing.T) {
	for _, spec := range []string{
		"rate 8bit 65536 1 65536", "rate 8bit 65536 1 65536 queue tbf 1", "rate 8bit 65536 1 65536 queue codel",
		"delay 274s slot 274s 274s", "delay 274s slot distribution normal 274s 2s packets 1",
	} {
		d := NewDirection(parse(t, spec), 1)
		var v Verdict
		last := int64(0)
		for range 100 {
			d.Admit(math.MaxInt64-500e9, 65549, 0, &v)
			if v.N == 1 && (v.Copies[0].Due < last || v.Copies[0].Queued < 0) {
				t.Fatalf("%s: %+v after %d", spec, v, last)
			}
			last = max(last, v.Copies[0].Due)
		}
	}
}

// TestLawsOfTokenBucket: a burst of the bucket's size passes at once, and the
// rest at the rate; over a long time it is the rate whatever is sent.
func TestLawsOfTokenBucket(t *testing.T) {
	d := NewDirection(parse(t, "delay 10ms rate 8mbit queue tbf 10000"), 1) // 1 ms and 10 packets of 1000 bytes
	var v Verdict
	burst := func(now int64, packets int) (atOnce int, last int64) {
		for k := range packets {
			d.Admit(now, 1000, 0, &v)
			c := v.Copies[0]
			if c.Due == now+10e6 {
				atOnce++
				if c.Queued != 0 {
					t.Errorf("at %d, packet %d waits %d", now, k, c.Queued)
				}
			} else if want := now + 10e6 + int64(k-atOnce+1)*1e6; c.Due != want || c.Queued != int64(k-atOnce)*1e6 {
				t.Errorf("at %d, packet %d: %+v, want due %d", now, k, c, want)
			}
			last = c.Due
		}
		return atOnce, last
	}
	if n, _ := burst(1e9, 25); n != 10 {
		t.Errorf("%d packets pass at once, want 10", n)
	}
	if n, _ := burst(1e9+15e6+4e6, 6); n != 4 { // 4 ms after the last left
		t.Errorf("%d packets pass at once after 4 ms, want 4", n)
	}
	if n, _ := burst(20e9, 11); n != 10 { // never more than the bucket
		t.Errorf("%d packets pass at once after a long pause, want 10", n)
	}
	// An offered load of twice the rate, in bursts.
	d = NewDirection(parse(t, "rate 8mbit queue tbf 50000"), 1)
	var first, last int64
	const packets = 100_000
	for n := range packets {
		d.Admit(int64(n/100)*50e6, 1000, 0, &v)
		if n == 0 {
			first = v.Copies[0].Due
		}
		if due := v.Copies[0].Due; due < last {
			t.Fatalf("packet %d overtakes", n)
		}
		last = v.Copies[0].Due
	}
	if got, want := last-first, int64(packets-50)*1e6; got != want {
		t.Errorf("%d packets took %d ns, want %d", packets, got, want)
	}
	// Below the rate nobody waits.
	d = NewDirection(parse(t, "rate 8mbit queue tbf 5000"), 1)
	for n := range int64(1000) {
		if d.Admit(n*1_100_000, 1000, 0, &v); v.Copies[0].Queued != 0 || v.Copies[0].Due != n*1_100_000 {
			t.Fatalf("packet %d below the rate: %+v", n, v.Copies[0])
		}
	}
	// A packet larger than the bucket takes the time that it takes.
	d = NewDirection(parse(t, "rate 8mbit queue tbf 500"), 1)
	if d.Admit(0, 1000, 0, &v); v.Copies[0].Due != 500_000 {
		t.Errorf("a large packet: %+v", v.Copies[0])
	}
	if d.Admit(0, 1000, 0, &v); v.Copies[0].Due != 1_500_000 {
		t.Errorf("the next: %+v", v.Copies[0])
	}
}

// TestLawsOfCoDel against overloads that do not respond. CoDel drops ever more
// until the load fits, lets go when the queue has come down to the target, and
// begins again; the queue of the FIFO beside it grows for ever.
func TestLawsOfCoDel(t *testing.T) {
	drawsMuch(t)
	for _, c := range []struct {
		spec         string
		period       time.Duration // of packets of 1000 bytes, at 8 Mbit/s: 1 ms each
		target, most float64       // ms
	}{
		{"rate 8mbit limit 100000 queue codel", 980 * time.Microsecond, 5, 15},
		{"rate 8mbit limit 100000 queue codel", 900 * time.Microsecond, 5, 50},
		{"rate 8mbit limit 100000 queue codel", 800 * time.Microsecond, 5, 250},
		{"rate 8mbit limit 100000 queue codel target 20ms interval 50ms", 800 * time.Microsecond, 20, 100},
		{"delay 30ms rate 8mbit limit 100000 queue codel", 900 * time.Microsecond, 5, 50},
	} {
		d, fifo := NewDirection(parse(t, c.spec), 1), NewDirection(parse(t, "rate 8mbit limit 100000"), 1)
		var v, f Verdict
		const packets = 400_000
		var delivered, dropped, late, count int
		sojourn, least := 0.0, math.Inf(1)
		var busy int64
		for n := range packets {
			now := int64(n) * c.period.Nanoseconds()
			d.Admit(now, 1000, 0, &v)
			fifo.Admit(now, 1000, 0, &f)
			delivered, dropped = delivered+v.N, dropped+v.Dropped
			if v.N == 1 {
				busy = v.Copies[0].Due
			}
			if n < packets/2 {
				continue
			}
			late += v.Dropped
			if v.N == 1 {
				queued := float64(v.Copies[0].Queued) / 1e6
				sojourn, count = sojourn+queued, count+1
				least = min(least, queued)
			}
		}
		overload := 1 - c.period.Seconds()/0.001
		share, mean := float64(late)/(packets/2), sojourn/float64(count)
		t.Logf("%s every %v: %.1f ms in the queue (least %.1f, FIFO %.0f ms), %.4f dropped for an overload of %.4f, the link busy %.4f of the time",
			c.spec, c.period, mean, least, float64(f.Copies[0].Queued)/1e6, share, overload, float64(delivered)*1e6/float64(busy))
		if delivered+dropped != packets {
			t.Errorf("%d delivered and %d dropped of %d", delivered, dropped, packets)
		}
		if math.Abs(share-overload) > 0.02*overload {
			t.Errorf("%s: drops %.4f, want the overload %.4f", c.spec, share, overload)
		}
		if mean > c.most || least > c.target {
			t.Errorf("%s: %.1f ms in the queue, at least %.1f; want less than %g and down to the target of %g ms", c.spec, mean, least, c.most, c.target)
		}
		if work := float64(delivered) * 1e6 / float64(busy); work < 0.99 {
			t.Errorf("%s: the link is busy %.3f of the time", c.spec, work)
		}
	}
}

// TestCoDelTamesAWindow: a sender with a window that grows by a packet a round
// trip and is halved by a loss keeps CoDel's queue near the target and the link
// busy, where it fills a FIFO of 250 packets.
func TestCoDelTamesAWindow(t *testing.T) {
	const trip, end = 20e6, 120e9 // ns: the round trip without a queue, 20 packets
	run := func(spec string) (queue, busy float64) {
		d := NewDirection(parse(t, spec), 1)
		var v Verdict
		var back []int64 // when acknowledgements come; FIFO
		var due []int64
		window, now, recovers, delivered := 1.0, int64(0), int64(0), 0
		for now < end {
			for len(due) > 0 && due[0] <= now {
				due = due[1:]
			}
			for float64(len(back)) < window {
				d.Admit(now, 1000, len(due), &v)
				if v.Dropped > 0 {
					if now >= recovers {
						window, recovers = max(2, window/2), now+trip
					}
					break
				}
				c := v.Copies[0]
				if now > end/6 {
					queue, delivered = queue+float64(c.Queued), delivered+1
				}
				due = append(due, c.Due)
				back = append(back, c.Due+trip)
			}
			if len(back) == 0 {
				now += 1e6
				continue
			}
			now, back = max(now, back[0]), back[1:]
			window += 1 / window
		}
		return queue / float64(delivered) / 1e6, float64(delivered) / 1000 / (end / 1e9 * 5 / 6)
	}
	queue, busy := run("rate 8mbit queue codel")
	fifo, _ := run("rate 8mbit limit 250")
	t.Logf("%.1f ms in CoDel's queue, the link busy %.3f of the time; %.0f ms in the FIFO's", queue, busy, fifo)
	if queue > 12 || busy < 0.9 || fifo < 100 {
		t.Errorf("%.1f ms in CoDel's queue, the link busy %.3f of the time; %.0f ms in the FIFO's", queue, busy, fifo)
	}
}

// codelQueue is the queue of RFC 8289 section 5 as it is written there, with
// packets in it and a link that takes one out when it is free: what the verdict
// at admission stands for. It returns which packets are dropped.
func codelQueue(arrivals []int64, busy, target, interval, spare int64) []bool {
	dropped := make([]bool, len(arrivals))
	head := 0
	var firstAbove, dropNext int64
	var count, lastCount uint32
	dropping := false
	law := func(t int64, count uint32) int64 { return t + int64(float64(interval)/math.Sqrt(float64(count))) }
	dodequeue := func(now int64) (packet int, ok bool) {
		if head == len(arrivals) || arrivals[head] > now {
			firstAbove = 0
			return -1, false
		}
		packet = head
		head++
		behind := int64(0)
		for k := head; k < len(arrivals) && arrivals[k] <= now && behind <= spare; k++ {
			behind += 1000
		}
		switch {
		case now-arrivals[packet] < target || behind < spare:
			firstAbove = 0
		case firstAbove == 0:
			firstAbove = now + interval
		case now >= firstAbove:
			ok = true
		}
		return packet, ok
	}
	for free := int64(0); head < len(arrivals); {
		now := max(free, arrivals[head])
		packet, ok := dodequeue(now)
		if dropping {
			if !ok {
				dropping = false
			}
			for now >= dropNext && dropping {
				dropped[packet] = true
				count++
				if packet, ok = dodequeue(now); !ok {
					dropping = false
				} else {
					dropNext = law(dropNext, count)
				}
			}
		} else if ok {
			dropped[packet] = true
			packet, _ = dodequeue(now)
			dropping = true
			delta := count - lastCount
			count = 1
			if delta > 1 && now-dropNext < 16*interval {
				count = delta
			}
			dropNext = law(now, count)
			lastCount = count
		}
		if packet >= 0 {
			free = now + busy
		}
	}
	return dropped
}

// TestCoDelIsTheRFCs: the verdict at admission drops the packets that the
// RFC's queue drops, and with its rule on the last packet in the queue, which
// cannot be known then, hardly others.
func TestCoDelIsTheRFCs(t *testing.T) {
	draws := newStream(4, drawJitter)
	for _, load := range []int64{95, 102, 110, 130, 180} { // % of the link
		const packets = 60_000
		arrivals := make([]int64, packets)
		now := int64(1e9)
		for n := range arrivals {
			// Bursts of one to eight, with pauses; now and then a long one.
			if draws.uint32(uint64(n))%4 == 0 {
				now += int64(draws.uint32(uint64(n+packets))) % (2 * 4e6 * 100 / load)
			}
			if draws.uint32(uint64(n+2*packets))%5000 == 0 {
				now += 300e6
			}
			arrivals[n] = now
		}
		d := NewDirection(parse(t, "rate 8mbit limit 1000000 queue codel"), 1)
		want := codelQueue(arrivals, 1e6, 5e6, 100e6, 0)
		rule := codelQueue(arrivals, 1e6, 5e6, 100e6, 1000)
		var v Verdict
		drops, byRule, differ := 0, 0, 0
		for n, at := range arrivals {
			d.Admit(at, 1000, 0, &v)
			if (v.Dropped == 1) != want[n] {
				t.Fatalf("load %d %%: packet %d: %+v, the RFC's queue drops it: %v", load, n, v, want[n])
			}
			drops += v.Dropped
			if rule[n] {
				byRule++
			}
			if rule[n] != want[n] {
				differ++
			}
		}
		t.Logf("load %d %%: %d dropped of %d; with the rule on the last packet %d, %d fates differ", load, drops, packets, byRule, differ)
		if load > 100 && drops == 0 || math.Abs(float64(drops-byRule)) > 0.05*float64(drops)+5 {
			t.Errorf("load %d %%: %d dropped, %d with the rule on the last packet", load, drops, byRule)
		}
	}
}

// TestCoDelFollowsTheRFC through a case that can be computed by hand: packets of
// 1 ms, 100 of them at once, target 5 ms, interval 100 ms.
func TestCoDelFollowsTheRFC(t *testing.T) {
	d := NewDirection(parse(t, "rate 8mbit queue codel"), 1)
	var v Verdict
	var drops []int64
	for n := range 400 {
		now := int64(0)
		if d.Admit(now, 1000, 0, &v); v.Dropped == 1 {
			drops = append(drops, d.link.lastDue/1e6)
		} else if want := int64(n-len(drops)) * 1e6; v.Copies[0].Queued != want {
			t.Fatalf("packet %d waits %d, want %d", n, v.Copies[0].Queued, want)
		}
	}
	// Above the target from 5 ms on; an interval later, at 105 ms, the first
	// goes, and then one after 100/√k ms: 100, 70.7, 57.7 and 50 ms, at whole ones.
	want := []int64{105, 205, 276, 334, 384}
	if len(drops) != len(want) {
		t.Fatalf("dropped at %v, want %v", drops, want)
	}
	for k := range want {
		if drops[k] != want[k] {
			t.Errorf("dropped at %v, want %v", drops, want)
			break
		}
	}
	// Below the target nothing is dropped, ever; nor of packets that each take
	// longer than it.
	for _, c := range []struct {
		spec   string
		period time.Duration
		burst  int
	}{{"rate 8mbit queue codel", 6 * time.Millisecond, 6}, {"rate 500kbit queue codel", 32 * time.Millisecond, 2}} {
		d := NewDirection(parse(t, c.spec), 1)
		for n := range 50_000 {
			if d.Admit(int64(n/c.burst)*c.period.Nanoseconds(), 1000, 0, &v); v.Dropped != 0 {
				t.Fatalf("%s: packet %d is dropped", c.spec, n)
			}
		}
	}
	// It lets go when the queue has drained.
	d = NewDirection(parse(t, "rate 8mbit queue codel"), 1)
	for n := range 300 {
		d.Admit(0, 1000, 0, &v)
		_ = n
	}
	for n := range 1000 {
		if d.Admit(1e9+int64(n)*2e6, 1000, 0, &v); v.Dropped != 0 {
			t.Fatalf("packet %d after the overload is dropped", n)
		}
	}
}

func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if strings.ContainsAny(path, " \t") {
		t.Skip("the temporary directory has a space in its name")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTrace: opportunities are used in order, shared by small packets, split
// over large ones, lost when nobody waits, and repeated.
func TestTrace(t *testing.T) {
	const ms = int64(1e6)
	path := file(t, "up.trace", "2\n2\n5\n9\n10\n")
	for _, c := range []struct {
		name    string
		packets [][2]int64 // ms, frame length
		want    []int64    // due, ms
	}{
		{"one each", [][2]int64{{0, 1514}, {0, 1514}, {0, 1514}, {0, 1514}, {0, 1514}, {0, 1514}}, []int64{2, 2, 5, 9, 10, 12}},
		{"small ones share", [][2]int64{{0, 764}, {0, 764}, {0, 764}, {0, 514}, {0, 514}}, []int64{2, 2, 2, 2, 5}},
		{"a large one is split", [][2]int64{{0, 3014}, {0, 1514}, {0, 4514}}, []int64{2, 5, 12}},
		{"what nobody waits for is lost", [][2]int64{{0, 1514}, {6, 1514}, {26, 1514}, {26, 1514}}, []int64{2, 9, 29, 30}},
		{"just in time", [][2]int64{{5, 1514}, {5, 1514}, {20, 1514}, {20, 1514}}, []int64{5, 9, 20, 22}},
		{"the rest of one that has passed", [][2]int64{{0, 114}, {3, 114}, {9, 114}, {9, 114}}, []int64{2, 5, 9, 9}},
	} {
		d := NewDirection(parse(t, "trace "+path), 1)
		d.StartClock(1000 * ms)
		var v Verdict
		var got []int64
		for _, p := range c.packets {
			now := 1000*ms + p[0]*ms
			d.Admit(now, int(p[1]), 0, &v)
			got = append(got, (v.Copies[0].Due-1000*ms)/ms)
			if q := v.Copies[0].Queued; q < 0 || q > v.Copies[0].Due-now {
				t.Errorf("%s: %+v", c.name, v.Copies[0])
			}
		}
		for k := range got {
			if got[k] != c.want[k] {
				t.Errorf("%s: due at %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
	// The delay comes before the link, and the clock begins with the first packet.
	d := NewDirection(parse(t, "delay 4ms trace "+path), 1)
	var v Verdict
	if d.Admit(7_777_777, 1514, 0, &v); v.Copies[0].Due != 7_777_777+5*ms || v.Copies[0].Queued != ms {
		t.Errorf("%+v", v.Copies[0])
	}
	// Throughput: five opportunities each 10 ms, whatever waits.
	d = NewDirection(parse(t, "limit 1000000 trace "+path), 1)
	last := int64(0)
	const packets = 50_000
	for range packets {
		d.Admit(0, 1514, 0, &v)
		last = v.Copies[0].Due
	}
	if want := int64(packets/5) * 10 * ms; last != want {
		t.Errorf("%d packets took %d, want %d", packets, last, want)
	}
	if got := parse(t, "trace "+path); got.String() != "trace "+path || mustTrace(t, path).bitRate() != 6e6 {
		t.Errorf("%q, %v bit/s", got, mustTrace(t, path).bitRate())
	}
	// A trace that begins at 0.
	path = file(t, "zero.trace", "0\n3\n")
	d = NewDirection(parse(t, "trace "+path), 1)
	var got [5]int64
	for k := range got {
		d.Admit(0, 1514, 0, &v)
		got[k] = v.Copies[0].Due / ms
	}
	if got != [5]int64{0, 3, 3, 6, 6} {
		t.Errorf("a trace from 0: %v", got)
	}
	// CoDel stands before a trace, too.
	d = NewDirection(parse(t, "queue codel trace "+path), 1)
	dropped := 0
	for n := range 2000 {
		d.Admit(int64(n)*ms, 1514, 0, &v)
		dropped += v.Dropped
	}
	if dropped < 100 { // a third is too much; it takes a while to find that out
		t.Errorf("codel drops %d of 2000 packets", dropped)
	}
}

func mustTrace(t *testing.T, path string) *trace {
	tr, err := traceFiles.get(path)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestFilesSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ word, text, want string }{
		{"trace", "", "no packet deliveries"},
		{"trace", "0\n0\n", "the trace ends at 0"},
		{"trace", "1\n5\n4\n", "line 3: 4 comes after a later time"},
		{"trace", "1\nx\n", `line 2: "x" is not a whole number`},
		{"trace", "-1\n", "line 1: -1 is out of range"},
		{"trace", "999999999999\n", "is out of range"},
		{"distribution", "# only words\n\n", "no distribution data"},
		{"distribution", "1 2 3\n4 many\n", `line 2: "many" is not a whole number of 16 bits`},
		{"distribution", "40000\n", `line 1: "40000" is not a whole number of 16 bits`},
		{"distribution", strings.Repeat("1 ", maxTable+1), "too much data"},
		{"distribution", strings.Repeat("1", 2<<20), "is too large"},
	} {
		path := file(t, "f", c.text)
		_, err := Parse("delay 9ms 1ms " + c.word + " " + path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %.20q: %v, want %s", c.word, c.text, err, c.want)
		}
	}
}

// TestFilesAreReadOnceAndAgain: what was parsed stays usable when the file goes,
// and a changed file is read anew.
func TestFilesAreReadOnceAndAgain(t *testing.T) {
	path := file(t, "two.dist", "# mine\n-8192 8192\n")
	i := parse(t, "delay 10ms 1ms distribution "+path)
	if i.String() != "delay 10ms 1ms distribution "+path {
		t.Errorf("prints %q", i)
	}
	if name, ok := i.Distribution.File(); !ok || name != path {
		t.Errorf("File: %q, %v", name, ok)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := i.Validate(); err != nil {
		t.Errorf("after the file has gone: %v", err)
	}
	d := NewDirection(i, 1)
	var v Verdict
	counts := make([]int, 2)
	for n := range int64(10_000) {
		switch d.Admit(n, 1000, 0, &v); v.Copies[0].Due - n {
		case 9e6:
			counts[0]++
		case 11e6:
			counts[1]++
		default:
			t.Fatalf("packet %d: %+v", n, v.Copies[0])
		}
	}
	chiSquare(t, "a table of two", counts)
	if _, err := Parse(i.String()); err == nil {
		t.Error("a file that has gone is parsed")
	}
	if err := os.WriteFile(path, []byte("0 0 0"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := parse(t, i.String()).Distribution.table(); len(got) != 3 {
		t.Errorf("the changed file gives %v", got)
	}
}

// TestLawsOfSlots.
func TestLawsOfSlots(t *testing.T) {
	drawsMuch(t)
	// Without a delay: what comes within 5 ms of the first leaves with it.
	var size, first, last, held int64
	var sizes, holds tally
	send(t, "slot 5ms", time.Millisecond, func(n int, now int64, v *Verdict) {
		due := v.Copies[0].Due
		if n > 0 && due < last {
			t.Fatalf("packet %d overtakes", n)
		}
		if due != last {
			first, size = now, 0
			if due-now != 5e6 {
				t.Fatalf("packet %d opens a slot %d ns away", n, due-now)
			}
		}
		size++
		last, held = due, due-now
		if held < 0 || held > 5e6 || now > first+5e6 {
			t.Fatalf("packet %d: %+v at %d", n, v.Copies[0], now)
		}
		sizes.add(n, 1)
		holds.add(n, float64(held))
	})
	// The first waits 5 ms, the last, 5 ms after it, not at all: 6 a slot.
	if mean, _ := holds.mean(); math.Abs(mean-2.5e6) > 100 || size > 6 {
		t.Errorf("held for %v ns on average, %d in the last slot", mean, size)
	}

	// A slot's room: 2 packets each 5 ms is 400 a second.
	for _, spec := range []string{"slot 5ms packets 2", "slot 5ms bytes 1001", "slot 5ms packets 9 bytes 2000"} {
		d := NewDirection(parse(t, spec), 1)
		var v Verdict
		slots := map[int64]int{}
		for range 10_000 {
			d.Admit(0, 1000, 0, &v)
			slots[v.Copies[0].Due]++
		}
		for at, n := range slots {
			if n != 2 || at%5e6 != 0 {
				t.Fatalf("%s: %d packets at %d", spec, n, at)
			}
		}
		if len(slots) != 5000 || v.Copies[0].Due != 25e9 {
			t.Errorf("%s: %d slots, the last at %d", spec, len(slots), v.Copies[0].Due)
		}
	}

	// Slots between 2 and 8 ms apart are spread evenly; those of a table as it is.
	for _, c := range []struct {
		spec     string
		mean, sd float64
	}{
		{"slot 2ms 8ms packets 1", 5e6, 6e6 / math.Sqrt(12)},
		{"slot distribution normal 20ms 4ms packets 1", 20e6 - 0.00075*4e6, 4e6},
		{"slot distribution pareto 20ms 4ms packets 1", 20e6 - 0.0335*4e6, 0.8197 * 4e6},
	} {
		var apart, square tally
		d := NewDirection(parse(t, c.spec), lawSeed)
		var v Verdict
		last := int64(0)
		for n := range lawPackets {
			d.Admit(0, 1000, 0, &v)
			x := float64(v.Copies[0].Due - last)
			last = v.Copies[0].Due
			apart.add(n, x)
			square.add(n, (x-c.mean)*(x-c.mean))
		}
		apart.check(t, c.spec+": mean", c.mean)
		square.check(t, c.spec+": variance", c.sd*c.sd)
	}

	// A delay comes before the slot; who overtakes does not wait for it.
	d := NewDirection(parse(t, "delay 10ms slot 1ms"), 1)
	var v Verdict
	if d.Admit(0, 1000, 0, &v); v.Copies[0].Due != 11e6 {
		t.Errorf("%+v", v.Copies[0])
	}
	d = NewDirection(parse(t, "delay 10ms reorder 100% slot 1ms"), 1)
	if d.Admit(7, 1000, 0, &v); v.Copies[0].Due != 7 || !v.Copies[0].Ahead {
		t.Errorf("%+v", v.Copies[0])
	}
}

// TestNoReorder: in order, and not a moment later than that takes.
func TestNoReorder(t *testing.T) {
	drawsMuch(t)
	for _, spec := range []string{"delay 20ms 15ms", "delay 20ms 9ms distribution pareto", "delay 1ms 5ms 20% distribution normal", "delay 20ms 15ms duplicate 20%"} {
		i := parse(t, spec)
		i.NoReorder = true
		with, without := NewDirection(parse(t, i.String()), lawSeed), NewDirection(parse(t, spec), lawSeed)
		var a, b Verdict
		last, held := int64(math.MinInt64), 0
		for n := range lawPackets {
			now := int64(n) * 1e6
			with.Admit(now, 1000, 0, &a)
			without.Admit(now, 1000, 0, &b)
			if a.N != b.N {
				t.Fatalf("%s: packet %d: %+v and %+v", spec, n, a, b)
			}
			for k := range a.N {
				if want := max(b.Copies[k].Due, last); a.Copies[k].Due != want {
					t.Fatalf("%s: packet %d is due at %d, want %d", spec, n, a.Copies[k].Due, want)
				}
				if a.Copies[k].Due > b.Copies[k].Due {
					held++
				}
				last = a.Copies[k].Due
			}
		}
		if held < lawPackets/10 {
			t.Errorf("%s: only %d were held", spec, held)
		}
	}
}
