package message

import (
	"encoding/binary"
	"hash/crc32"
)

// Prepared is a buffer that is made a message over and over with the payload that it
// had when it was prepared. The checksum still covers every byte, but those of the
// payload are gone over only once: a CRC is linear, so
//
//	crc(header‖payload) = shift(^crc(header)) ⊕ payload's part
//
// where shift takes the register past as many zeros as the payload has bytes (zlib's
// crc32_combine rests on the same).
type Prepared struct {
	buf     []byte
	payload uint32
	shift   *shift
}

// Prepare prepares buffers of one length, a message's.
func Prepare(bufs [][]byte) []Prepared {
	if len(bufs) == 0 {
		return nil
	}
	past := newShift(len(bufs[0]) - HeaderSize)
	prepared := make([]Prepared, len(bufs))
	for i, b := range bufs {
		prepared[i] = Prepared{buf: b, payload: crc32.Update(^uint32(0), castagnoli, b[HeaderSize:]), shift: past}
	}
	return prepared
}

// Seal is Seal of the buffer.
func (p *Prepared) Seal(h Header) {
	seal(p.buf, h)
	header := crc32.Update(0, castagnoli, p.buf[:checksumAt])
	binary.BigEndian.PutUint32(p.buf[checksumAt:], p.shift.of(^header)^p.payload)
}

// shift is what a number of zero bytes makes of a CRC's register, for each value of
// each of its bytes.
type shift [4][256]uint32

// newShift doubles its way to so many zeros.
func newShift(zeros int) *shift {
	// crc32 inverts the register before and after.
	power := linear(func(v uint32) uint32 { return ^crc32.Update(^v, castagnoli, []byte{0}) })
	past := linear(func(v uint32) uint32 { return v })
	for ; zeros > 0; zeros /= 2 {
		if zeros%2 == 1 {
			past = linear(func(v uint32) uint32 { return power.of(past.of(v)) })
		}
		power = linear(func(v uint32) uint32 { return power.of(power.of(v)) })
	}
	return past
}

// linear is f, which is linear, as a table.
func linear(f func(uint32) uint32) *shift {
	s := &shift{}
	for bit := range 32 {
		s[bit/8][1<<(bit%8)] = f(1 << bit)
	}
	for i := range s {
		for v := range s[i] {
			if low := v & -v; v != low {
				s[i][v] = s[i][low] ^ s[i][v-low]
			}
		}
	}
	return s
}

func (s *shift) of(register uint32) uint32 {
	return s[0][register&0xff] ^ s[1][register>>8&0xff] ^ s[2][register>>16&0xff] ^ s[3][register>>24]
}
