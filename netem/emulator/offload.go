package emulator

import "encoding/binary"

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
	gsoECN   = 0x80 // a flag beside the type: the first segment bears CWR
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
