package capture

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"netcmp/message"
	"netcmp/netem/emulator"
)

// Framing says how the messages of an experiment lie in its packets. The zero
// value is that of packets that carry none that can be found.
type Framing struct {
	// Proto is "tcp", whose stream is one message of Size behind the other, or
	// "udp", whose datagrams are messages with their own headers.
	Proto    string
	Size     int
	Up, Down bool // the directions whose messages are followed (Capture.Passage)
	Damaged  bool // the path damages packets: each one's checksum is looked at
}

// commenter says of packets, in the order of time, what is in them.
type commenter struct {
	framing Framing
	devices []string // whose packets it is shown
	streams map[flow]*sending
	again   map[uint64]bool // identities of retransmissions
}

// sending is what one end has sent of a TCP stream.
type sending struct {
	first uint32 // the number of its SYN
	high  int64  // of the stream, from first: what has been seen of it before
}

// near is the number n of a stream, which has 32 bits of it, that is nearest to
// one that is known.
func near(known int64, n uint32) int64 { return known + int64(int32(n-uint32(known))) }

// mostAgain bounds the retransmissions that are known again further on.
const mostAgain = 1 << 20

func newCommenter(f Framing, devices []string) *commenter {
	return &commenter{framing: f, devices: devices, streams: map[flow]*sending{}, again: map[uint64]bool{}}
}

// source returns the first device on the packet's way that the commenter is shown
// before the path can have lost or changed it: its sender's, or else the path's next to
// that. It is "" if it is shown neither.
func (c *commenter) source(p *Packet) string {
	way := []string{Client, PathClient}
	if up := p.Out == (p.Device == Client || p.Device == PathServer); !up {
		way = []string{Server, PathServer}
	}
	for _, device := range way {
		if slices.Contains(c.devices, device) {
			return device
		}
	}
	return ""
}

func (c *commenter) comment(p *Packet) {
	switch {
	case p.TCP != nil:
		c.segment(p)
	case p.Proto == "udp" && c.framing.Proto == "udp":
		if h, ok := header(p.payload()); ok {
			p.Comment = fmt.Sprintf("message %d", h.number)
			if h.reply {
				p.Comment = "reply to " + p.Comment
			}
		}
	}
}

// segment says which messages a segment has a part of, and whether it was sent
// before. That is known at its source; further on it is known again. Without a source
// it is not known, since what was lost before was not seen.
func (c *commenter) segment(p *Packet) {
	f, t := p.flow(), p.TCP
	s := c.streams[f]
	source := c.source(p)
	sent := p.Device == source
	follow := sent || source == "" && intact(p.Frame)
	again := false
	if t.Flags&SYN != 0 && (follow || s == nil) {
		if s != nil && s.first == t.Seq {
			again = sent
		} else {
			s = &sending{first: t.Seq}
			c.streams[f] = s
		}
	}
	if s == nil || p.Length == 0 && t.Flags&SYN == 0 {
		return
	}
	hash, ok := emulator.Identity(p.Frame)
	from := near(s.high, t.Seq-s.first) // the SYN has number 0, and the stream begins with 1
	if p.Length > 0 {
		again = sent && from < s.high
		if follow {
			s.high = max(s.high, from+int64(p.Length))
		}
	}
	if sent && again && ok && len(c.again) < mostAgain {
		c.again[hash] = true
	}
	again = again || !sent && ok && c.again[hash]
	if p.Length > 0 && c.framing.Proto == "tcp" && c.framing.Size > 0 {
		begin, size := from-1, int64(c.framing.Size)
		p.Comment = numbers(begin/size, (begin+int64(p.Length)-1)/size)
	}
	if again {
		p.Comment = strings.TrimSuffix("retransmission of "+p.Comment, " of ")
	}
}

// intact reports whether the checksums of a packet as a wire carries it are right.
func intact(packet []byte) bool {
	f := emulator.NewFrame(make([]byte, emulator.OffloadSize), packet)
	return f.Intact()
}

func numbers(first, last int64) string {
	if first == last {
		return fmt.Sprintf("message %d", first)
	}
	return fmt.Sprintf("messages %d-%d", first, last)
}

// numbered is what a message's header says of it without the rest.
type numbered struct {
	number int64
	reply  bool
}

// header reads the beginning of a datagram as that of a message.
func header(b []byte) (n numbered, ok bool) {
	if _, err := message.Length(b, 1<<16); err != nil {
		return n, false
	}
	// Version, kind and number share eight bytes (package message).
	return numbered{int64(binary.BigEndian.Uint64(b) & message.MaxNumber), message.Kind(b[1]) == message.Reply}, true
}
