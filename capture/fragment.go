package capture

import (
	"encoding/binary"
	"slices"
)

// fragment is a part of an IPv4 datagram of UDP (RFC 791 §3.2).
type fragment struct {
	id       uint16
	from, to int    // its bytes, of the datagram's
	last     bool   // no more follow
	data     []byte // as much of it as is there
}

// readFragment reads a frame that has one; ok is false for others.
func readFragment(s *sight) (f fragment, ok bool) {
	const ethernet, least, more = 14, 20, 0x2000
	b := s.frame
	if len(b) < ethernet+least || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[ethernet+9] != 17 {
		return f, false
	}
	ip := b[ethernet:]
	word, header := binary.BigEndian.Uint16(ip[6:]), int(ip[0]&15)*4
	if word&0x3fff == 0 || len(ip) < header {
		return f, false
	}
	f.id, f.from, f.last = binary.BigEndian.Uint16(ip[4:]), int(word&0x1fff)*8, word&more == 0
	f.to = f.from + int(binary.BigEndian.Uint16(ip[2:])) - header
	f.data = ip[header:]
	return f, f.to > f.from
}

// assembly is a datagram of which fragments were seen.
type assembly struct {
	begun  int64 // when, ns
	number int64 // of the message that it is; unknown before its first fragment
	whole  int   // its length; 0 before its last fragment
	seen   []stretch
}

// assemblyMax is how long a host keeps fragments (ip(7), ipfrag_time), ns: a number that
// comes again after that is another datagram's.
const assemblyMax = 30e9

// fragment takes a fragment in, and enters the message when nothing of it is missing.
func (c *crossed) fragment(f *fragment, stamp int64) {
	const udp = 8
	a := c.fragments[f.id]
	if a == nil || stamp-a.begun > assemblyMax {
		a = &assembly{begun: stamp, number: unknown}
		if c.fragments == nil {
			c.fragments = map[uint16]*assembly{}
		}
		c.fragments[f.id] = a
	}
	if f.from == 0 && len(f.data) >= udp {
		if h, ok := header(f.data[udp:]); ok && !h.reply {
			if a.number != unknown && a.number != h.number { // the identification is another one's by now
				*a = assembly{begun: stamp, number: unknown}
			}
			a.number = h.number
		}
	}
	if f.last {
		a.whole = f.to
	}
	part := stretch{int64(f.from), int64(f.to)}
	if slices.Contains(a.seen, part) {
		return // a copy
	}
	a.seen = append(a.seen, part)
	total := int64(0)
	for _, s := range a.seen {
		total += s.to - s.from
	}
	if a.whole > 0 && total >= int64(a.whole) && a.number != unknown {
		c.at(a.number, stamp)
		delete(c.fragments, f.id)
	}
}
