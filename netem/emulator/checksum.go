package emulator

import "encoding/binary"

// The checksum of IP, TCP and UDP is the complement of a one's complement sum
// of 16-bit words (RFC 1071).

// sum16 is the one's complement sum of b.
func sum16(b []byte) uint16 {
	var wide uint64
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
	return fold(wide)
}

// fold adds the carries back in.
func fold(sum uint64) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// replace is a sum in which the word was takes the place of the word is
// (RFC 1624).
func replace(sum, was, is uint16) uint16 {
	return fold(uint64(sum) + uint64(^was) + uint64(is))
}

// checksumIPv4 fills in the checksum of a whole IPv4 header, options included.
func checksumIPv4(header []byte) {
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], ^sum16(header))
}
