package emulator

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func parsed(t *rapid.T, f *flow) train {
	off, frame := f.frame(0, f.count(), false)
	got := parse(off, frame)
	if got.count != f.count() || got.stray() {
		t.Fatalf("%+v is a train of %d, stray %v: want %d", off, got.count, got.stray(), f.count())
	}
	return got
}

// TestSlices: any slice of a train is, to the bit, the frame that the host
// would have handed over had it sent these packets alone.
func TestSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := flows(45).Draw(t, "flow")
		tr := parsed(t, f)
		before := bytes.Clone(tr.frame)
		wires := f.wires()
		var head [offloadSize + maxHeader]byte
		for first := 0; first < tr.count; {
			n := rapid.IntRange(1, tr.count-first).Draw(t, "n")
			headed, payload := tr.slice(first, n, head[:])
			off, frame := parseOffload(headed), append(bytes.Clone(headed[offloadSize:]), payload...)
			wantOff, want := f.frame(first, n, false)
			if n < tr.count {
				wantOff.headerLen -= f.headroom // all of it must be in the slice
			}
			if off != wantOff {
				t.Fatalf("packets %d+%d of %d: %+v, want %+v", first, n, tr.count, off, wantOff)
			}
			if int(off.headerLen) > len(frame) && n < tr.count {
				t.Fatalf("packets %d+%d: a header of %d in a frame of %d", first, n, off.headerLen, len(frame))
			}
			if !bytes.Equal(frame, want) {
				t.Fatalf("packets %d+%d of %d:\n got %x\nwant %x", first, n, tr.count, frame, want)
			}
			// The second witness: what a device makes of it.
			for i, p := range cut(off, frame) {
				if !bytes.Equal(p, wires[first+i]) {
					t.Fatalf("packet %d, in a slice from %d:\n got %x\nwant %x", first+i, first, p, wires[first+i])
				}
			}
			// A slice is a train again.
			if again := parse(off, frame); again.count != n {
				t.Fatalf("a slice of %d is a train of %d", n, again.count)
			}
			first += n
		}
		if !bytes.Equal(tr.frame, before) {
			t.Fatal("slicing changed the train")
		}
	})
}

// TestWire: the packets of a train, finished.
func TestWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := flows(45).Draw(t, "flow")
		tr := parsed(t, f)
		dst := make([]byte, frameSize)
		total := 0
		for i, want := range f.wires() {
			got := tr.wire(i, dst)
			if err := f.verify(got); err != nil {
				t.Fatalf("packet %d of %d: %v: %x", i, tr.count, err, got)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("packet %d of %d:\n got %x\nwant %x", i, tr.count, got, want)
			}
			if tr.length(i) != len(want) {
				t.Fatalf("packet %d of %d: length %d, want %d", i, tr.count, tr.length(i), len(want))
			}
			total += len(want)
			// A finished packet is left as it is.
			single := parse(offload{}, want)
			if got := single.wire(0, dst); !bytes.Equal(got, want) || single.length(0) != len(want) {
				t.Fatalf("packet %d, finished:\n got %x\nwant %x", i, got, want)
			}
		}
		if want := len(f.payload) + tr.count*(len(tr.frame)-len(f.payload)); total != want {
			t.Fatalf("%d bytes on the wire, want %d", total, want)
		}
	})
}

// TestZeroChecksum: a UDP checksum that comes out as 0 is sent as 0xffff, for 0
// says that there is none. TCP has no such rule.
func TestZeroChecksum(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, udp := range []bool{false, true} {
			const size = 4
			f := &flow{v6: v6, udp: udp, size: size, payload: []byte{0, 0, 1, 2, 0, 0, 3, 4}}
			want, before := uint16(0), size+4 // the urgent pointer is between
			if udp {
				want, before = 0xffff, size+2
			}
			checksum := func(packet []byte) uint16 { return binary.BigEndian.Uint16(packet[len(packet)-before:]) }
			for i, packet := range f.wires() {
				// With its own checksum in the payload a packet's sum is all ones.
				binary.BigEndian.PutUint16(f.payload[i*size:], checksum(packet))
			}
			tr := parse(f.frame(0, f.count(), false))
			for i := range f.count() {
				got := tr.wire(i, make([]byte, 200))
				if sum := checksum(got); sum != want {
					t.Errorf("IPv6 %v, UDP %v, packet %d: checksum %#04x, want %#04x", v6, udp, i, sum, want)
				}
				if err := f.verify(got); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestNoTrain: what contradicts its offload is one packet and goes on as it is.
func TestNoTrain(t *testing.T) {
	f := &flow{size: 100, payload: make([]byte, 1000)}
	off, frame := f.frame(0, 10, false)
	f6 := &flow{v6: true, size: 100, payload: make([]byte, 1000)}
	off6, frame6 := f6.frame(0, 10, false)
	long := &flow{v6: true, next: 60, size: 100, payload: make([]byte, 1000)}
	long.ipOptions = append([]byte{6, 31, 1, 252}, make([]byte, 252)...)
	offLong, frameLong := long.frame(0, 10, false)
	with := func(frame []byte, at int, b byte) []byte {
		frame = bytes.Clone(frame)
		frame[at] = b
		return frame
	}
	change := func(o offload, change func(*offload)) offload {
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		off   offload
		frame []byte
	}{
		"empty":                      {off, nil},
		"half an Ethernet header":    {off, frame[:7]},
		"Ethernet alone":             {off, frame[:14]},
		"half an IPv4 header":        {off, frame[:33]},
		"half an IPv6 header":        {off6, frame6[:53]},
		"half a TCP header":          {off, frame[:53]},
		"no payload":                 {off, frame[:54]},
		"no checksum left":           {change(off, func(o *offload) { o.flags = 0 }), frame},
		"no size":                    {change(off, func(o *offload) { o.gsoSize = 0 }), frame},
		"not to be cut":              {change(off, func(o *offload) { o.gsoType = gsoNone }), frame},
		"UFO":                        {change(off, func(o *offload) { o.gsoType = 3 }), frame},
		"unknown type":               {change(off, func(o *offload) { o.gsoType = 0x45 }), frame},
		"UDP with CWR":               {change(off, func(o *offload) { o.gsoType, o.csumOffset = gsoUDP|gsoECN, 6 }), frame},
		"TCPv6 over IPv4":            {change(off, func(o *offload) { o.gsoType = gsoTCPv6 }), frame},
		"TCPv4 over IPv6":            {change(off6, func(o *offload) { o.gsoType = gsoTCPv4 }), frame6},
		"UDP with TCP's checksum":    {change(off, func(o *offload) { o.gsoType = gsoUDP }), frame},
		"checksum elsewhere":         {change(off, func(o *offload) { o.csumOffset = 60000 }), frame},
		"transport before IP":        {change(off, func(o *offload) { o.csumStart = 3 }), frame},
		"transport within IPv4":      {change(off, func(o *offload) { o.csumStart = 30 }), frame},
		"transport within IPv6":      {change(off6, func(o *offload) { o.csumStart = 40 }), frame6},
		"transport behind all":       {change(off, func(o *offload) { o.csumStart = 65535 }), frame},
		"IPv4 header too short":      {off, with(frame, 14, 0x44)},
		"IPv4 header too long":       {off, with(frame, 14, 0x4f)},
		"TCP header too short":       {off, with(frame, 14+20+12, 0x40)},
		"TCP header beyond all":      {off, with(frame[:14+20+30], 14+20+12, 0xf0)},
		"headers longer than we can": {offLong, frameLong},
	} {
		tr := parse(c.off, c.frame)
		headed, payload := tr.slice(0, tr.count, make([]byte, offloadSize))
		if tr.count != 1 || parseOffload(headed) != c.off || !bytes.Equal(payload, c.frame) || tr.length(0) != len(c.frame) {
			t.Errorf("%s: a train of %d, %+v", name, tr.count, parseOffload(headed))
		}
	}
}

func TestStrays(t *testing.T) {
	f := &flow{v6: true, udp: true, size: 100, payload: make([]byte, 100)}
	_, frame := f.frame(0, 1, true)
	for name, c := range map[string]struct {
		frame []byte
		stray bool
	}{
		"a packet":            {frame, false},
		"to a group":          {append([]byte{0x33, 0x33}, frame[2:]...), true},
		"ARP":                 {append(append(bytes.Clone(frame[:12]), 0x08, 0x06), frame[14:]...), true},
		"nothing":             {nil, true},
		"Ethernet alone":      {frame[:14], true},
		"not a whole address": {frame[:3], true},
	} {
		tr := parse(offload{}, c.frame)
		if tr.stray() != c.stray {
			t.Errorf("%s: stray %v", name, tr.stray())
		}
	}
}

// TestOffloadIsVirtios: ten bytes there and back.
func TestOffloadIsVirtios(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), offloadSize, offloadSize).Draw(t, "bytes")
		again := make([]byte, offloadSize)
		parseOffload(b).put(again)
		if !bytes.Equal(b, again) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// TestSum16 against the word-by-word sum: equal as one's complement numbers,
// of which 0 has two forms.
func TestSum16(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0, 255})), 0, 70).Draw(t, "bytes")
		if got, want := sum16(b), onesComplement(0, b); got%0xffff != want%0xffff || got == 0 != (want == 0) {
			t.Fatalf("%x, want %x", got, want)
		}
		was, is := rapid.Uint16().Draw(t, "was"), rapid.Uint16().Draw(t, "is")
		words := func(a, b uint16) []byte { return []byte{byte(a >> 8), byte(a), byte(b >> 8), byte(b)} }
		other := rapid.Uint16().Draw(t, "other")
		if got, want := replace(sum16(words(other, was)), was, is), sum16(words(other, is)); got%0xffff != want%0xffff {
			t.Fatalf("%#x for %#x beside %#x: %#x, want %#x", is, was, other, got, want)
		}
	})
}

// TestDamage: the flips that no checksum of the receiving host finds, and those
// that let it take the packet's data all the same. What does no harm was seen
// on Linux 6.18, each bit of a packet of UDP flipped in turn.
func TestDamage(t *testing.T) {
	for _, udp := range []bool{false, true} {
		for _, v6 := range []bool{false, true} {
			f := &flow{v6: v6, udp: udp, size: 50, payload: []byte("a message")}
			headers := 54
			if !v6 {
				f.ipOptions = []byte{1, 1, 1, 1}
				headers = 38
			}
			_, packet := f.frame(0, 1, true)
			harmless := map[int]byte{}
			if udp {
				harmless[0] = 1
			}
			for at := 6; at < 12; at++ {
				harmless[at] = 0xff
			}
			if v6 {
				harmless[14], harmless[15], harmless[16], harmless[17], harmless[21] = 0x0f, 0xff, 0xff, 0xff, 0xff
			}
			tr := parse(offload{}, packet)
			for at := range packet {
				for bit := range 8 {
					mask := byte(1) << bit
					want := discarded
					if harmless[at]&mask != 0 {
						want = none
					} else if at >= headers || v6 && (at == 18 || at == 19) {
						want = hidden
					}
					if got := tr.damage(at, mask); got != want {
						t.Errorf("UDP %v, IPv6 %v: bit %d of byte %d: %v, want %v", udp, v6, bit, at, got, want)
					}
					if want == none { // then it must at least verify
						flipped := bytes.Clone(packet)
						flipped[at] ^= mask
						if err := f.verify(flipped); err != nil {
							t.Errorf("bit %d of byte %d: %v", bit, at, err)
						}
					}
				}
			}
		}
	}
}

// FuzzParse: whatever comes with whatever offload, nothing reads or writes
// beyond its buffers, and what goes out is what came in.
func FuzzParse(f *testing.F) {
	for _, fl := range []*flow{
		{size: 100, payload: make([]byte, 1000)},
		{udp: true, size: 1, payload: make([]byte, 3)},
		{v6: true, next: 60, ipOptions: []byte{6, 0, 1, 4, 0, 0, 0, 0}, size: 100, payload: make([]byte, 250)},
		{v6: true, udp: true, size: 100, payload: make([]byte, 100)},
		{v6: true, udp: true, next: 44, ipOptions: []byte{17, 0, 0, 1, 1, 2, 3, 4}, size: 100, payload: make([]byte, 100)},
		{ipOptions: []byte{1, 1, 1, 1}, tcpOptions: []byte{1, 1, 1, 1}, size: 536, payload: make([]byte, 1000)},
	} {
		off, frame := fl.frame(0, fl.count(), false)
		var b [offloadSize]byte
		off.put(b[:])
		f.Add(b[:], frame)
		f.Add(b[:], frame[:len(frame)/2])
		f.Add(b[:], frame[:40])
	}
	f.Fuzz(func(t *testing.T, header, frame []byte) {
		if len(header) < offloadSize || len(frame) > frameSize {
			return
		}
		off := parseOffload(header)
		before := bytes.Clone(frame)
		frame = frame[:len(frame):len(frame)]
		tr := parse(off, frame)
		if tr.count < 1 || tr.count > max(1, len(frame)) || tr.count > 1 && tr.header > maxHeader {
			t.Fatalf("%+v", tr)
		}
		if !tr.stray() {
			tr.fragment()
			for at := range frame {
				tr.damage(at, 1)
			}
		}
		// Canaries around what may be written to.
		headRoom := offloadSize
		if tr.count > 1 {
			headRoom += tr.header
		}
		head := bytes.Repeat([]byte{0xa5}, headRoom+8)
		dst := bytes.Repeat([]byte{0xa5}, len(frame)+8)
		step := max(1, tr.count/50)
		for i := 0; i < tr.count; i += step {
			for _, n := range []int{1, 2, tr.count - i} {
				if i+n > tr.count {
					continue
				}
				headed, payload := tr.slice(i, n, head[:headRoom:headRoom])
				length := 0
				for k := i; k < i+n; k++ {
					length += tr.length(k)
				}
				if n > 1 { // headers once
					length -= (n - 1) * tr.header
				}
				if len(headed)-offloadSize+len(payload) != length {
					t.Fatalf("packets %d+%d of %d: %d and %d bytes, want %d", i, n, tr.count, len(headed), len(payload), length)
				}
			}
			if w := tr.wire(i, dst[:len(frame):len(frame)]); len(w) != tr.length(i) {
				t.Fatalf("packet %d: %d bytes, want %d", i, len(w), tr.length(i))
			}
		}
		if !bytes.Equal(head[headRoom:], bytes.Repeat([]byte{0xa5}, 8)) || !bytes.Equal(dst[len(frame):], bytes.Repeat([]byte{0xa5}, 8)) {
			t.Fatal("written out of range")
		}
		if !bytes.Equal(frame, before) {
			t.Fatal("the frame was changed")
		}
	})
}
