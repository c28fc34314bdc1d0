package emulator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"pgregory.net/rapid"
)

// What the tests know of packets, apart from the code under test: how to build
// them from their fields, how a device finishes them, and when their checksums
// are right.

// flow is a row of packets of one flow that a host may hand over as one frame.
type flow struct {
	v6, udp    bool
	ipOptions  []byte // IPv4 options or IPv6 extension headers
	next       uint8  // IPv6: the first of the extension headers
	final      []byte // IPv6 with a routing header: the destination in the pseudo-header
	tcpOptions []byte
	flags      uint8 // TCP
	seq        uint32
	id         uint16 // IPv4
	size       int    // payload of a packet
	headroom   uint16 // how much of the payload the host has beside the headers
	payload    []byte
}

var (
	source4, dest4 = netip.MustParseAddr("198.18.0.1").AsSlice(), netip.MustParseAddr("198.18.0.2").AsSlice()
	source6, dest6 = netip.MustParseAddr("2001:2::1").AsSlice(), netip.MustParseAddr("2001:2::2").AsSlice()
)

func (f *flow) count() int { return max(1, (len(f.payload)+f.size-1)/f.size) }

// frame is packets [first, first+n) of the flow as a host would hand them over
// in one frame; whole: with the checksum done.
func (f *flow) frame(first, n int, whole bool) (off offload, frame []byte) {
	isFirst, isLast := first == 0, first+n == f.count()
	payload := f.payload[first*f.size:]
	if !isLast {
		payload = payload[:n*f.size]
	}

	var segment []byte
	checksum := 16
	if f.udp {
		checksum = 6
		segment = binary.BigEndian.AppendUint16(segment, 50000)
		segment = binary.BigEndian.AppendUint16(segment, 9)
		segment = binary.BigEndian.AppendUint16(segment, uint16(8+len(payload)))
		segment = append(segment, 0, 0)
	} else {
		flags := f.flags
		if !isFirst {
			flags &^= 0x80 // CWR
		}
		if !isLast {
			flags &^= 0x09 // FIN, PSH
		}
		segment = binary.BigEndian.AppendUint16(segment, 50000)
		segment = binary.BigEndian.AppendUint16(segment, 443)
		segment = binary.BigEndian.AppendUint32(segment, f.seq+uint32(first*f.size))
		segment = append(segment, 1, 2, 3, 4, byte((20+len(f.tcpOptions))/4<<4), flags, 0xff, 0xff, 0, 0, 0, 0)
		segment = append(segment, f.tcpOptions...)
	}
	segment = append(segment, payload...)
	sum := f.pseudo(len(segment))
	if whole {
		sum = ^onesComplement(sum, segment)
		if f.udp && sum == 0 {
			sum = 0xffff
		}
	}
	binary.BigEndian.PutUint16(segment[checksum:], sum)

	frame = []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	if f.v6 {
		frame = append(frame, 0x86, 0xdd, 0x60, 0, 0, 0)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(f.ipOptions)+len(segment)))
		next := f.proto()
		if len(f.ipOptions) > 0 {
			next = f.next
		}
		frame = append(frame, next, 64)
		frame = append(append(append(frame, source6...), dest6...), f.ipOptions...)
	} else {
		header := 20 + len(f.ipOptions)
		ip := []byte{0x40 | byte(header/4), 0}
		ip = binary.BigEndian.AppendUint16(ip, uint16(header+len(segment)))
		ip = binary.BigEndian.AppendUint16(ip, f.id+uint16(first))
		ip = append(ip, 0x40, 0, 64, f.proto(), 0, 0)
		ip = append(append(append(ip, source4...), dest4...), f.ipOptions...)
		binary.BigEndian.PutUint16(ip[10:], ^onesComplement(0, ip))
		frame = append(append(frame, 0x08, 0x00), ip...)
	}
	if !whole {
		off.flags = needsChecksum
		off.csumStart, off.csumOffset = uint16(len(frame)), uint16(checksum)
		off.headerLen = f.headroom + uint16(len(frame)+len(segment)-len(payload))
		if n > 1 {
			off.gsoSize = uint16(f.size)
			switch {
			case f.udp:
				off.gsoType = gsoUDP
			case f.v6:
				off.gsoType = gsoTCPv6
			default:
				off.gsoType = gsoTCPv4
			}
			if !f.udp && isFirst && f.flags&0x80 != 0 {
				off.gsoType |= gsoECN
			}
		}
	}
	return off, append(frame, segment...)
}

func (f *flow) proto() uint8 {
	if f.udp {
		return 17
	}
	return 6
}

// pseudo is the sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1).
func (f *flow) pseudo(length int) uint16 {
	var h []byte
	if f.v6 {
		to := dest6
		if f.final != nil {
			to = f.final
		}
		h = append(append(h, source6...), to...)
		h = binary.BigEndian.AppendUint32(h, uint32(length))
		h = append(h, 0, 0, 0, f.proto())
	} else {
		h = append(append(h, source4...), dest4...)
		h = append(h, 0, f.proto())
		h = binary.BigEndian.AppendUint16(h, uint16(length))
	}
	return onesComplement(0, h)
}

// wires is every packet of the flow as it is on a wire.
func (f *flow) wires() [][]byte {
	var all [][]byte
	for i := range f.count() {
		_, frame := f.frame(i, 1, true)
		all = append(all, frame)
	}
	return all
}

// onesComplement adds b to sum, a word at a time and each carry at once.
func onesComplement(sum uint16, b []byte) uint16 {
	for i := 0; i < len(b); i += 2 {
		word := int(b[i]) << 8
		if i+1 < len(b) {
			word |= int(b[i+1])
		}
		s := int(sum) + word
		if s > 0xffff {
			s -= 0xffff
		}
		sum = uint16(s)
	}
	return sum
}

// verify says what is wrong with a packet of the flow on the wire, if anything is.
func (f *flow) verify(packet []byte) error {
	ip := packet[14:]
	var segment []byte
	if f.v6 {
		if n := int(binary.BigEndian.Uint16(ip[4:])); n != len(ip)-40 {
			return fmt.Errorf("payload length %d of %d", n, len(ip)-40)
		}
		segment = ip[40+len(f.ipOptions):]
	} else {
		header := int(ip[0]&15) * 4
		if n := int(binary.BigEndian.Uint16(ip[2:])); n != len(ip) {
			return fmt.Errorf("total length %d of %d", n, len(ip))
		}
		if onesComplement(0, ip[:header]) != 0xffff {
			return fmt.Errorf("IPv4 header checksum")
		}
		segment = ip[header:]
	}
	if f.udp {
		if n := int(binary.BigEndian.Uint16(segment[4:])); n != len(segment) {
			return fmt.Errorf("UDP length %d of %d", n, len(segment))
		}
		if segment[6] == 0 && segment[7] == 0 {
			return fmt.Errorf("no UDP checksum")
		}
	}
	if onesComplement(f.pseudo(len(segment)), segment) != 0xffff {
		return fmt.Errorf("transport checksum")
	}
	return nil
}

// cut is what a device makes of a frame: the packets on its wire.
func cut(off offload, frame []byte) [][]byte {
	start := int(off.csumStart)
	if off.gsoType == gsoNone {
		packet := bytes.Clone(frame)
		if off.flags&needsChecksum != 0 {
			finish(packet, start, int(off.csumOffset))
		}
		return [][]byte{packet}
	}
	udp := off.gsoType == gsoUDP
	header := start + 8
	if !udp {
		header = start + int(frame[start+12]>>4)*4
	}
	var packets [][]byte
	was := uint16(len(frame) - start)
	for at := header; at < len(frame); at += int(off.gsoSize) {
		payload := frame[at:min(at+int(off.gsoSize), len(frame))]
		p := append(bytes.Clone(frame[:header]), payload...)
		ip, segment := p[14:], p[start:]
		if p[12] == 0x86 {
			binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
		} else {
			binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
			binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(len(packets)))
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], ^onesComplement(0, ip[:start-14]))
		}
		if udp {
			binary.BigEndian.PutUint16(segment[4:], uint16(len(segment)))
		} else {
			binary.BigEndian.PutUint32(segment[4:], binary.BigEndian.Uint32(segment[4:])+uint32(at-header))
			if at > header {
				segment[13] &^= 0x80
			}
			if at+int(off.gsoSize) < len(frame) {
				segment[13] &^= 0x09
			}
		}
		sum := segment[off.csumOffset:]
		lengths := []byte{^byte(was >> 8), ^byte(was), byte(len(segment) >> 8), byte(len(segment))}
		binary.BigEndian.PutUint16(sum, onesComplement(binary.BigEndian.Uint16(sum), lengths))
		finish(p, start, int(off.csumOffset))
		packets = append(packets, p)
	}
	return packets
}

func finish(packet []byte, start, offset int) {
	sum := ^onesComplement(0, packet[start:])
	if sum == 0 && offset == 6 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(packet[start+offset:], sum)
}

// flows generates flows of up to most packets.
func flows(most int) *rapid.Generator[*flow] {
	return rapid.Custom(func(t *rapid.T) *flow {
		f := &flow{
			v6:       rapid.Bool().Draw(t, "v6"),
			udp:      rapid.Bool().Draw(t, "udp"),
			flags:    rapid.Uint8().Draw(t, "flags"),
			seq:      rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(1<<32-3000, 1<<32-1)).Draw(t, "seq"),
			id:       rapid.OneOf(rapid.Uint16(), rapid.Uint16Range(65530, 65535)).Draw(t, "id"),
			headroom: rapid.SampledFrom([]uint16{0, 0, 100, 60000}).Draw(t, "headroom"),
		}
		if f.v6 {
			switch rapid.IntRange(0, 3).Draw(t, "extension") {
			case 1:
				f.next = 60 // destination options: one of padding
				f.ipOptions = []byte{f.proto(), 0, 1, 4, 0, 0, 0, 0}
			case 2:
				f.next = 43 // a segment routing header on its way to another host
				f.final = netip.MustParseAddr("2001:2::ff").AsSlice()
				f.ipOptions = append([]byte{f.proto(), 2, 4, 1, 0, 0, 0, 0}, f.final...)
			case 3:
				f.next = 0 // hop-by-hop options, then destination options
				f.ipOptions = []byte{60, 0, 1, 4, 0, 0, 0, 0, f.proto(), 0, 1, 4, 0, 0, 0, 0}
			}
		} else {
			f.ipOptions = bytes.Repeat([]byte{1}, 4*rapid.SampledFrom([]int{0, 0, 1, 10}).Draw(t, "IP options"))
		}
		if !f.udp {
			f.tcpOptions = bytes.Repeat([]byte{1}, 4*rapid.SampledFrom([]int{0, 3, 10}).Draw(t, "TCP options"))
		}
		f.size = rapid.OneOf(rapid.IntRange(1, 20), rapid.SampledFrom([]int{536, 1447, 1448, 8948})).Draw(t, "size")
		count := min(rapid.IntRange(1, most).Draw(t, "count"), 65000/f.size)
		length := f.size*count - rapid.IntRange(0, f.size-1).Draw(t, "short by")
		f.payload = make([]byte, length)
		noise := rapid.Uint64().Draw(t, "noise")
		for i := range f.payload {
			noise = noise*6364136223846793005 + 1442695040888963407
			f.payload[i] = byte(noise >> 56)
		}
		return f
	})
}
