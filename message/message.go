// Package message is the numbered message: its header on the wire, append and
// parse.
//
// A message is its header and a payload that only fills space. The header is
// the same for every transport, so that the same bytes are measured over each
// of them, and it is written in network byte order:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|  version (1)  |     kind      |                               |
//	+---------------+---------------+             number            |
//	|                                                               |
//	+---------------------------------------------------------------+
//	|                                                               |
//	|                            session                            |
//	+---------------------------------------------------------------+
//	|                                                               |
//	|                     planned, nanoseconds                      |
//	+---------------------------------------------------------------+
//	|                                                               |
//	|                      sent, nanoseconds                        |
//	+---------------------------------------------------------------+
//	|            length of the message, header included             |
//	+---------------------------------------------------------------+
//	|            CRC-32C of everything but this field               |
//	+---------------------------------------------------------------+
//	|                           payload …                           |
//
// The length frames messages on a stream. The checksum is the message's own,
// because those of IP, UDP and TCP are weak, and UDP's may be absent: what a
// path damages must be told from what it delivers. The polynomial divides by
// x+1 and keeps a Hamming distance of 4 up to 2^31 bits, so any one, two or
// three flipped bits are found in every message below 256 MiB.
package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

const (
	// HeaderSize is the size of the header, and so of the smallest message.
	HeaderSize = 40
	// MaxNumber is the largest number that a message can carry.
	MaxNumber = 1<<48 - 1

	version = 1

	lengthAt   = 32
	checksumAt = 36
)

// Errors that Parse and Length give. Every one of them but ErrShort says that
// the bytes are not a message as it was sent, and is ErrCorrupt to errors.Is.
var (
	// ErrShort is given for fewer bytes than a header has.
	ErrShort = errors.New("message: shorter than its header")
	// ErrCorrupt is given for bytes that no sender made.
	ErrCorrupt = errors.New("message: corrupt")
	// ErrVersion is given for a first byte that is not our version: damage, or
	// an end that speaks another version of the format.
	ErrVersion = fmt.Errorf("%w: unknown version", ErrCorrupt)
)

// Kind says what a message is for.
type Kind uint8

// The kinds of message.
const (
	Data  Kind = 0 // a message of the plan
	Reply Kind = 1 // the answer to the data message of the same number
	Hello Kind = 2 // no message of the plan: it shows where its sender is

	kinds = 3
)

// Header is what a message says of itself.
type Header struct {
	Kind    Kind
	Session uint64 // tells the messages of one session from stray ones
	Number  uint64 // at most MaxNumber
	Planned int64  // when it was due, nanoseconds on the session's clock
	Sent    int64  // when it was handed to the transport, same clock
	Length  int    // of the whole message, header included
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Seal makes buf a message: it writes the header over the first HeaderSize
// bytes and leaves the payload behind them as it is. The length is that of
// buf; h.Length is ignored. Seal panics when buf has no room for a header or
// exceeds the length field, and on a number above MaxNumber.
func Seal(buf []byte, h Header) {
	seal(buf, h)
	binary.BigEndian.PutUint32(buf[checksumAt:], checksum(buf))
}

// seal writes all of a header but the checksum.
func seal(buf []byte, h Header) {
	if len(buf) < HeaderSize || uint64(len(buf)) > math.MaxUint32 {
		panic(fmt.Sprintf("message: Seal of %d bytes", len(buf)))
	}
	if h.Number > MaxNumber {
		panic(fmt.Sprintf("message: number %d is above 2^48-1", h.Number))
	}
	// The number shares its eight bytes with version and kind.
	binary.BigEndian.PutUint64(buf[0:], version<<56|uint64(h.Kind)<<48|h.Number)
	binary.BigEndian.PutUint64(buf[8:], h.Session)
	binary.BigEndian.PutUint64(buf[16:], uint64(h.Planned))
	binary.BigEndian.PutUint64(buf[24:], uint64(h.Sent))
	binary.BigEndian.PutUint32(buf[lengthAt:], uint32(len(buf)))
}

// AppendTo appends the message of h and payload to dst, as Seal would write
// it.
func AppendTo(dst []byte, h Header, payload []byte) []byte {
	start := len(dst)
	end := start + HeaderSize + len(payload)
	dst = slices.Grow(dst, end-start)[:end]
	copy(dst[start+HeaderSize:], payload)
	Seal(dst[start:], h)
	return dst
}

// Parse reads b, which must be one message and nothing else.
func Parse(b []byte) (Header, error) {
	n, err := Length(b, len(b))
	if err != nil {
		return Header{}, err
	}
	if n != len(b) || binary.BigEndian.Uint32(b[checksumAt:]) != checksum(b) {
		return Header{}, ErrCorrupt
	}
	return Header{
		Kind:    Kind(b[1]),
		Session: binary.BigEndian.Uint64(b[8:]),
		Number:  binary.BigEndian.Uint64(b[0:]) & MaxNumber,
		Planned: int64(binary.BigEndian.Uint64(b[16:])),
		Sent:    int64(binary.BigEndian.Uint64(b[24:])),
		Length:  n,
	}, nil
}

// Length reads from the start of a message how long the whole of it is, at
// least HeaderSize and at most max. It needs HeaderSize bytes and gives
// ErrShort for fewer. It is how a stream is cut into messages; the checksum is
// left to Parse.
func Length(b []byte, max int) (int, error) {
	if len(b) < HeaderSize {
		return 0, ErrShort
	}
	if b[0] != version {
		return 0, ErrVersion
	}
	n := uint64(binary.BigEndian.Uint32(b[lengthAt:]))
	if b[1] >= kinds || n < HeaderSize || max < HeaderSize || n > uint64(max) {
		return 0, ErrCorrupt
	}
	return int(n), nil
}

// checksum covers all of the message but the checksum itself.
func checksum(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:checksumAt])
	return crc32.Update(c, castagnoli, b[HeaderSize:])
}
