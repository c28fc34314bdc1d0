package lesson

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"netcmp/capture"
)

// What is said in this lesson: messages at a pace, of which the path loses one.
const (
	told     = 20
	toldSize = 100
	toldLost = 10
	toldPace = 10 * time.Millisecond
	// near is how far a message may be from the law that it obeys: what the hosts'
	// programs take, until they have read what they may read.
	near = 5 * time.Millisecond
)

func letterAndCall(ctx context.Context, d *Document) error {
	// The first two packets of a connection are the SYN and the handshake's ACK.
	call, err := tell(ctx, d, "tcp", "A call in which one packet is lost", toldLost+2, callOfOne)
	if err != nil {
		return err
	}
	letters, err := tell(ctx, d, "udp", "Letters of which one is lost", toldLost, lettersOfOne)
	if err != nil {
		return err
	}
	return recite(ctx, d, func(s *Scene, x *crossed, t *telling) {
		scrambledCallOfOne(s, x, t)
		s.Axis = s.axis(call, letters, t)
	})
}

// telling is what became of the messages. Times count from when the first was sent.
type telling struct {
	proto   string
	said    [told]time.Duration // when it was handed to the transport
	arrived [told]time.Duration // when its packet first came to the other host; 0: never
	read    [told]time.Duration // when the other end had read it; 0: never
}

// tell has the client say the messages to the server over a path that loses one of
// the client's packets.
func tell(ctx context.Context, d *Document, proto, title string, lost int, draw func(*Scene, *crossed, *telling)) (*telling, error) {
	var speak, hear Done
	t := &telling{proto: proto}
	p := path(fmt.Sprintf("delay 25ms loss list %d", lost), "delay 25ms")
	err := play(ctx, d, title, p, capture.Framing{Proto: proto, Size: toldSize}, func(s *stage) {
		client, server := s.pair(proto)
		speak, hear = s.sayAll(client, server, Order{Proto: proto, N: told, Size: toldSize, Every: toldPace, Patience: silence + told*toldPace})
	}, func(s *Scene, x *crossed) {
		if len(speak.Times) != told || len(hear.Times) != told {
			x.err = fmt.Errorf("%d messages were sent and %d were waited for, and not %d", len(speak.Times), len(hear.Times), told)
			return
		}
		begin := speak.Times[0]
		s.Ladder.Origin = begin
		for i := range told {
			t.said[i] = since(begin, speak.Times[i])
			if hear.Times[i] != 0 {
				t.read[i] = since(begin, hear.Times[i])
			}
			for j := range x.all {
				c := &x.all[j]
				if c.Arrived != nil && ends(c.Packet(), i) {
					t.arrived[i] = since(begin, c.Arrived.At)
					break
				}
			}
		}
		lost := x.data(true, toldLost)
		equal(s, "the packet that is lost", fmt.Sprintf("message %d", toldLost), lost.Packet().Comment)
		equal(s, "it is lost", true, lost.Lost())
		draw(s, x, t)
	})
	return t, err
}

// A connection of QUIC's tries how large a packet the path takes (RFC 8899), each time
// some round trips after the last and only while there is something to do; and it has
// to learn how long a round trip is. So it is given that before what counts, and left
// alone then, until the last confirmation has come.
const (
	rehearsed = 150 // messages
	calm      = 500 * time.Millisecond
)

// recite is tell over QUIC, on a connection that stands already: a packet does not say
// what is in it, so it is known by its time.
func recite(ctx context.Context, d *Document, draw func(*Scene, *crossed, *telling)) error {
	var speak, hear Done
	t := &telling{proto: "quic"}
	held, p := path("delay 25ms", "delay 25ms"), path(fmt.Sprintf("delay 25ms loss list %d", toldLost), "delay 25ms")
	say := func(s *stage, n int) {
		o := Order{N: n, Size: toldSize, Every: toldPace, Patience: patience}
		following := s.server.begin("Follow", o)
		speak = s.client.do("Recite", o)
		hear = following()
	}
	return playAfter(ctx, d, "A scrambled call in which one packet is lost (QUIC)", &held, p, capture.Framing{}, func(s *stage) {
		certificate := s.server.do("Offer", Order{Proto: "quic", To: toServer}).Certificate
		welcoming := s.server.begin("Welcome", Order{})
		s.client.do("Reach", Order{Proto: "quic", To: toServer, Certificate: certificate})
		welcoming()
		say(s, rehearsed)
		s.wait(calm)
	}, func(s *stage) { say(s, told) }, func(s *Scene, x *crossed) {
		if len(speak.Times) != told || len(hear.Times) != told {
			x.err = fmt.Errorf("%d messages were sent and %d came, and not %d", len(speak.Times), len(hear.Times), told)
			return
		}
		begin := speak.Times[0]
		s.Ladder.Origin = begin
		for i := range told {
			t.said[i], t.read[i] = since(begin, speak.Times[i]), since(begin, hear.Times[i])
			t.arrived[i] = t.read[i]
			first := x.after(speak.Times[i])
			if first != nil && first.Arrived != nil {
				t.arrived[i] = since(begin, first.Arrived.At)
			}
			if i == toldLost {
				lost := first != nil && first.Lost()
				s.timed(fmt.Sprintf("the packet that left when message %d was said is lost", i), "true", fmt.Sprint(lost), lost)
			}
		}
		equal(s, "packets that are lost", 1, x.count(func(c *capture.Crossing) bool { return c.Lost() }))
		draw(s, x, t)
	})
}

// ends says whether a packet has the end of a message. A sender that has to wait puts
// several into one segment.
func ends(p *capture.Packet, i int) bool {
	if p.TCP == nil {
		return p.Comment == fmt.Sprintf("message %d", i)
	}
	from, end := int(p.TCP.RelSeq)-1, (i+1)*toldSize // the SYN has number 0
	return from < end && end <= from+p.Length
}

// delay is a message's, from being said to being read.
func (t *telling) delay(i int) time.Duration { return t.read[i] - t.said[i] }

// later is how much later than the lost message another one was said.
func (t *telling) later(i int) time.Duration { return t.said[i] - t.said[toldLost] }

// crossing is how long a message's packet was under way, of those that came; of one
// that was sent again from when it was said for the first time.
func (t *telling) crossing(i int) time.Duration { return t.arrived[i] - t.said[i] }

// median is that of the delays of the messages that were read.
func (t *telling) median() time.Duration {
	var all []time.Duration
	for i := range told {
		if t.read[i] != 0 {
			all = append(all, t.delay(i))
		}
	}
	return median(all)
}

// worst is the message that is farthest from what it is to be, of those that were
// read.
func (t *telling) worst(of func(i int) (measured, expected time.Duration)) (off time.Duration) {
	for i := range told {
		if t.read[i] != 0 {
			measured, expected := of(i)
			off = max(off, measured-expected, expected-measured)
		}
	}
	return off
}

func (t *telling) count(is func(i int) bool) (n int) {
	for i := range told {
		if is(i) {
			n++
		}
	}
	return n
}

func callOfOne(s *Scene, x *crossed, t *telling) {
	repair := t.delay(toldLost)
	s.say(took("repair", repair), "Message %d is lost, and comes %s after it was said: what arrived behind it told the client, which sent it again.", toldLost, ms(repair))
	late := t.count(func(i int) bool { return i > toldLost && t.read[i]-t.arrived[i] > near })
	s.say(Figure{"late", int64(late), "messages"}, "%d of those behind it were at the server's door in time and were held back until it came: a call is heard in its order.", late)
	var delays []string
	for i := toldLost + 1; i <= toldLost+late && i < told; i++ {
		delays = append(delays, fmt.Sprintf(s.language.words("%d after %s"), i, ms(t.delay(i))))
	}
	next := t.delay(toldLost + 1)
	s.say(took("next", next), "They were read: %s. Each waits for %s less than the one before, since it was said as much later.", strings.Join(delays, ", "), ms(toldPace))
	all := t.count(func(i int) bool { return t.read[i] != 0 })
	s.say(Figure{"read", int64(all), "messages"}, "In the end all %d messages were heard, none was missing, and none was out of order.", all)
	repaired(s, t)
}

// scrambledCallOfOne is callOfOne of a call whose packets do not show what is in them.
func scrambledCallOfOne(s *Scene, x *crossed, t *telling) {
	repair := t.delay(toldLost)
	s.say(took("repair", repair), "QUIC is a call over UDP: what is lost it sends again, by itself, and not the kernel. Message %d comes %s after it was said.", toldLost, ms(repair))
	late := t.count(func(i int) bool { return i > toldLost && t.read[i]-t.arrived[i] > near })
	s.say(Figure{"late", int64(late), "messages"}, "%d of those behind it were at the server's door in time and were held back: they are on one stream, and a stream is heard in its order (RFC 9000 §2.2). On streams of their own they would not have waited.", late)
	n := x.count(func(c *capture.Crossing) bool { return !c.Up })
	s.say(packets("packets", n), "The server confirmed with %d packets. Nobody on the way can read in either what was said, what was lost, or what is confirmed: the packets are known here by their times alone.", n)
	repaired(s, t)
}

// repaired holds a call in which one packet was lost against the law of it.
func repaired(s *Scene, t *telling) {
	repair := t.delay(toldLost)
	equal(s, "messages that are read", told, t.count(func(i int) bool { return t.read[i] != 0 }))
	disorder := t.count(func(i int) bool { return i > 0 && t.read[i] < t.read[i-1] })
	equal(s, "messages that are read before an earlier one", 0, disorder)
	// The first follower's confirmation tells of the loss, and that is a round trip
	// after it was said; the repair itself takes the path's delay once more.
	least := t.later(toldLost+1) + 3*delay
	s.timed("the repair takes until the next message, and then a round trip and the path's delay, or more",
		ms(least)+" or more", ms(repair), repair >= least)
	within := "within " + ms(near)
	off := t.worst(func(i int) (time.Duration, time.Duration) {
		if i < toldLost {
			return t.delay(i), t.crossing(i)
		}
		return t.delay(i), max(t.crossing(i), repair-t.later(i))
	})
	s.timed("a message behind the lost one is read after the repair less what it was said later, or when it arrives if that is later",
		within, ms(off)+" off at the most", off <= near)
	off = t.worst(func(i int) (time.Duration, time.Duration) {
		held := t.read[i] - t.arrived[i]
		if i <= toldLost {
			return held, 0
		}
		return held, max(0, repair-t.later(i)-t.crossing(i))
	})
	s.timed("at the door it was held back for all of that but its own crossing, and the lost one not at all",
		within, ms(off)+" off at the most", off <= near)
}

func lettersOfOne(s *Scene, x *crossed, t *telling) {
	all := t.count(func(i int) bool { return t.read[i] != 0 })
	s.say(Figure{"read", int64(all), "messages"}, "%d of %d letters were read. Message %d is missing for ever: nobody knows of it but the path.", all, told, toldLost)
	slowest := time.Duration(0)
	for i := range told {
		slowest = max(slowest, t.delay(i))
	}
	s.say(took("slowest", slowest), "None of the others waited for it: the slowest was read %s after it was said, and the path alone takes %s.", ms(slowest), ms(delay))
	n := len(x.all)
	s.say(packets("packets", n), "%d packets crossed or were lost, one a message; the call needed its handshake, its confirmations and its repair beside them.", n)

	equal(s, "messages that are read", told-1, all)
	equal(s, "the lost message is read", false, t.read[toldLost] != 0)
	equal(s, "packets", told, n)
	off := t.worst(func(i int) (time.Duration, time.Duration) { return t.delay(i), t.crossing(i) })
	s.timed("every other is read when it arrives", "within "+ms(near), ms(off)+" off at the most", off <= near)
	s.between("half of them after the path's delay, or soon after it", delay, delay+near, t.median())
}

// axis draws tellings on one axis of time: from when a message was said to when it was
// read.
func (s *Scene) axis(all ...*telling) string {
	const column = 5 * time.Millisecond
	last := time.Duration(0)
	for _, t := range all {
		last = max(last, slices.Max(t.read[:]))
	}
	columns := int(last/column) + 2
	at := func(d time.Duration) int { return int((d + column/2) / column) }
	var b strings.Builder
	b.WriteString(s.language.words("Said (o) and read (▶), on one axis; ═ is a wait for an earlier message, × a message that never came") + "\n\n")
	var ruler strings.Builder
	ruler.WriteString(strings.Repeat(" ", 13))
	for i := 0; i < columns; i += 10 {
		fmt.Fprintf(&ruler, "%-10s", fmt.Sprintf("|%d ms", int(time.Duration(i)*column/time.Millisecond)))
	}
	b.WriteString(strings.TrimRight(ruler.String(), " ") + "\n")
	for i := range told {
		for n, t := range all {
			line := []rune(strings.Repeat(" ", columns))
			from, to := at(t.said[i]), at(t.read[i])
			end := '▶'
			if t.read[i] == 0 {
				to, end = from+at(delay), '×'
			}
			for k := from; k < to; k++ {
				line[k] = '─'
				if t.arrived[i] != 0 && k >= at(t.arrived[i]) {
					line[k] = '═'
				}
			}
			line[from], line[to] = 'o', end
			name := ""
			if n == 0 {
				name = fmt.Sprint(i)
			}
			b.WriteString(strings.TrimRight(fmt.Sprintf("%5s  %-4s  %s", name, t.proto, string(line)), " ") + "\n")
		}
	}
	return b.String()
}
