package emulator

import "encoding/binary"

// Offsets and values of the protocols a frame is read by.
const (
	ethernetHeader = 14
	etherIPv4      = 0x0800
	etherIPv6      = 0x86dd
	protoTCP       = 6
	protoUDP       = 17
	protoFragment  = 44 // IPv6 fragment header
	ipv6Header     = 40
)

// offload is struct virtio_net_hdr (include/uapi/linux/virtio_net.h): what a
// host left to its device. The lab's hosts leave the transport checksum and
// the cutting of up to 64 KiB into segments, as hosts with real devices do.
type offload struct {
	flags      uint8
	gsoType    uint8
	headerLen  uint16
	gsoSize    uint16
	csumStart  uint16
	csumOffset uint16
}

const (
	offloadSize   = 10
	needsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDP   = 5    // VIRTIO_NET_HDR_GSO_UDP_L4
	gsoECN   = 0x80 // a flag beside the type
)

func parseOffload(b []byte) offload {
	return offload{
		flags:      b[0],
		gsoType:    b[1],
		headerLen:  binary.NativeEndian.Uint16(b[2:]),
		gsoSize:    binary.NativeEndian.Uint16(b[4:]),
		csumStart:  binary.NativeEndian.Uint16(b[6:]),
		csumOffset: binary.NativeEndian.Uint16(b[8:]),
	}
}

func (o offload) put(b []byte) {
	b[0], b[1] = o.flags, o.gsoType
	binary.NativeEndian.PutUint16(b[2:], o.headerLen)
	binary.NativeEndian.PutUint16(b[4:], o.gsoSize)
	binary.NativeEndian.PutUint16(b[6:], o.csumStart)
	binary.NativeEndian.PutUint16(b[8:], o.csumOffset)
}

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

// parse reads frame's headers. A frame that is not what its offload says is a
// train of one, to be passed on as it is.
func parse(off offload, frame []byte) train {
	t := train{off: off, frame: frame, header: len(frame), count: 1}
	if len(frame) < ethernetHeader {
		return t
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherIPv4:
		if len(frame) >= ethernetHeader+20 {
			t.network = ethernetHeader
		}
	case etherIPv6:
		if len(frame) >= ethernetHeader+ipv6Header {
			t.network, t.ipv6 = ethernetHeader, true
		}
	}
	if t.network == 0 || off.gsoType == gsoNone || off.gsoSize == 0 {
		return t
	}
	transport := int(off.csumStart)
	header := transport
	switch off.gsoType &^ gsoECN {
	case gsoTCPv4, gsoTCPv6:
		if len(frame) < transport+20 {
			return t
		}
		header += int(frame[transport+12]>>4) * 4
	case gsoUDP:
		header += 8
	default:
		return t
	}
	if transport < t.network+20 || header >= len(frame) {
		return t
	}
	t.header, t.size = header, int(off.gsoSize)
	t.count = (len(frame) - header + t.size - 1) / t.size
	return t
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
	if ip[6] != protoFragment || len(ip) < ipv6Header+8 {
		return key, false, false
	}
	ext := ip[ipv6Header:]
	copy(key.addresses[:], ip[8:40])
	key.id = binary.BigEndian.Uint32(ext[4:])
	key.proto = ext[0]
	return key, ext[3]&1 == 0, true
}

// slice makes packets [first, first+n) of the train ready to go: head gets
// their offload and headers, and payload is their part of the frame. head
// must hold offloadSize and the train's headers.
func (t *train) slice(first, n int, head []byte) (headed, payload []byte) {
	off := t.off
	if t.count == 1 || n == t.count {
		off.put(head)
		return head[:offloadSize], t.frame
	}
	from := t.header + first*t.size
	to := min(from+n*t.size, len(t.frame))
	payload = t.frame[from:to]
	if n == 1 {
		off.gsoType, off.gsoSize = gsoNone, 0
	}
	off.put(head)
	h := head[offloadSize : offloadSize+t.header]
	copy(h, t.frame[:t.header])
	transport := int(off.csumStart)
	length := len(payload) + t.header - transport // of transport header and payload
	ip := h[t.network:]
	if t.ipv6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(t.header-t.network-ipv6Header+len(payload)))
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(t.header-t.network+len(payload)))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(first))
		ipv4Checksum(ip)
	}
	seg := h[transport:]
	proto := uint8(protoTCP)
	if off.gsoType&^gsoECN == gsoUDP || t.off.gsoType&^gsoECN == gsoUDP {
		proto = protoUDP
		binary.BigEndian.PutUint16(seg[4:], uint16(length))
	} else {
		binary.BigEndian.PutUint32(seg[4:], binary.BigEndian.Uint32(seg[4:])+uint32(first*t.size))
		const fin, push, cwr = 0x01, 0x08, 0x80
		if first+n < t.count {
			seg[13] &^= fin | push
		}
		if first > 0 {
			seg[13] &^= cwr
		}
	}
	// With the checksum left to the device, its field holds the sum of the
	// pseudo-header alone, not complemented.
	at := transport + int(off.csumOffset)
	binary.BigEndian.PutUint16(h[at:], fold(t.pseudoHeader(ip, proto, length)))
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
	sum := ^fold(sumBytes(0, dst[start:]))
	if sum == 0 && int(t.off.csumOffset) == 6 { // UDP: 0 means that there is none (RFC 768)
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(dst[at:], sum)
	return dst
}

// maxHeader bounds Ethernet, IP and transport headers of a train of several.
const maxHeader = 256

// pseudoHeader is the sum of RFC 9293 §3.1's pseudo-header.
func (t *train) pseudoHeader(ip []byte, proto uint8, length int) uint32 {
	sum := uint32(proto) + uint32(length)
	if t.ipv6 {
		return sumBytes(sum, ip[8:40])
	}
	return sumBytes(sum, ip[12:20])
}

func ipv4Checksum(ip []byte) {
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^fold(sumBytes(0, ip[:int(ip[0]&15)*4])))
}

// sumBytes adds b to a one's complement sum (RFC 1071).
func sumBytes(sum uint32, b []byte) uint32 {
	wide := uint64(sum)
	for len(b) >= 4 {
		wide += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		wide += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		wide += uint64(b[0]) << 8
	}
	for wide>>32 != 0 {
		wide = wide&0xffffffff + wide>>32
	}
	return uint32(wide)
}

func fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
