package capture

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"netcmp/ledger"
	"netcmp/result"
)

// TestPassageOfStreams: however a stream is cut into segments, lost, sent again
// and mixed, a message is there at the instant at which the last of its bytes
// has come, and at no other. The oracle keeps every byte.
func TestPassageOfStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 50).Draw(t, "size")
		length := rapid.IntRange(1, 600).Draw(t, "length")
		first := rapid.Uint32().Draw(t, "first") // near the end of the numbers, too
		c := crossed{}
		c.segment(&headers{flags: uint8(SYN), seq: first, ports: 1}, 1, int64(size))
		there := make([]bool, length)
		want := map[int64]int64{}
		for stamp := int64(2); stamp < 60; stamp++ {
			from := rapid.IntRange(0, length-1).Draw(t, "from")
			n := rapid.IntRange(0, length-from).Draw(t, "n")
			c.segment(&headers{flags: uint8(ACK), seq: first + 1 + uint32(from), ports: 1, length: n}, stamp, int64(size))
			for i := range n {
				there[from+i] = true
			}
			for m := 0; (m+1)*size <= length; m++ {
				whole := true
				for _, is := range there[m*size : (m+1)*size] {
					whole = whole && is
				}
				if whole && want[int64(m)] == 0 {
					want[int64(m)] = stamp
				}
			}
		}
		got := map[int64]int64{}
		for m, at := range c.times {
			if at != 0 {
				got[int64(m)] = at
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d messages came, want %d: %v, %v", len(got), len(want), got, want)
		}
		for m, at := range want {
			if got[m] != at {
				t.Fatalf("message %d came at %d, want %d", m, got[m], at)
			}
		}
	})
}

// A stream goes on beyond the 2^32 bytes that its numbers can tell apart.
func TestPassageBeyondTheNumbers(t *testing.T) {
	const size = 1 << 20
	c := crossed{}
	c.segment(&headers{flags: uint8(SYN), seq: 5, ports: 1}, 1, size)
	for i := range int64(5000) {
		c.segment(&headers{flags: uint8(ACK), seq: uint32(6 + i*size), ports: 1, length: size}, 10+i, size)
	}
	if len(c.times) != 5000 || c.times[0] != 10 || c.times[4999] != 5009 || len(c.later) != 0 {
		t.Errorf("%d messages, the last at %d", len(c.times), c.times[len(c.times)-1])
	}
}

// TestDissectionAddsUp: the parts of a delay add up to it, none is negative, and a
// message that was not seen on its whole way has none. A message of a stream is
// head-of-line blocked from when it is at the door until all before it are there; a
// datagram never is. All that follows until it is read is the reader's lateness.
func TestDissectionAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ahead, start = int64(1e18), int64(7e12)
		proto := rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "proto")
		n := rapid.IntRange(1, 60).Draw(t, "n")
		m := &result.Messages{}
		p := newPassage(Framing{Proto: proto})
		blocked, late := map[int]int64{}, map[int]int64{}
		want, held, read := 0, 0, 0
		latest := int64(0) // door instant
		for i := range n {
			planned := int64(i) * 1e6
			sent := start + planned + rapid.Int64Range(0, 5e6).Draw(t, "waiting")
			door := sent + rapid.Int64Range(0, 5e6).Draw(t, "crossing")
			after := rapid.Int64Range(0, 5e6).Draw(t, "late")
			fate := rapid.IntRange(0, 5).Draw(t, "fate")
			if fate > 1 {
				latest = max(latest, door)
			}
			released := door
			if proto == "tcp" {
				released = max(door, latest)
			}
			delay := released + after - start - planned
			switch fate {
			case 0:
				delay, door = -1, -ahead
			case 1:
				door = -ahead
			default:
				want++
				blocked[i], late[i] = released-door, after
				if released-door > ledger.HeldMin {
					held++
				}
				if after > ledger.HeldMin {
					read++
				}
			}
			m.PlannedNS, m.DelayNS = append(m.PlannedNS, planned), append(m.DelayNS, delay)
			p.out.at(int64(i), sent+ahead)
			p.in.times = append(p.in.times, door+ahead) // 0: not seen
		}
		a := p.Dissect(m, start, Clock{Ahead: ahead})
		if a == nil {
			if want != 0 {
				t.Fatalf("no anatomy of %d messages", want)
			}
			return
		}
		if a.Messages != int64(want) || len(a.Slowest) != min(want, slowest) {
			t.Fatalf("%d messages, %d slowest, want %d", a.Messages, len(a.Slowest), want)
		}
		for i, delay := range m.DelayNS {
			parts := []int64{m.WaitingNS[i], m.CrossingNS[i], m.BlockedNS[i], m.ReadLateNS[i]}
			if _, split := blocked[i]; !split {
				if m.HeldNS[i] != unknown || slices.Max(parts) != unknown {
					t.Fatalf("message %d was not seen, and has the parts %d", i, parts)
				}
				continue
			}
			if sum := parts[0] + parts[1] + m.HeldNS[i]; sum != delay || parts[2]+parts[3] != m.HeldNS[i] || slices.Min(parts) < 0 {
				t.Fatalf("message %d: the parts are %d and held %d, the delay is %d", i, parts, m.HeldNS[i], delay)
			}
			if parts[2] != blocked[i] || parts[3] != late[i] {
				t.Fatalf("message %d was blocked for %d ns and read %d ns late, want %d and %d", i, parts[2], parts[3], blocked[i], late[i])
			}
		}
		for i := range len(a.Slowest) - 1 {
			if x, y := a.Slowest[i], a.Slowest[i+1]; x.WaitingNS+x.CrossingNS+x.HeldNS < y.WaitingNS+y.CrossingNS+y.HeldNS {
				t.Fatalf("message %d is slower than %d before it", y.Number, x.Number)
			}
		}
		if r := ReadLate(m, a, int64(want)); r == nil || r.Messages != int64(read) || (r.NS == nil) != (read == 0) {
			t.Fatalf("read late: %+v, want %d", r, read)
		}
		s := &result.Stall{Held: new(int64)}
		if !Stall(s, m, a, int64(want)) || *s.Held != int64(held) || !s.Exact || (*s.ReleasedMax == 0) != (held == 0) {
			t.Fatalf("%d are held and %d released at once, want %d", *s.Held, *s.ReleasedMax, held)
		}
		for _, run := range m.Held {
			for i := run[0]; i <= run[1]; i++ {
				held--
				if m.BlockedNS[i] <= ledger.HeldMin {
					t.Fatalf("message %d is listed, and was blocked for %d ns", i, m.BlockedNS[i])
				}
			}
		}
		if held != 0 {
			t.Fatalf("%d held messages are not listed", held)
		}
		if Stall(s, m, a, int64(want)+1) || ReadLate(m, a, int64(want)+1) != nil {
			t.Fatal("exact, though one message is not known")
		}
	})
}

// TestLateReaderBlocksNothing: 100 messages come to the door in order, one a
// millisecond, and are read together at 120 ms. None was head-of-line
// blocked; those that lay there for more than a millisecond were read late.
func TestLateReaderBlocksNothing(t *testing.T) {
	const n, step, crossing, read = 100, int64(1e6), int64(20e6), int64(120e6)
	m := &result.Messages{}
	p := newPassage(Framing{Proto: "tcp"})
	for i := range int64(n) {
		m.PlannedNS, m.DelayNS = append(m.PlannedNS, i*step), append(m.DelayNS, read-i*step)
		p.out.at(i, 1+i*step)
		p.in.at(i, 1+i*step+crossing)
	}
	a := p.Dissect(m, 1, Clock{})
	s := &result.Stall{Held: new(int64(87)), ReleasedMax: new(int64(88))}
	if !Stall(s, m, a, n) || *s.Held != 0 || s.HeldNS != nil || *s.ReleasedMax != 0 || len(m.Held) != 0 || a.BlockedNS.Max != 0 {
		t.Errorf("blocked: %+v, %+v", s, a.BlockedNS)
	}
	if r := ReadLate(m, a, n); r.Messages != 99 || r.NS.Max != read-crossing {
		t.Errorf("read late: %+v", r)
	}
}
