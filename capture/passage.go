package capture

import (
	"encoding/binary"
	"slices"

	"netcmp/netem/emulator"
	"netcmp/result"
)

// Passage is when each message of a direction was sent for the first time, whole,
// and when the receiver's host had all of it for the first time: the instants at
// which its last byte left by the one device and at which the last one missing
// came in by the other. It keeps 16 bytes a message, of the first
// result.MaxMessages.
type Passage struct {
	framing Framing
	out, in crossed
}

// crossed is what one device saw of a direction. Times are CLOCK_REALTIME, ns, by
// message number; 0: not seen.
type crossed struct {
	times []int64

	// Of TCP.
	begun bool
	ports uint32 // both, as in the header
	first uint32 // the number of the SYN
	high  int64  // all of the stream before it was seen
	// later are the stretches beyond high, ascending, that do not touch.
	later []stretch

	fragments map[uint16]*assembly // of UDP, by their identification
}

type stretch struct{ from, to int64 }

func newPassage(f Framing) *Passage { return &Passage{framing: f} }

// sent takes in a frame that leaves by the sender's device.
func (p *Passage) sent(s *sight) { p.out.take(s, &p.framing) }

// arrived takes in a frame that comes in by the receiver's.
func (p *Passage) arrived(s *sight) {
	if p.framing.Damaged {
		if f := emulator.NewFrame(s.before, s.frame); !f.Intact() {
			return // the host throws it away
		}
	}
	p.in.take(s, &p.framing)
}

func (c *crossed) take(s *sight, f *Framing) {
	h, ok := readHeaders(s)
	switch {
	case !ok && f.Proto == "udp" && !f.Damaged:
		// Where fragments may be damaged, the checksum of the whole would have to be
		// looked at, which not all of is kept for.
		if part, ok := readFragment(s); ok {
			c.fragment(&part, s.stamp)
		}
	case !ok:
	case h.proto == 6 && f.Proto == "tcp":
		c.segment(&h, s.stamp, int64(f.Size))
	case h.proto == 17 && f.Proto == "udp":
		// A train has messages that follow each other, all of one size.
		if n, ok := header(h.data); ok && !n.reply {
			for i := range max(h.length/f.Size, 1) {
				c.at(n.number+int64(i), s.stamp)
			}
		}
	}
}

// at enters when a message was there, unless it was before.
func (c *crossed) at(number, stamp int64) {
	if number >= result.MaxMessages {
		return
	}
	if missing := int(number) + 1 - len(c.times); missing > 0 {
		c.times = append(c.times, make([]int64, missing)...)
	}
	if c.times[number] == 0 {
		c.times[number] = stamp
	}
}

// segment takes in a segment of the stream, or several in one piece. Message i is
// its bytes from i·size on.
func (c *crossed) segment(h *headers, stamp, size int64) {
	if Flags(h.flags)&SYN != 0 {
		if !c.begun || h.ports != c.ports || h.seq != c.first {
			*c = crossed{begun: true, ports: h.ports, first: h.seq, times: c.times[:0]}
		}
		return
	}
	if !c.begun || h.ports != c.ports || h.length == 0 {
		return
	}
	from := near(c.high, h.seq-c.first-1)
	to := from + int64(h.length)
	if to <= c.high || from < 0 {
		return
	}
	whole := c.add(stretch{from, to})
	// Those that it is a part of, if nothing is missing of them any more.
	for i := max(from, whole.from) / size; i*size < to; i++ {
		if i*size >= whole.from && (i+1)*size <= whole.to {
			c.at(i, stamp)
		}
	}
}

// add adds a stretch to those that were seen, and gives the one that it has
// become a part of. What lies before high is the first.
func (c *crossed) add(s stretch) stretch {
	if len(c.later) == 0 && s.from <= c.high { // as nearly always
		c.high = max(c.high, s.to)
		return stretch{0, c.high}
	}
	begin, _ := slices.BinarySearchFunc(c.later, s.from, func(l stretch, from int64) int { return int(max(min(l.to-from, 1), -1)) })
	end := begin
	for ; end < len(c.later) && c.later[end].from <= s.to; end++ {
		s = stretch{min(s.from, c.later[end].from), max(s.to, c.later[end].to)}
	}
	c.later = slices.Replace(c.later, begin, end, s)
	if s.from > c.high {
		return s
	}
	c.high = max(c.high, s.to)
	c.later = c.later[1:] // s was the first
	return stretch{0, c.high}
}

// headers is what is read of a frame.
type headers struct {
	proto  uint8
	ports  uint32 // both
	seq    uint32
	flags  uint8
	length int    // of the transport's payload; of a train of all of its segments
	data   []byte // as much of it as is there
}

// readHeaders reads a frame of TCP or UDP; ok is false for others, and for
// fragments.
func readHeaders(s *sight) (h headers, ok bool) {
	const ethernet, ipv4, ipv6, tcp, udp = 14, 20, 40, 20, 8
	b := s.frame
	if len(b) < ethernet+ipv4+udp {
		return h, false
	}
	at := ethernet
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0800:
		if fragment := binary.BigEndian.Uint16(b[ethernet+6:]) & 0x3fff; fragment != 0 {
			return h, false
		}
		h.proto = b[ethernet+9]
		at += int(b[ethernet]&15) * 4
	case 0x86dd:
		h.proto = b[ethernet+6]
		at += ipv6
	default:
		return h, false
	}
	if len(b) < at+udp {
		return h, false
	}
	h.ports = binary.BigEndian.Uint32(b[at:])
	switch h.proto {
	case 6:
		if len(b) < at+tcp {
			return h, false
		}
		h.seq, h.flags = binary.BigEndian.Uint32(b[at+4:]), b[at+13]
		at += int(b[at+12]>>4) * 4
	case 17:
		at += udp
	default:
		return h, false
	}
	if at > len(b) {
		return h, false
	}
	// Nothing pads a frame of a virtual device.
	h.length, h.data = s.length-at, b[at:]
	return h, true
}
