package emulator

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestFramePackets: a frame that a host hands over in one piece is, packet by
// packet, what the host would have put on a wire itself.
func TestFramePackets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := flows(12).Draw(t, "flow")
		off, frame := f.frame(0, f.count(), false)
		var before [OffloadSize]byte
		off.put(before[:])
		at := NewFrame(before[:], frame)
		if at.Packets() != f.count() {
			t.Fatalf("%d packets, want %d", at.Packets(), f.count())
		}
		for i := range f.count() {
			_, want := f.frame(i, 1, true)
			got := at.Packet(i, []byte("before"))
			if !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Fatalf("packet %d is\n%x, want\n%x", i, got[6:], want)
			}
			if f.plain() {
				whole := NewFrame(make([]byte, OffloadSize), got[6:])
				if !whole.Intact() {
					t.Fatalf("packet %d is not intact", i)
				}
			}
		}
	})
}

// TestDamageIsSeen: one flipped bit behind the Ethernet header is found, but in
// those fields of IPv6's header that no checksum covers.
func TestDamageIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := flows(12).Draw(t, "flow")
		if !f.plain() {
			return
		}
		_, frame := f.frame(0, 1, true)
		at := rapid.IntRange(ethernetHeader, len(frame)-1).Draw(t, "byte")
		in := at - ethernetHeader
		if in == 0 || f.v6 && (in <= 5 || in == 7) {
			return // or that say where the rest stands
		}
		frame[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if sum := len(frame) - len(f.payload[:min(f.size, len(f.payload))]) - 2; f.udp && frame[sum] == 0 && frame[sum+1] == 0 {
			return // it has become one without a checksum
		}
		if whole := NewFrame(make([]byte, OffloadSize), frame); whole.Intact() {
			t.Fatalf("byte %d is damaged, and nobody sees it", at)
		}
	})
}

// plain says that the transport's header stands right behind IP's.
func (f *flow) plain() bool { return !f.v6 || len(f.ipOptions) == 0 }
