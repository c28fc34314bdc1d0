package lesson

import (
	"fmt"
	"time"

	"netcmp/capture"
)

// crossed is what crossed the lab in a scene. It notes when a packet that the
// scene is about is not there; what is said of that one then is of no use.
type crossed struct {
	all []capture.Crossing
	err error
}

// segment is the n-th of a direction, from 0, with exactly these flags, but for
// PSH.
func (x *crossed) segment(up bool, flags capture.Flags, n int) *capture.Crossing {
	return x.nth(flags.String(), up, n, func(p *capture.Packet) bool { return p.TCP != nil && p.TCP.Flags.Is(flags) })
}

// data is the n-th packet of a direction that carries something.
func (x *crossed) data(up bool, n int) *capture.Crossing {
	return x.nth("data", up, n, func(p *capture.Packet) bool { return p.Length > 0 })
}

// datagram is the n-th packet of a direction that is UDP's.
func (x *crossed) datagram(up bool, n int) *capture.Crossing {
	return x.nth("UDP", up, n, func(p *capture.Packet) bool { return p.Proto == "udp" })
}

func (x *crossed) nth(what string, up bool, n int, is func(*capture.Packet) bool) *capture.Crossing {
	for i, left := 0, n; i < len(x.all); i++ {
		c := &x.all[i]
		if c.Up != up || !is(c.Packet()) {
			continue
		}
		if left == 0 {
			return c
		}
		left--
	}
	if x.err == nil {
		x.err = fmt.Errorf("packet %d with %s did not cross (up: %v)", n, what, up)
	}
	none := &capture.Packet{TCP: &capture.TCP{}}
	return &capture.Crossing{Up: up, Sent: none, Arrived: none}
}

// after is the first of the client's packets that was sent at or after an instant; nil
// if there is none.
func (x *crossed) after(instant int64) *capture.Crossing {
	for i := range x.all {
		if c := &x.all[i]; c.Up && sent(c) >= instant {
			return c
		}
	}
	return nil
}

// count counts the packets that are so.
func (x *crossed) count(is func(*capture.Crossing) bool) (n int) {
	for i := range x.all {
		if is(&x.all[i]) {
			n++
		}
	}
	return n
}

// before counts the packets in front of one.
func (x *crossed) before(c *capture.Crossing) int {
	for i := range x.all {
		if &x.all[i] == c {
			return i
		}
	}
	return len(x.all)
}

// note writes something beside a packet on the scene's ladder.
func (x *crossed) note(s *Scene, c *capture.Crossing, text string) {
	if i := x.before(c); i < len(s.Ladder.Rungs) {
		s.Ladder.Rungs[i].Comment = text
	}
}

// show draws these packets alone.
func (x *crossed) show(s *Scene, which func(*capture.Crossing) bool) {
	var shown []capture.Crossing
	s.Packets = nil
	for i := range x.all {
		if c := &x.all[i]; which(c) {
			shown = append(shown, *c)
			s.Packets = append(s.Packets, newPacket(c))
		}
	}
	s.Left = len(x.all) - len(shown)
	s.Ladder = capture.NewLadder("", shown, 0)
	s.Ladder.Left = s.Left
}

// sent and arrived are when a packet was seen at the one host and at the other.
func sent(c *capture.Crossing) int64 {
	if c.Sent == nil {
		return 0
	}
	return c.Sent.At
}

func arrived(c *capture.Crossing) int64 {
	if c.Arrived == nil {
		return 0
	}
	return c.Arrived.At
}

// since is the time from one instant to another.
func since(from, to int64) time.Duration { return time.Duration(to - from) }
