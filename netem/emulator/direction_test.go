package emulator

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/netem"
	"netcmp/result"
)

// wireSink is a host's device: what it puts on its wire, packet by packet, and
// how many frames it was handed.
type wireSink struct {
	wires   [][]byte
	frames  int
	refuse  func() bool
	refused int64 // packets
}

func (s *wireSink) send(head, payload []byte) error {
	frame := append(bytes.Clone(head[offloadSize:]), payload...)
	packets := cut(parseOffload(head), frame)
	s.frames++
	s.wires = append(s.wires, packets...)
	if s.refuse != nil && s.refuse() {
		s.refused += int64(len(packets))
		return errors.New("refused")
	}
	return nil
}

// reference is a direction without trains, runs and heaps: the verdict on one
// packet after another, and a sorted row of what waits.
type reference struct {
	verdict *netem.Direction
	last    int64
	waiting []waitingPacket
	counts  result.LinkDirection
	wires   [][]byte // what has left
}

type waitingPacket struct {
	due  int64
	wire []byte
}

func (m *reference) admit(at int64, packets [][]byte) {
	at = max(at, m.last)
	m.last = at
	m.deliver(at)
	for _, wire := range packets {
		var v netem.Verdict
		m.verdict.Admit(at, len(wire), len(m.waiting), &v)
		m.counts.Packets++
		m.counts.Bytes += int64(len(wire))
		m.counts.Lost += int64(v.Lost)
		*m.counts.QueueDropped += int64(v.Dropped)
		if v.Duplicated {
			m.counts.Duplicated++
		}
		whole, damaged := false, false
		for _, c := range v.Copies[:v.N] {
			out := bytes.Clone(wire)
			if c.Corrupt {
				i, mask := c.Flip(len(out))
				out[i] ^= mask
				m.counts.Corrupted++
				tr := parse(offload{}, wire)
				whole = whole || tr.damage(i, mask) == none
				damaged = true
			} else {
				whole = true
			}
			if c.Ahead {
				*m.counts.Reordered++
			}
			if c.Due <= at {
				m.leave(out)
				continue
			}
			m.waiting = append(m.waiting, waitingPacket{c.Due, out})
		}
		d := &m.counts.Datagrams
		d.Entered++
		switch {
		case whole:
			d.Intact++
		case damaged:
			d.Corrupted++
		case v.Dropped > 0:
			*d.QueueDropped++
		default:
			d.Lost++
		}
	}
	slices.SortStableFunc(m.waiting, func(a, b waitingPacket) int { return cmp.Compare(a.due, b.due) })
}

func (m *reference) deliver(now int64) {
	for len(m.waiting) > 0 && m.waiting[0].due <= now {
		m.leave(m.waiting[0].wire)
		m.waiting = m.waiting[1:]
	}
}

func (m *reference) leave(wire []byte) {
	m.counts.Delivered++
	m.wires = append(m.wires, wire)
}

// pooled checks the account of the buffers: each is free or referred to, by as
// many runs as it says.
func pooled(d *direction) error {
	refs := map[*buffer]int{}
	packets := 0
	for _, r := range d.line.heap {
		refs[r.buf]++
		packets += int(r.count)
	}
	if packets != d.line.packets {
		return fmt.Errorf("%d packets wait, not %d", packets, d.line.packets)
	}
	for b, n := range refs {
		if b.refs != n {
			return fmt.Errorf("a buffer says %d references, has %d", b.refs, n)
		}
	}
	free := map[*buffer]bool{}
	for class, row := range d.pool.free {
		for _, b := range row {
			if free[b] || refs[b] > 0 || b.refs != 0 || b.class != class {
				return fmt.Errorf("a buffer released wrongly: twice %v, in use %d, says %d", free[b], refs[b], b.refs)
			}
			free[b] = true
		}
	}
	if len(free)+len(refs) != d.pool.made {
		return fmt.Errorf("of %d buffers %d are free and %d in use", d.pool.made, len(free), len(refs))
	}
	return nil
}

func chances() *rapid.Generator[netem.Probability] {
	return rapid.OneOf(rapid.Just(netem.Probability(0)),
		rapid.Custom(func(t *rapid.T) netem.Probability { return netem.Percent(rapid.Float64Range(0, 60).Draw(t, "%")) }),
		rapid.Just(netem.Always))
}

func impairments() *rapid.Generator[netem.Impairment] {
	return rapid.Custom(func(t *rapid.T) netem.Impairment {
		us := func(name string, most int) time.Duration {
			return time.Duration(rapid.OneOf(rapid.Just(0), rapid.IntRange(0, most)).Draw(t, name)) * time.Microsecond
		}
		i := netem.Impairment{
			Delay:     us("delay", 5000),
			Jitter:    us("jitter", 3000),
			Duplicate: chances().Draw(t, "duplicate"),
			Corrupt:   chances().Draw(t, "corrupt"),
			Rate:      rapid.SampledFrom([]netem.Rate{0, 0, 1e6, 1e8, 1e10}).Draw(t, "rate"),
			Limit:     rapid.SampledFrom([]uint32{0, 1, 10, 60}).Draw(t, "limit"),
		}
		if p := chances().Draw(t, "loss"); p > 0 {
			i.Loss = netem.RandomLoss(p)
		}
		if i.Delay > 0 {
			i.Reorder = chances().Draw(t, "reorder")
			if i.Reorder > 0 {
				i.Gap = rapid.Uint32Range(0, 4).Draw(t, "gap")
			}
			if i.Jitter > 0 && rapid.Bool().Draw(t, "normal") {
				i.Distribution = netem.Normal
			}
		}
		return i
	})
}

// TestDirectionIsItsReference: whatever the path does and whatever comes when,
// as trains or one by one, the same packets leave at the same instants in the
// same order as in a path that knows no trains, bit for bit but for the bits
// that corruption flips. Nothing is unaccounted for.
func TestDirectionIsItsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := impairments().Draw(t, "impairment")
		seed := rapid.Uint64().Draw(t, "seed")
		refuse := rapid.Bool().Draw(t, "refuse")
		model := &reference{verdict: netem.NewDirection(i, seed)}
		model.counts.QueueDropped, model.counts.Reordered, model.counts.Datagrams.QueueDropped = new(int64), new(int64), new(int64)
		var sinks [2]*wireSink // of trains, of single packets
		var directions [2]*direction
		for k := range directions {
			n := 0
			sinks[k] = &wireSink{refuse: func() bool { n++; return refuse && n%3 == 0 }}
			directions[k] = newDirection(i, seed, sinks[k])
		}
		trains, singles := directions[0], directions[1]
		now := int64(1e12)
		check := func() {
			for k, d := range directions {
				s, kind := sinks[k], []string{"trains", "single packets"}[k]
				if len(s.wires) != len(model.wires) {
					t.Fatalf("%s, %s: %d packets have left, want %d", i, kind, len(s.wires), len(model.wires))
				}
				for n := range s.wires {
					if !bytes.Equal(s.wires[n], model.wires[n]) {
						t.Fatalf("%s, %s, packet %d to leave:\n got %x\nwant %x", i, kind, n, s.wires[n], model.wires[n])
					}
				}
				want := model.counts
				want.InFlight = int64(len(model.waiting))
				want.Refused = s.refused
				got := d.tally()
				got.DelayErrorNS, got.LatenessNS, got.QueueDelayNS = nil, nil, nil
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s, %s:\n got %+v\nwant %+v", i, kind, got, want)
				}
				if got.Packets+got.Duplicated != got.Lost+*got.QueueDropped+got.Delivered+got.InFlight || !partitioned(got.Datagrams) || got.Datagrams.Entered != got.Packets {
					t.Fatalf("%s, %s: %+v", i, kind, got)
				}
				if err := pooled(d); err != nil {
					t.Fatalf("%s, %s: %v", i, kind, err)
				}
				s.wires = nil
			}
			model.wires = nil
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now += rapid.Int64Range(0, 3e6).Draw(t, "pause")
			if rapid.Bool().Draw(t, "deliver") {
				model.deliver(now)
				for _, d := range directions {
					for d.deliver(now) {
					}
				}
				check()
			}
			// The path may be late, and its clocks may cross.
			at := now - rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 2e6)).Draw(t, "late")
			f := flows(45).Draw(t, "flow")
			off, frame := f.frame(0, f.count(), false)
			model.admit(at, f.wires())
			trains.admit(at, now, off, frame)
			clear(frame) // the ring's slot is given back
			for n := range f.count() {
				off, frame := f.frame(n, 1, false)
				singles.admit(at, now, off, frame)
				clear(frame)
			}
			check()
		}
		now += 1e15
		model.deliver(now)
		for _, d := range directions {
			for d.deliver(now) {
			}
			if d.line.packets != 0 || len(d.line.heap) != 0 {
				t.Fatalf("%d packets are left", d.line.packets)
			}
		}
		check()
	})
}

// numbered is a train of n packets of UDP, the first byte of each its number.
func numbered(n int) (offload, []byte) {
	f := &flow{udp: true, size: 100, payload: make([]byte, 100*n)}
	for i := range n {
		f.payload[100*i] = byte(i)
	}
	return f.frame(0, n, false)
}

func numbers(wires [][]byte) []int {
	var all []int
	for _, w := range wires {
		all = append(all, int(w[42]))
	}
	return all
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	return all
}

func impairment(t testing.TB, spec string) netem.Impairment {
	i, err := netem.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// frameSink keeps what it is handed, uncopied.
type frameSink struct{ heads, payloads [][]byte }

func (s *frameSink) send(head, payload []byte) error {
	s.heads = append(s.heads, bytes.Clone(head))
	s.payloads = append(s.payloads, payload)
	return nil
}

// TestCleanPathPassesTrainsWhole: not cut, not copied, not changed.
func TestCleanPathPassesTrainsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(frameSink)
		d := newDirection(netem.Impairment{}, 1, s)
		f := flows(45).Draw(t, "flow")
		off, frame := f.frame(0, f.count(), false)
		before := bytes.Clone(frame)
		d.admit(7, 9, off, frame)
		if len(s.heads) != 1 || parseOffload(s.heads[0]) != off || len(s.heads[0]) != offloadSize || &s.payloads[0][0] != &frame[0] || !bytes.Equal(s.payloads[0], before) {
			t.Fatalf("%d frames left", len(s.heads))
		}
		n := int64(f.count())
		c := d.tally()
		if c.Packets != n || c.Delivered != n || !reflect.DeepEqual(c.Datagrams, result.Datagrams{Entered: n, Intact: n, QueueDropped: new(int64)}) || *c.DelayErrorNS != (result.Quantiles{P50: 2, P99: 2, Max: 2}) {
			t.Fatalf("%+v, %+v", c, *c.DelayErrorNS)
		}
	})
}

// TestConstantDelay keeps trains whole and in order and lets each go when it is
// due, even where the instants of coming cross.
func TestConstantDelay(t *testing.T) {
	const delay, period = 10e6, 1e5
	s := new(wireSink)
	d := newDirection(impairment(t, "delay 10ms"), 1, s)
	last := int64(-delay)
	var due []int64
	for n := range 200 {
		now := int64(n) * period
		for d.deliver(now) {
		}
		for k, want := range due {
			if left := s.frames > k; left != (want <= now) {
				t.Fatalf("at %d: train %d, due at %d, has left: %v", now, k, want, left)
			}
		}
		at := now
		if n%5 == 0 {
			at -= 3 * period
		}
		last = max(last, at)
		due = append(due, last+delay)
		f := &flow{udp: true, size: 2, payload: []byte{byte(n), 0, byte(n), 1, byte(n), 2}}
		off, frame := f.frame(0, 3, false)
		d.admit(at, now, off, frame)
	}
	if s.frames < 90 || len(s.wires) != 3*s.frames {
		t.Fatalf("%d frames and %d packets left", s.frames, len(s.wires))
	}
	for n, w := range s.wires {
		if int(w[42]) != n/3 || int(w[43]) != n%3 {
			t.Fatalf("packet %d of train %d left as the %d.", w[43], w[42], n)
		}
	}
}

// TestReorderAhead: packets that overtake leave at once, before all that waits;
// but not before what was due when they came.
func TestReorderAhead(t *testing.T) {
	s := new(wireSink)
	d := newDirection(impairment(t, "delay 10ms reorder 100% gap 3"), 1, s)
	off, frame := numbered(9)
	d.admit(0, 0, off, frame)
	if got := numbers(s.wires); !slices.Equal(got, []int{2, 5, 8}) {
		t.Fatalf("%v went ahead", got)
	}
	// Late: the first train was due when the second one came.
	d.admit(10e6, 50e6, off, frame)
	if got, want := numbers(s.wires[3:]), []int{0, 1, 3, 4, 6, 7, 2, 5, 8}; !slices.Equal(got, want) {
		t.Fatalf("%v left, want %v", got, want)
	}
	if c := d.tally(); *c.Reordered != 6 || c.InFlight != 6 || c.Delivered != 12 {
		t.Errorf("%+v", c)
	}
}

// TestJitterBeyondTheDelay: a packet whose delay is negative leaves at once and
// is not late for it.
func TestJitterBeyondTheDelay(t *testing.T) {
	s := new(wireSink)
	d := newDirection(impairment(t, "delay 1us 100ms"), 1, s)
	off, frame := numbered(100)
	d.admit(1e9, 1e9+500, off, frame)
	c := d.tally()
	if c.Delivered < 20 || c.InFlight < 20 || c.DelayErrorNS.Max > 600 {
		t.Errorf("%+v, delay error %+v", c, *c.DelayErrorNS)
	}
	last := -1
	for _, n := range numbers(s.wires) {
		if n <= last {
			t.Errorf("%d left after %d", n, last)
		}
		last = n
	}
}

// TestRateSpacing: a train leaves a packet at a time, each when the link has
// sent it.
func TestRateSpacing(t *testing.T) {
	const each = 142 * 1000 // ns for 142 bytes at 8 Mbit/s
	s := new(wireSink)
	d := newDirection(impairment(t, "rate 8mbit"), 1, s)
	off, frame := numbered(45)
	d.admit(0, 0, off, frame)
	for n := range 45 {
		due := d.line.next().due
		if due != int64(n+1)*each {
			t.Fatalf("packet %d is due at %d", n, due)
		}
		if d.deliver(due-1) || !d.deliver(due) || d.deliver(due) || len(s.wires) != n+1 {
			t.Fatalf("packet %d: %d have left", n, len(s.wires))
		}
	}
	if got := numbers(s.wires); !slices.Equal(got, upTo(45)) || d.line.next() != nil {
		t.Errorf("%v left", got)
	}
	// Who comes late to the link lets go all that is due, in one frame.
	s.frames = 0
	d.admit(1e9, 1e9, off, frame)
	if !d.deliver(1e9+10*each) || s.frames != 1 || len(s.wires) != 45+10 {
		t.Errorf("%d frames, %d packets", s.frames, len(s.wires)-45)
	}
}

// TestLimit: the queue takes as many packets as it may hold, whether or not
// the path is behind with its work, and takes more once they have left.
func TestLimit(t *testing.T) {
	for _, late := range []int64{0, 500e3, 100e6} {
		s := new(wireSink)
		d := newDirection(impairment(t, "delay 1ms limit 10"), 1, s)
		off, frame := numbered(45)
		for n := range int64(20) {
			at := n * 1e6 // when the ones before are due
			d.admit(at, at+late, off, frame)
			c := d.tally()
			if c.InFlight != 10 || *c.QueueDropped != 35*(n+1) || c.Delivered != 10*n || *c.Datagrams.QueueDropped != *c.QueueDropped || c.Datagrams.Intact != 10*(n+1) {
				t.Fatalf("%d ns late, train %d: %+v", late, n, c)
			}
		}
		if got := numbers(s.wires[:10]); !slices.Equal(got, upTo(10)) {
			t.Errorf("%v left", got)
		}
	}
}

// TestCorruption flips one bit of the packet as it is on the wire.
func TestCorruption(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(wireSink)
		d := newDirection(netem.Impairment{Corrupt: netem.Always}, rapid.Uint64().Draw(t, "seed"), s)
		f := flows(45).Draw(t, "flow")
		off, frame := f.frame(0, f.count(), false)
		d.admit(0, 0, off, frame)
		for n, want := range f.wires() {
			flipped := 0
			if len(s.wires[n]) != len(want) {
				t.Fatalf("packet %d: %d bytes, want %d", n, len(s.wires[n]), len(want))
			}
			for k := range want {
				flipped += bits.OnesCount8(want[k] ^ s.wires[n][k])
			}
			if flipped != 1 {
				t.Fatalf("packet %d: %d bits flipped", n, flipped)
			}
		}
		if c := d.tally(); c.Corrupted != int64(f.count()) || c.Datagrams.Corrupted+c.Datagrams.Intact != c.Corrupted {
			t.Fatalf("%+v", c)
		}
	})
}

// TestRefused counts packets, not frames, and of Delivered: no strays.
func TestRefused(t *testing.T) {
	s := &wireSink{refuse: func() bool { return true }}
	d := newDirection(netem.Impairment{}, 1, s)
	off, frame := numbered(45)
	d.admit(0, 0, off, frame)
	group := bytes.Clone(frame)
	group[0] |= 1
	d.admit(0, 0, offload{}, group)
	if c := d.tally(); c.Refused != 45 || c.Delivered != 45 || c.Strays != 1 || c.Packets != 45 {
		t.Errorf("%+v", c)
	}
}

// TestStraysDrawNothing: they pass at once and shift nobody's fate.
func TestStraysDrawNothing(t *testing.T) {
	var with, without wireSink
	i := impairment(t, "loss 50%")
	a, b := newDirection(i, 5, &with), newDirection(i, 5, &without)
	off, frame := numbered(45)
	arp := append(bytes.Clone(frame[:12]), 0x08, 0x06, 1, 2, 3)
	a.admit(0, 0, off, frame)
	a.admit(0, 0, offload{}, arp)
	a.admit(0, 0, off, frame)
	b.admit(0, 0, off, frame)
	b.admit(0, 0, off, frame)
	k := slices.IndexFunc(with.wires, func(w []byte) bool { return bytes.Equal(w, arp) })
	if k < 0 {
		t.Fatal("the stray did not pass")
	}
	if got, want := numbers(slices.Delete(with.wires, k, k+1)), numbers(without.wires); !slices.Equal(got, want) {
		t.Errorf("%v passed, without the stray %v", got, want)
	}
}

// TestFragmentedDatagrams: a datagram is lost with any fragment of it.
func TestFragmentedDatagrams(t *testing.T) {
	const n, fragments = 3000, 3
	s := new(wireSink)
	d := newDirection(impairment(t, "loss 10%"), 1, s)
	for id := range n {
		for k := range fragments {
			f := &flow{udp: true, id: uint16(id), size: 100, payload: []byte{byte(k)}}
			_, frame := f.frame(0, 1, true)
			frame[20], frame[21] = 0x20, byte(k)
			if k == fragments-1 {
				frame[20] = 0
			}
			d.admit(0, 0, offload{}, frame)
		}
	}
	c := d.tally()
	g := c.Datagrams
	if c.Packets != n*fragments || g.Entered != n || !partitioned(g) || g.Lost >= c.Lost || g.Lost < c.Lost*8/10 {
		t.Errorf("%+v", c)
	}
}

// TestOutcome: of a whole datagram any good copy will do; of a fragment the
// first copy that the host takes counts.
func TestOutcome(t *testing.T) {
	first := netem.Verdict{N: 2, Duplicated: true, Copies: [2]netem.Copy{{Due: 1}, {Due: 1}}}
	second := netem.Verdict{N: 2, Duplicated: true, Copies: [2]netem.Copy{{Due: 2}, {Due: 1}}}
	for _, c := range []struct {
		v               netem.Verdict
		harm            [2]damage
		whole, fragment fate
	}{
		{netem.Verdict{Lost: 1}, [2]damage{}, lost, lost},
		{netem.Verdict{Dropped: 2, Duplicated: true}, [2]damage{}, queueDropped, queueDropped},
		{netem.Verdict{N: 1}, [2]damage{none}, intact, intact},
		{netem.Verdict{N: 1, Lost: 1, Duplicated: true}, [2]damage{none}, intact, intact},
		{netem.Verdict{N: 1}, [2]damage{hidden}, corrupted, corrupted},
		{netem.Verdict{N: 1}, [2]damage{discarded}, corrupted, corrupted},
		{first, [2]damage{none, hidden}, intact, intact},
		{first, [2]damage{hidden, none}, intact, corrupted},
		{first, [2]damage{discarded, none}, intact, intact},
		{first, [2]damage{discarded, hidden}, corrupted, corrupted},
		{second, [2]damage{none, hidden}, intact, corrupted},
		{second, [2]damage{hidden, none}, intact, intact},
	} {
		if whole, fragment := outcome(&c.v, c.harm, false), outcome(&c.v, c.harm, true); whole != c.whole || fragment != c.fragment {
			t.Errorf("%+v, %v: %v, of a fragment %v", c.v, c.harm, whole, fragment)
		}
	}
}

// TestDelayError is recorded for each packet.
func TestDelayError(t *testing.T) {
	d := newDirection(impairment(t, "delay 10ms"), 1, new(wireSink))
	off, frame := numbered(9)
	d.admit(0, 100, off, frame)
	single, one := numbered(1)
	d.admit(0, 100, single, one)
	if d.tally().DelayErrorNS != nil {
		t.Error("an error before anything was delivered")
	}
	d.deliver(10e6 + 50)
	d.deliver(10e6 + 1000)
	if got := *d.tally().DelayErrorNS; got != (result.Quantiles{P50: 50, P99: 1000, Max: 1000}) {
		t.Errorf("%+v", got)
	}
	if got := *d.tally().LatenessNS; got != (result.Tail{P50: 50, P90: 50, P99: 1000, P999: 1000, Max: 1000}) {
		t.Errorf("%+v", got)
	}
}

// The clean train, the delayed train, and single packets with all that costs
// time: in the steady state none of them allocates.
var workloads = map[string]struct {
	spec    string
	packets int
}{
	"clean train of 45":          {"", 45},
	"delayed train of 45":        {"delay 10ms", 45},
	"train of 45, loss, jitter":  {"delay 10ms 5ms loss 1%", 45},
	"single, loss and jitter":    {"delay 10ms 5ms distribution normal loss 1%", 1},
	"single, corrupt, duplicate": {"delay 1ms corrupt 50% duplicate 50%", 1},
}

type nullSink struct{}

func (nullSink) send([]byte, []byte) error { return nil }

// step admits a frame each 100 µs and delivers what is due, in the steady state.
func step(tb testing.TB, spec string, packets int) func() {
	d := newDirection(impairment(tb, spec), 1, nullSink{})
	f := &flow{size: 1448, tcpOptions: make([]byte, 12), payload: make([]byte, 1448*packets)}
	off, frame := f.frame(0, packets, false)
	now := int64(0)
	admit := func() {
		now += 100_000
		for d.deliver(now) {
		}
		d.admit(now, now, off, frame)
	}
	for range 1000 {
		admit()
	}
	return admit
}

func TestNoAllocations(t *testing.T) {
	for name, w := range workloads {
		if n := testing.AllocsPerRun(2000, step(t, w.spec, w.packets)); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkDirection(b *testing.B) {
	for name, w := range workloads {
		b.Run(name, func(b *testing.B) {
			admit := step(b, w.spec, w.packets)
			b.ReportAllocs()
			for b.Loop() {
				admit()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*w.packets), "ns/packet")
		})
	}
}
