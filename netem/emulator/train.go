package emulator

import "encoding/binary"

// Offsets and values of the protocols a frame is read by.
const (
	ethernetHeader = 14
	etherIPv4      = 0x0800
	etherIPv6      = 0x86dd
	ipv4Header     = 20 // without options
	ipv6Header     = 40
	tcpHeader      = 20 // without options
	udpHeader      = 8
	tcpChecksum    = 16 // offset in the header
	udpChecksum    = 6

	protoTCP = 6
	protoUDP = 17
	// IPv6 extension headers that may stand before a fragment header.
	protoHopByHop    = 0
	protoRouting     = 43
	protoFragment    = 44
	protoDestination = 60
)

// train is a frame as a host handed it to its device: one packet, or the
// headers and the joined payloads of several that the device would have cut
// apart. The path decides on each of its packets and keeps the train whole
// otherwise: what goes on is a slice of it.
type train struct {
	off     offload
	frame   []byte // from the Ethernet header
	network int    // offset of the IP header; 0 where there is none
	header  int    // length of everything before the payload that is cut
	size    int    // payload of each packet but the last, bytes
	count   int    // packets
	ipv6    bool
}

// maxHeader bounds Ethernet, IP and transport headers of a train of several.
const maxHeader = 256

// parse reads frame's headers. A frame that is not what its offload says is a
// train of one, to be passed on as it is.
func parse(off offload, frame []byte) train {
	t := train{off: off, frame: frame, header: len(frame), count: 1}
	if len(frame) < ethernetHeader {
		return t
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherIPv4:
		if len(frame) >= ethernetHeader+ipv4Header {
			t.network = ethernetHeader
		}
	case etherIPv6:
		if len(frame) >= ethernetHeader+ipv6Header {
			t.network, t.ipv6 = ethernetHeader, true
		}
	}
	if t.network == 0 {
		return t
	}
	if header := t.headers(); header > 0 && header < len(frame) {
		t.header, t.size = header, int(off.gsoSize)
		t.count = (len(frame) - header + t.size - 1) / t.size
	}
	return t
}

// headers is the length of the headers that each packet of the train gets; 0
// if the frame is no train of several. Where the transport header begins, the
// offload says, so that nothing before it has to be understood.
func (t *train) headers() int {
	off := &t.off
	if off.flags&needsChecksum == 0 || off.gsoSize == 0 {
		return 0
	}
	transport := int(off.csumStart)
	if t.ipv6 {
		if transport < t.network+ipv6Header {
			return 0
		}
	} else if n := int(t.frame[t.network]&15) * 4; n < ipv4Header || transport != t.network+n {
		return 0
	}
	header := 0
	switch kind := off.gsoType &^ gsoECN; {
	case kind == gsoTCPv4 && !t.ipv6, kind == gsoTCPv6 && t.ipv6:
		if off.csumOffset != tcpChecksum || len(t.frame) < transport+tcpHeader {
			return 0
		}
		n := int(t.frame[transport+12]>>4) * 4
		if n < tcpHeader {
			return 0
		}
		header = transport + n
	case off.gsoType == gsoUDP:
		if off.csumOffset != udpChecksum {
			return 0
		}
		header = transport + udpHeader
	}
	if header > maxHeader {
		return 0
	}
	return header
}

// stray says whether the frame is link-local traffic rather than a packet of
// the path: not IP, or for a group of stations (neighbour discovery, group
// membership). Strays pass untouched, so that they cannot shift the draws.
func (t *train) stray() bool {
	return t.network == 0 || t.frame[0]&1 != 0
}

// length is packet i's length on the wire, Ethernet header included.
func (t *train) length(i int) int {
	if t.count == 1 {
		return len(t.frame)
	}
	if i < t.count-1 {
		return t.header + t.size
	}
	return len(t.frame) - (t.count-1)*t.size
}

// fragment describes the packet's place in a fragmented datagram; ok is false
// for a whole one. RFC 791 §3.1, RFC 8200 §4.5.
func (t *train) fragment() (key datagramKey, last, ok bool) {
	ip := t.frame[t.network:]
	if !t.ipv6 {
		place := binary.BigEndian.Uint16(ip[6:])
		more, offset := place&0x2000 != 0, place&0x1fff
		if !more && offset == 0 {
			return key, false, false
		}
		copy(key.addresses[:], ip[12:20])
		key.id = uint32(binary.BigEndian.Uint16(ip[4:]))
		key.proto = ip[9]
		return key, !more, true
	}
	next, at := ip[6], ipv6Header
	for len(ip) >= at+8 {
		switch next {
		case protoHopByHop, protoRouting, protoDestination:
			next, at = ip[at], at+8+8*int(ip[at+1])
		case protoFragment:
			copy(key.addresses[:], ip[8:40])
			key.id = binary.BigEndian.Uint32(ip[at+4:])
			return key, ip[at+3]&1 == 0, true
		default:
			return key, false, false
		}
	}
	return key, false, false
}

// slice makes packets [first, first+n) of the train ready to go: head gets
// their offload and headers, and payload is their part of the frame. head
// must hold offloadSize and the train's headers.
func (t *train) slice(first, n int, head []byte) (headed, payload []byte) {
	off := t.off
	if n == t.count {
		off.put(head)
		return head[:offloadSize], t.frame
	}
	from := t.header + first*t.size
	payload = t.frame[from:min(from+n*t.size, len(t.frame))]
	// What was said of the whole train's headers may be more than all of the
	// slice, and the kernel refuses that (packet_snd).
	off.headerLen = uint16(t.header)
	if n == 1 {
		off.gsoType, off.gsoSize = gsoNone, 0
	} else if first > 0 {
		off.gsoType &^= gsoECN
	}
	off.put(head)

	transport := int(off.csumStart)
	h := head[offloadSize : offloadSize+t.header]
	copy(h, t.frame[:t.header])
	ip, segment := h[t.network:transport], h[transport:]
	length := len(segment) + len(payload)
	if t.ipv6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-ipv6Header+length))
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+length))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(first))
		checksumIPv4(ip)
	}
	if t.off.gsoType == gsoUDP {
		binary.BigEndian.PutUint16(segment[4:], uint16(length))
	} else {
		binary.BigEndian.PutUint32(segment[4:], binary.BigEndian.Uint32(segment[4:])+uint32(first*t.size))
		const fin, push, cwr = 0x01, 0x08, 0x80
		if first+n < t.count {
			segment[13] &^= fin | push
		}
		if first > 0 {
			segment[13] &^= cwr
		}
	}
	// With the checksum left to the device, its field holds the sum of the
	// pseudo-header alone, not complemented. Of that only the length changes.
	sum := segment[off.csumOffset:]
	whole := len(t.frame) - transport
	binary.BigEndian.PutUint16(sum, replace(binary.BigEndian.Uint16(sum), uint16(whole), uint16(length)))
	return head[:offloadSize+t.header], payload
}

// wire writes packet i of the train into dst as it would be on a wire: whole,
// its checksum filled in. It returns the packet's bytes.
func (t *train) wire(i int, dst []byte) []byte {
	var head [offloadSize + maxHeader]byte
	headed, payload := t.slice(i, 1, head[:])
	n := copy(dst, headed[offloadSize:])
	n += copy(dst[n:], payload)
	dst = dst[:n]
	if t.off.flags&needsChecksum == 0 {
		return dst
	}
	start, at := int(t.off.csumStart), int(t.off.csumStart)+int(t.off.csumOffset)
	if at+2 > len(dst) {
		return dst
	}
	sum := ^sum16(dst[start:])
	if sum == 0 && t.off.csumOffset == udpChecksum { // UDP: 0 means that there is none (RFC 768)
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(dst[at:], sum)
	return dst
}

// damage is what flipped bits in a packet are to the host that receives it.
type damage uint8

const (
	none      damage = iota // it takes the packet as if nothing had happened
	discarded               // it throws the packet away for its headers
	hidden                  // it finds out by the transport's checksum, once a datagram is whole
)

// damage says what flipping the bits of mask in byte at does to a packet of the
// train. No checksum covers the Ethernet header, nor some fields of IPv6's.
func (t *train) damage(at int, mask byte) damage {
	const group = 1 // the bit of an Ethernet address that addresses many
	ip := t.frame[t.network:]
	switch {
	case at == 0 && mask == group: // a host takes what is for many; its TCP does not
		if t.ipv6 && ip[6] != protoTCP || !t.ipv6 && ip[9] != protoTCP {
			return none
		}
		return discarded
	case at >= 6 && at < 12: // the sender's address
		return none
	case at < t.network:
		return discarded
	case !t.ipv6:
		if at < t.network+int(ip[0]&15)*4 {
			return discarded
		}
		return hidden
	}
	switch at -= t.network; {
	case at == 0: // version, half of the traffic class
		if mask&0xf0 == 0 {
			return none
		}
		return discarded
	case at < 4, at == 7: // traffic class, flow label, hop limit
		return none
	case at < ipv6Header && at != 4 && at != 5: // all but the length
		return discarded
	}
	return hidden
}
