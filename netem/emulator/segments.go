package emulator

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// TakesDatagramTrains reports whether packet sockets tell of trains of datagrams
// (UDP_SEGMENT) here: since Linux 6.2 (virtio_net_hdr_from_skb in
// include/linux/virtio_net.h). Before, they drop them (tpacket_rcv): a device that
// the emulator looks at has to cut them.
func TakesDatagramTrains() bool {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return false
	}
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor >= 2)
}

// Frame is a frame as an AF_PACKET socket with PACKET_VNET_HDR tells of it: what
// a host handed to its device, cut by nobody yet.
type Frame struct{ train train }

// OffloadSize is the length of what stands before such a frame.
const OffloadSize = offloadSize

// NewFrame reads a frame, from the Ethernet header on, and the OffloadSize bytes
// before it. The frame is used and not copied.
func NewFrame(before, frame []byte) Frame { return Frame{parse(parseOffload(before), frame)} }

// Packets is how many packets of a wire the frame is.
func (f *Frame) Packets() int { return f.train.count }

// Packet appends packet i to dst as a wire would carry it: with headers of its
// own and its checksum filled in.
func (f *Frame) Packet(i int, dst []byte) []byte {
	t := &f.train
	n := len(dst)
	dst = append(dst, make([]byte, t.length(i))...)
	return dst[:n+len(t.wire(i, dst[n:]))]
}

// Intact says whether the host that the frame reaches finds no fault in its
// checksums. Of what is left to a device to fill in, it does not look.
func (f *Frame) Intact() bool {
	t := &f.train
	if t.network == 0 || !t.soundHeader() {
		return false
	}
	if t.off.flags&needsChecksum != 0 {
		return true
	}
	ip := t.frame[t.network:]
	var at, length int
	var addresses []byte
	var proto byte
	if t.ipv6 {
		at, addresses, proto = ipv6Header, ip[8:ipv6Header], ip[6]
		length = int(binary.BigEndian.Uint16(ip[4:]))
	} else {
		at, addresses, proto = int(ip[0]&15)*4, ip[12:ipv4Header], ip[9]
		length = int(binary.BigEndian.Uint16(ip[2:])) - at
	}
	if length < udpHeader || len(ip) < at+length || proto != protoTCP && proto != protoUDP {
		return false
	}
	if _, _, fragment := t.fragment(); fragment {
		return true // its checksum is that of the whole datagram
	}
	segment := ip[at : at+length]
	if proto == protoUDP && segment[udpChecksum] == 0 && segment[udpChecksum+1] == 0 {
		return true // it has none (RFC 768)
	}
	return fold(uint64(sum16(addresses))+uint64(proto)+uint64(length)+uint64(sum16(segment))) == 0xffff
}

// Identity is a hash, within this process, of what a path leaves of a packet as
// it is, be it the emulator's or a router's; ok is false for what is no packet of
// a path.
func Identity(packet []byte) (hash uint64, ok bool) {
	t := parse(offload{}, packet)
	if t.stray() {
		return 0, false
	}
	return t.identity(), true
}
