package emulator

import (
	"testing"

	"netcmp/netem"
)

// A change takes hold of the packets that come from its instant on, counted
// from the first packet of the path, in both directions; what waits keeps its
// due time.
func TestTimeline(t *testing.T) {
	s := new(wireSink)
	up := newDirection(impairment(t, "delay 10ms"), 1, s)
	down := newDirection(impairment(t, ""), 2, new(wireSink))
	newTimeline([]netem.Change{
		{At: 5e6, Path: netem.Path{Up: impairment(t, "delay 10ms loss 100%"), Down: impairment(t, "loss 100%")}},
		{At: 8e6, Path: netem.Path{Up: impairment(t, "delay 1ms"), Down: impairment(t, "")}},
	}, up, down)
	off, frame := onePacket(t)
	const start = 7e9
	for _, at := range []int64{0, 4_999_999, 5_000_000, 7_999_999, 8_000_000} {
		up.admit(start+at, start+at, off, frame)
	}
	down.admit(start+9e6, start+9e6, off, frame)
	if c := up.tally(); c.Packets != 5 || c.Lost != 2 || c.InFlight != 3 {
		t.Errorf("up: %+v", c)
	}
	if c := down.tally(); c.Delivered != 1 {
		t.Errorf("down: %+v", c)
	}
	for _, x := range []struct {
		at   int64
		left int
	}{{8_999_999, 0}, {9_000_000, 1}, {10_000_000, 2}, {14_999_999, 3}} {
		for up.deliver(start + x.at) {
		}
		if len(s.wires) != x.left {
			t.Errorf("%d packets have left at %d ns, want %d", len(s.wires), x.at, x.left)
		}
	}
}

// A packet that tells of ECN is marked where another would have been lost, its
// header's checksum mended.
func TestMark(t *testing.T) {
	for _, capable := range []bool{true, false} {
		s := new(wireSink)
		d := newDirection(impairment(t, "loss 100% ecn"), 1, s)
		off, frame := onePacket(t)
		if capable {
			frame[15] |= 0b10 // it tells of ECN
			checksumIPv4(frame[14:34])
		}
		d.admit(0, 0, off, frame)
		c := d.tally()
		if !capable {
			if c.Lost != 1 || c.Marked != 0 {
				t.Errorf("not capable: %+v", c)
			}
			continue
		}
		if c.Marked != 1 || c.Lost != 0 || len(s.wires) != 1 {
			t.Fatalf("capable: %+v", c)
		}
		if ip := s.wires[0][14:]; ip[1]&0b11 != 0b11 || sum16(ip[:20]) != 0xffff {
			t.Errorf("the packet's header is %x", ip[:20])
		}
	}
}

// onePacket is an IPv4 datagram with a checksum left to the device.
func onePacket(t *testing.T) (offload, []byte) {
	t.Helper()
	f := flow{udp: true, size: 100, payload: make([]byte, 100)}
	return f.frame(0, 1, false)
}
