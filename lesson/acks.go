package lesson

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/capture"
)

const (
	// heldBack is how long Linux waits for something to put a confirmation on, at the
	// least (TCP_DELACK_MIN, include/net/tcp.h: HZ/25). The timer counts ticks, of
	// which there may be 100 a second, and ends with the one after its time.
	heldBack       = 40 * time.Millisecond
	heldBackAtMost = 60 * time.Millisecond
	// apart is the time between messages that are to be confirmed each by itself.
	apart = 2 * heldBack
)

func acknowledged(ctx context.Context, d *Document) error {
	for _, scene := range []func(context.Context, *Document) error{confirmed, quicklyAtFirst, confirmationLost, manyAtOnce, nagle, confirmationsCost} {
		if err := scene(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// confirmation is the first packet of the other end's that confirms a segment to its
// last byte.
func (x *crossed) confirmation(of *capture.Crossing) *capture.Crossing {
	t := of.Packet().TCP
	next := t.Seq + uint32(of.Packet().Length)
	return x.nth(fmt.Sprintf("ACK %d", next), !of.Up, 0, func(p *capture.Packet) bool {
		return p.TCP != nil && p.TCP.Flags&capture.ACK != 0 && p.At >= arrived(of) && int32(p.TCP.Ack-next) >= 0
	})
}

// confirmedAfter is how long its receiver took to confirm a segment.
func (x *crossed) confirmedAfter(of *capture.Crossing) time.Duration {
	return since(arrived(of), sent(x.confirmation(of)))
}

// carries says whether a packet has something to say.
func carries(c *capture.Crossing) bool { return c.Packet().Length > 0 }

// bare says whether a packet confirms and does nothing else.
func bare(c *capture.Crossing) bool {
	p := c.Packet()
	return p.TCP != nil && p.TCP.Flags.Is(capture.ACK) && p.Length == 0
}

// confirmed is a conversation in which each message waits for no other.
func confirmed(ctx context.Context, d *Document) error {
	const alone, answered = 3, 3
	return play(ctx, d, "Every segment is confirmed: at once, by an answer, or a little later", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		client, server := s.connected()
		say := func(answer bool) {
			s.client.do("Send", Order{Socket: client, N: firstWords})
			s.server.do("Receive", Order{Socket: server, N: firstWords})
			if answer {
				s.server.do("Send", Order{Socket: server, N: firstWords})
				s.client.do("Receive", Order{Socket: client, N: firstWords})
			}
			s.wait(2 * apart)
		}
		for i := range alone + answered + 2 {
			say(i >= alone && i < alone+answered)
		}
	}, func(s *Scene, x *crossed) {
		all := x.count(carries)
		for i := range all - answered {
			x.note(s, x.data(true, i), fmt.Sprintf("message %d", i+1))
		}
		first, answer, later, again := x.data(true, 0), x.data(true, alone+answered-1), x.data(true, alone+answered), x.data(true, alone+answered+1)
		known := x.count(func(c *capture.Crossing) bool {
			return carries(c) && x.confirmation(c).Packet().TCP.Ack == c.Packet().TCP.Seq+uint32(c.Packet().Length)
		})
		s.say(packets("confirmed", known), "%d segments carried something, and %d were confirmed, each by itself: the first has the number %d and %d bytes, and its confirmation says %d, the number that is expected next.",
			all, known, first.Packet().TCP.RelSeq, first.Packet().Length, x.confirmation(first).Packet().TCP.RelAck)
		at := x.confirmedAfter(first)
		s.say(took("at_once", at), "At first they leave at once: %s after the first message had come.", ms(at))
		rides := x.confirmation(answer).Packet().Length
		s.say(Figure{"rides", int64(rides), "bytes"}, "When the server answers, the confirmation of the last question costs no packet: it is in the header of the answer, which has %d bytes.", rides)
		held := x.confirmedAfter(later)
		s.say(took("held_back", held), "Who has answered may answer again: the next message is confirmed only after %s, when Linux gives up waiting for an answer that could have carried it. The one after that took %s.",
			ms(held), ms(x.confirmedAfter(again)))

		equal(s, "segments that are confirmed, each to its last byte", all, known)
		equal(s, "the first ACK is the first segment's number and its length", first.Packet().TCP.RelSeq+firstWords, x.confirmation(first).Packet().TCP.RelAck)
		s.between("the first message is confirmed at once", 0, punctual, at)
		s.timed("an answer carries the confirmation of its question", fmt.Sprintf("%d bytes", firstWords), fmt.Sprintf("%d bytes", rides), rides == firstWords)
		s.between("what is not answered then is confirmed after 40 ms", heldBack, heldBackAtMost, held)
	})
}

// quicklyAtFirst is a reader who does not read, so that nothing but the kernel's own
// rule says when it confirms.
func quicklyAtFirst(ctx context.Context, d *Document) error {
	const messages = 22
	return play(ctx, d, "Quickly at first, and then after 40 ms", each("delay 5ms"), capture.Framing{Proto: "tcp", Size: firstWords}, func(s *stage) {
		client, _ := s.connected()
		s.client.do("Speak", Order{Socket: client, N: messages, Size: firstWords, Every: apart})
		s.wait(apart)
	}, func(s *Scene, x *crossed) {
		quick, slow := 0, 0 // how many are confirmed at once, and how many of them behind one that was not
		var times []time.Duration
		for i := range messages {
			after := x.confirmedAfter(x.data(true, i))
			times = append(times, after)
			switch {
			case after >= heldBack/2:
				slow++
			case slow == 0:
				quick++
			}
		}
		first, last := times[0], times[messages-1]
		s.say(Figure{"quick", int64(quick), "messages"}, "Nobody reads at the server, and its kernel confirms by its own rule. The first %d messages, one every %s, were confirmed at once (the first after %s): a sender that has just begun is not to wait.",
			quick, ms(apart), ms(first))
		s.say(took("slow", last), "From then on it waited each time for something to put the confirmation on, and gave up after 40 ms and a tick of its clock (the last: %s). RFC 9293 §3.8.6.3: it MUST be less than half a second.", ms(last))

		s.between("the first is confirmed at once", 0, punctual, first)
		s.between("the last after 40 ms", heldBack, heldBackAtMost, last)
		s.timed("there is one change, from the one to the other", fmt.Sprintf("%d in all", messages), fmt.Sprintf("%d at once, then %d later", quick, slow), quick+slow == messages && quick > 0 && slow > 0)
	})
}

// confirmationLost is a call in which confirmations are lost, and nothing else.
func confirmationLost(ctx context.Context, d *Document) error {
	const messages, lost = 10, 2
	var hear Done
	// The server's first packet is the SYN+ACK.
	p := path("delay 25ms", "delay 25ms loss list 4,5")
	return play(ctx, d, "A confirmation is lost, and nobody misses it", p, capture.Framing{Proto: "tcp", Size: firstWords}, func(s *stage) {
		client, server := s.connected()
		_, hear = s.sayAll(client, server, Order{Proto: "tcp", N: messages, Size: firstWords, Every: toldPace})
		s.wait(slowly)
	}, func(s *Scene, x *crossed) {
		var missing []*capture.Crossing
		again := 0
		var high uint32
		for i := range x.all {
			c := &x.all[i]
			if c.Lost() {
				missing = append(missing, c)
			}
			if carries(c) {
				if c.Packet().TCP.RelSeq < high {
					again++
				}
				high = max(high, c.Packet().TCP.RelSeq+uint32(c.Packet().Length))
			}
		}
		if len(missing) == 0 {
			s.check("confirmations that are lost", fmt.Sprint(lost), "0", false)
			return
		}
		gone := missing[len(missing)-1]
		n := x.before(gone) + 1 + slices.IndexFunc(x.all[x.before(gone)+1:], func(c capture.Crossing) bool { return !c.Up && !c.Lost() })
		next := &x.all[n]
		s.say(packets("lost", len(missing)), "The path loses %d of the server's packets, bare confirmations: who sent them does not know, since nobody confirms a confirmation.", len(missing))
		s.say(Figure{"next", int64(next.Packet().TCP.RelAck), ""}, "The last of them said %d. The next one says %d, and with it everything in front of that: an ACK is the number of all that has come, and not of one packet.",
			gone.Packet().TCP.RelAck, next.Packet().TCP.RelAck)
		s.say(packets("again", again), "So %d segments were sent again, and the server read %d bytes.", again, hear.N)

		equal(s, "packets that are lost", lost, len(missing))
		equal(s, "of them such as carry something", 0, len(slices.DeleteFunc(slices.Clone(missing), bare)))
		equal(s, "bytes that are read", messages*firstWords, hear.N)
		s.check("the next confirmation says more than the lost one", fmt.Sprintf("over %d", gone.Packet().TCP.RelAck), fmt.Sprint(next.Packet().TCP.RelAck),
			next.Packet().TCP.RelAck > gone.Packet().TCP.RelAck)
		// The sender asks for a sign of life when it had none for two round trips (RFC
		// 8985 §7), which a machine that stood still can bring about.
		s.timed("segments that are sent again", "0", fmt.Sprint(again), again == 0)
	})
}

// manyAtOnce is a server that is told a lot.
func manyAtOnce(ctx context.Context, d *Document) error {
	const size, room = 200_000, 32 << 10
	p := path("delay 25ms rate 10mbit", "delay 25ms")
	return play(ctx, d, "One confirmation for several segments", p, capture.Framing{}, func(s *stage) {
		// While it offers more room, Linux confirms each segment at once (tcp_grow_window,
		// net/ipv4/tcp_input.c): it is given so much, and soon offers all of it.
		listener := s.server.open("tcp", port)
		s.server.do("Set", Order{Socket: listener, Level: unix.SOL_SOCKET, Option: unix.SO_RCVBUF, N: room})
		s.server.do("Listen", Order{Socket: listener, N: 1})
		client := s.client.open("tcp", 0)
		s.client.do("Connect", Order{Socket: client, To: toServer})
		server := s.server.do("Accept", Order{Socket: listener}).Socket
		// BBR sends in small portions, each with PSH, and Linux confirms such to a reader
		// who has read all. What is said without pacing has PSH at the end of a train.
		s.client.do("Set", Order{Socket: client, Level: unix.IPPROTO_TCP, Option: unix.TCP_CONGESTION, Text: "reno"})
		drained := s.server.begin("Drain", Order{Socket: server, N: size})
		s.client.do("Pour", Order{Socket: client, N: size})
		if d := drained(); d.Errno != "" {
			s.fail(fmt.Errorf("the server: %s", d.Errno))
		}
		s.wait(slowly)
	}, func(s *Scene, x *crossed) {
		segments := x.count(carries)
		var numbers []uint32 // that are confirmed
		for i := range x.all {
			if c := &x.all[i]; !c.Up && bare(c) && c.Packet().TCP.RelAck > 1 {
				numbers = append(numbers, c.Packet().TCP.RelAck)
			}
		}
		if len(numbers) == 0 {
			s.check("confirmations", "some", "0", false)
			return
		}
		full := uint32(x.data(true, 0).Packet().Length)
		var steps []uint32 // how many full segments each of them confirms
		for i := len(numbers) / 2; i < len(numbers)-1; i++ {
			steps = append(steps, (numbers[i+1]-numbers[i]+full/2)/full)
		}
		slices.Sort(steps)
		usual := steps[len(steps)/2]
		s.say(packets("segments", segments), "%d bytes are said in one go: they leave in %d segments of up to %d bytes, and %d confirmations come back.", size, segments, full, len(numbers))
		s.say(Figure{"each", int64(usual), "segments"}, "At first each segment has its own; of the second half of the confirmations half and more are for %d segments each. RFC 5681 §4.2: at least every second full-sized segment SHOULD be.", usual)

		equal(s, "the last confirmation is for all of it", uint32(size+1), numbers[len(numbers)-1])
		s.check("there are fewer confirmations than segments", fmt.Sprintf("under %d", segments), fmt.Sprint(len(numbers)), len(numbers) < segments)
		s.timed("at least every second segment is confirmed", fmt.Sprintf("%d or more", segments/2), fmt.Sprint(len(numbers)), len(numbers) >= segments/2)
		s.abridge(mostDrawn)
	})
}

// asked is how the questions of a scene went.
type asked struct {
	exchange, pause time.Duration // medians: until the answer came; between a question's first piece and its last
	early           int           // questions whose last piece left before the first was confirmed
	packets         int           // of an exchange
	questions       int           // that were looked at
}

// question asks some questions in so many pieces each and looks at those behind the
// first few, when both kernels have got to know the conversation.
func question(ctx context.Context, d *Document, title string, pieces int, gather bool, draw func(s *Scene, x *crossed, a asked)) error {
	const questions, known, size = 8, 4, 100
	var attended Done
	return play(ctx, d, title, each("delay 1ms"), capture.Framing{}, func(s *stage) {
		listener := s.listening(1)
		attending := s.server.begin("Attend", Order{Socket: listener, Calls: 1, Size: size, Answer: size})
		client := s.client.open("tcp", 0)
		s.client.do("Connect", Order{Socket: client, To: toServer})
		if gather {
			s.client.do("Set", Order{Socket: client, Level: unix.IPPROTO_TCP, Option: unix.TCP_NODELAY, N: 0})
		}
		s.client.do("Ask", Order{Socket: client, N: questions, Size: size, Pieces: pieces, Answer: size})
		s.wait(apart)
		s.client.do("Close", Order{Socket: client})
		if attended = attending(); attended.Errno != "" {
			s.fail(fmt.Errorf("the server: %s", attended.Errno))
		}
	}, func(s *Scene, x *crossed) {
		a := asked{questions: questions - known}
		var exchanges, pauses []time.Duration
		for i := known; i < questions; i++ {
			first, answer := x.data(true, i*pieces), x.data(false, i)
			last := x.data(true, (i+1)*pieces-1)
			exchanges = append(exchanges, since(sent(first), arrived(answer)))
			pauses = append(pauses, since(sent(first), sent(last)))
			if pieces > 1 && sent(last) < arrived(x.confirmation(first)) {
				a.early++
			}
			if i == questions-2 {
				a.packets = x.before(x.data(true, (i+1)*pieces)) - x.before(first)
			}
		}
		a.exchange, a.pause = median(exchanges), median(pauses)
		equal(s, "answers", questions, x.count(func(c *capture.Crossing) bool { return !c.Up && carries(c) }))
		draw(s, x, a)
	})
}

// nagle is a question in two pieces, by two rules that wait for each other; and two
// ways out.
func nagle(ctx context.Context, d *Document) error {
	const round = 2 * time.Millisecond
	err := question(ctx, d, "A question in two pieces: Nagle's rule meets the delayed confirmation", 2, true, func(s *Scene, x *crossed, a asked) {
		s.say(took("exchange", a.exchange), "The client says its question in two small pieces, and half of the answers took %s or more, where the round trip is %s.", ms(a.exchange), ms(round))
		s.say(took("pause", a.pause), "Nagle's rule (RFC 896): while something is not confirmed, a small segment waits for company. The second piece left %s after the first, when that was confirmed; "+
			"the server's kernel held the confirmation back for an answer, and its program could not answer half a question.", ms(a.pause))

		equal(s, "second pieces that leave before the first is confirmed", 0, a.early)
		s.between("the second piece waits for a confirmation that is held back, and for a round trip", heldBack+round, heldBackAtMost+round, a.pause)
		s.between("so the answer takes that and another round trip", heldBack+2*round, heldBackAtMost+2*round+punctual, a.exchange)
	})
	if err != nil {
		return err
	}
	pieces := 0
	err = question(ctx, d, "The same with TCP_NODELAY", 2, false, func(s *Scene, x *crossed, a asked) {
		pieces = a.packets
		s.say(took("exchange", a.exchange), "With the option TCP_NODELAY each piece leaves when it is said (%s after the first), and the answer comes after %s: one round trip.", ms(a.pause), ms(a.exchange))
		s.say(packets("packets", a.packets), "An exchange takes %d packets.", a.packets)

		s.timed("all second pieces leave before the first is confirmed", fmt.Sprint(a.questions), fmt.Sprint(a.early), a.early == a.questions)
		s.between("the answer takes a round trip", round, round+2*punctual, a.exchange)
	})
	if err != nil {
		return err
	}
	return question(ctx, d, "The same question in one piece, with Nagle's rule", 1, true, func(s *Scene, x *crossed, a asked) {
		s.say(took("exchange", a.exchange), "Said in one piece nothing is on the way that it could wait for: %s, one round trip, without any option.", ms(a.exchange))
		s.say(packets("packets", a.packets), "And an exchange takes %d packets, where the two pieces took %d.", a.packets, pieces)

		s.between("the answer takes a round trip", round, round+2*punctual, a.exchange)
		s.timed("packets are fewer than with two pieces", fmt.Sprintf("under %d", pieces), fmt.Sprint(a.packets), a.packets < pieces)
	})
}

// cost is what crossed the lab for some messages.
type cost struct{ packets, bytes, bare, bareBytes int }

// costs counts.
func (x *crossed) costs() (c cost) {
	for i := range x.all {
		size := len(x.all[i].Packet().Frame)
		c.packets++
		c.bytes += size
		if bare(&x.all[i]) {
			c.bare++
			c.bareBytes += size
		}
	}
	return c
}

// confirmationsCost is the same messages as a call and as letters.
func confirmationsCost(ctx context.Context, d *Document) error {
	tell := func(proto, title string, draw func(*Scene, cost)) error {
		var hear Done
		return play(ctx, d, title, each("delay 25ms"), capture.Framing{Proto: proto, Size: toldSize}, func(s *stage) {
			client, server := s.pair(proto)
			_, hear = s.sayAll(client, server, Order{Proto: proto, N: told, Size: toldSize, Every: toldPace})
			s.client.do("Close", Order{Socket: client})
			s.wait(slowly)
			s.server.do("Close", Order{Socket: server})
			s.wait(slowly)
		}, func(s *Scene, x *crossed) {
			equal(s, "bytes that are read", told*toldSize, hear.N)
			draw(s, x.costs())
		})
	}
	var call cost
	err := tell("tcp", "What the confirmations cost: 20 messages as a call", func(s *Scene, c cost) {
		call = c
		s.say(packets("packets", c.packets), "%d messages of %d bytes took %d packets and %d bytes, in both directions, with the beginning and the end.", told, toldSize, c.packets, c.bytes)
		s.say(packets("bare", c.bare), "%d of the packets do nothing but confirm: %d bytes, %.0f %% of all.", c.bare, c.bareBytes, 100*float64(c.bareBytes)/float64(c.bytes))

		// Each message has its own, unless several were on the way when one was written.
		s.timed("bare confirmations", fmt.Sprintf("%d or more", told), fmt.Sprint(c.bare), c.bare >= told)
	})
	if err != nil {
		return err
	}
	return tell("udp", "The same as letters", func(s *Scene, c cost) {
		s.say(packets("packets", c.packets), "As letters they took %d packets and %d bytes, and nothing came back.", c.packets, c.bytes)
		s.say(Figure{"bytes_more", int64(call.bytes - c.bytes), "bytes"}, "The call took %.1f times the packets and %.1f times the bytes: %d bytes more, of which %d are bare confirmations. That is the price of knowing that the messages came.",
			float64(call.packets)/float64(c.packets), float64(call.bytes)/float64(c.bytes), call.bytes-c.bytes, call.bareBytes)

		equal(s, "packets", told, c.packets)
		equal(s, "bytes: the messages, and 42 of headers for each (Ethernet, IP, UDP)", told*(toldSize+14+20+8), c.bytes)
		s.check("the call took more bytes", fmt.Sprintf("over %d", c.bytes), fmt.Sprint(call.bytes), call.bytes > c.bytes)
	})
}
