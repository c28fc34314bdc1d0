package emulator

import (
	"encoding/binary"
	"net"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"netcmp/netem"
	"netcmp/result"
)

// routed is frame as a router sends it on.
func routed(frame []byte, near, far net.HardwareAddr) []byte {
	out := append([]byte{}, frame...)
	copy(out, far)
	copy(out[6:], near)
	out[ethernetHeader+8]-- // time to live
	checksumIPv4(out[ethernetHeader : ethernetHeader+ipv4Header])
	return out
}

// TestWitness: whatever becomes of the packets, every one is accounted for, and
// those that a path hands on unharmed are known again.
func TestWitness(t *testing.T) {
	near, far := net.HardwareAddr{2, 'n', 'c', 0, 1, 2}, net.HardwareAddr{2, 'n', 'c', 0, 0, 2}
	rapid.Check(t, func(t *rapid.T) {
		delay := int64(50e6)
		i, err := netem.Parse("delay 50ms limit 100")
		if err != nil {
			t.Fatal(err)
		}
		p := newPassage(i, near, far)
		var want Passage
		var intactN, lostN int64
		var line []struct {
			due   int64
			frame []byte
		}
		now := int64(1e9)
		letGo := func(until int64) {
			for len(line) > 0 && line[0].due <= until {
				p.leave(line[0].frame)
				line = line[1:]
			}
		}
		n := rapid.IntRange(1, 300).Draw(t, "packets")
		for k := range n {
			now += int64(rapid.IntRange(0, 20).Draw(t, "gap")) * 1e6
			letGo(now)
			f := &flow{udp: true, id: uint16(k), size: 100, payload: make([]byte, 100)}
			binary.BigEndian.PutUint32(f.payload, uint32(rapid.IntRange(0, n).Draw(t, "number")))
			_, frame := f.frame(0, 1, true)
			p.enter(now, frame)
			want.Packets++
			want.Bytes += int64(len(frame))
			out := routed(frame, near, far)
			add := func(b []byte) {
				line = append(line, struct {
					due   int64
					frame []byte
				}{now + delay, b})
				want.Left++
			}
			switch rapid.IntRange(0, 5).Draw(t, "fate") {
			case 0:
				lostN++
			case 1:
				out[rapid.IntRange(0, len(out)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				add(out)
				want.Corrupted++
			case 2:
				add(out)
				add(append([]byte{}, out...))
				intactN++
			default:
				add(out)
				intactN++
			}
			if rapid.IntRange(0, 40).Draw(t, "pause") == 0 {
				now += p.hold + 1
			}
		}
		letGo(now + delay)
		got := p.tally()
		want.NeverFull = got.NeverFull
		want.Datagrams = result.Datagrams{Entered: want.Packets, Intact: intactN, Lost: lostN, Corrupted: want.Packets - intactN - lostN}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

// TestWitnessMark: a packet that is told of congestion is the same packet.
func TestWitnessMark(t *testing.T) {
	near, far := net.HardwareAddr{2, 'n', 'c', 0, 1, 2}, net.HardwareAddr{2, 'n', 'c', 0, 0, 2}
	p := newPassage(netem.Impairment{}, near, far)
	f := &flow{udp: true, size: 100, payload: make([]byte, 100)}
	_, frame := f.frame(0, 1, true)
	frame[ethernetHeader+1] |= 0b10
	checksumIPv4(frame[ethernetHeader : ethernetHeader+ipv4Header])
	p.enter(1, frame)
	out := routed(frame, near, far)
	mark(out[ethernetHeader:], false)
	p.leave(out)
	if c := p.tally(); c.Marked != 1 || c.Corrupted != 0 || c.Datagrams.Intact != 1 {
		t.Errorf("%+v", c)
	}
}

// TestWitnessFull: the witness vouches for a queue that cannot have been full,
// and for no other.
func TestWitnessFull(t *testing.T) {
	i, err := netem.Parse("delay 10ms limit 10")
	if err != nil {
		t.Fatal(err)
	}
	for gap, never := range map[int64]bool{2e6: true, 1_100_000: true, 900_000: false} {
		p := newPassage(i, nil, nil)
		for k := range int64(50) {
			f := &flow{udp: true, id: uint16(k), size: 100, payload: make([]byte, 100)}
			_, frame := f.frame(0, 1, true)
			p.enter(1e9+k*gap, frame)
		}
		if got := p.tally().NeverFull; got != never {
			t.Errorf("a packet each %d ns: %v", gap, got)
		}
	}
}
