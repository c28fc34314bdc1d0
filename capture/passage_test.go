package capture

import (
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

// TestDissectionAddsUp: the parts of a delay add up to it, none is negative, and
// what was not seen on its whole way has none.
func TestDissectionAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ahead, start = int64(1e18), int64(7e12)
		n := rapid.IntRange(1, 60).Draw(t, "n")
		m := &result.Messages{}
		p := newPassage(Framing{})
		want, held := 0, 0
		for i := range n {
			parts := [3]int64{}
			for k := range parts {
				parts[k] = rapid.Int64Range(0, 5e6).Draw(t, "part")
			}
			planned := int64(i) * 1e6
			delay := parts[0] + parts[1] + parts[2]
			sent, door := ahead+start+planned+parts[0], ahead+start+planned+parts[0]+parts[1]
			switch rapid.IntRange(0, 5).Draw(t, "fate") {
			case 0:
				delay, door = -1, 0
			case 1:
				door = 0
			default:
				want++
				if parts[2] > 1e6 {
					held++
				}
			}
			m.PlannedNS, m.DelayNS = append(m.PlannedNS, planned), append(m.DelayNS, delay)
			p.out.at(int64(i), sent)
			p.in.times = append(p.in.times, door)
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
			sum := m.WaitingNS[i] + m.CrossingNS[i] + m.HeldNS[i]
			if sum != delay && sum != 3*unknown {
				t.Fatalf("message %d: the parts are %d, the delay is %d", i, sum, delay)
			}
			if sum == delay && delay >= 0 && min(m.WaitingNS[i], m.CrossingNS[i], m.HeldNS[i]) < 0 {
				t.Fatalf("message %d has a negative part", i)
			}
		}
		for i := range len(a.Slowest) - 1 {
			if x, y := a.Slowest[i], a.Slowest[i+1]; x.WaitingNS+x.CrossingNS+x.HeldNS < y.WaitingNS+y.CrossingNS+y.HeldNS {
				t.Fatalf("message %d is slower than %d before it", y.Number, x.Number)
			}
		}
		s := &result.Stall{Held: new(int64)}
		if !Stall(s, m, a, int64(want)) || *s.Held != int64(held) || !s.Exact {
			t.Fatalf("%d are held, want %d", *s.Held, held)
		}
		for _, run := range m.Held {
			for i := run[0]; i <= run[1]; i++ {
				held--
				if m.HeldNS[i] <= ledger.HeldMin {
					t.Fatalf("message %d is listed, and waited for %d ns", i, m.HeldNS[i])
				}
			}
		}
		if held != 0 {
			t.Fatalf("%d held messages are not listed", held)
		}
		if Stall(s, m, a, int64(want)+1) {
			t.Fatal("exact, though one message is not known")
		}
	})
}
