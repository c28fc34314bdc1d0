package lesson

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/capture"
)

// claimsChecked tries sentences that courses say of TCP and UDP.
func claimsChecked(ctx context.Context, d *Document) error {
	for _, try := range []func(context.Context, *Document) error{faster, stable, hardlyLoses, lifetime, shortConnections, tenStates} {
		if err := try(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// hardly says whether one time is longer than another by so little that nobody
// notices: by less than a tenth.
func hardly(more, than time.Duration) bool { return more-than < than/10 }

// faster: "UDP is a little faster, hardly noticeable".
func faster(ctx context.Context, d *Document) error {
	c := d.claim("UDP is a little faster than TCP, hardly noticeable.", "TCP takes longer by less than a tenth of UDP's time")
	if err := fasterOnClean(ctx, d, c); err != nil {
		return err
	}
	letters, err := tell(ctx, d, "udp", "Faster? One of 20 letters is lost", toldLost, func(s *Scene, _ *crossed, t *telling) {
		slowest := t.slowest()
		s.say(took("slowest", slowest), "Of the letters that came the slowest took %s; one never came.", ms(slowest))
		equal(s, "messages that are read", told-1, t.count(func(i int) bool { return t.read[i] != 0 }))
	})
	if err != nil {
		return err
	}
	_, err = tell(ctx, d, "tcp", "Faster? The same loss in a call", toldLost+2, func(s *Scene, _ *crossed, t *telling) {
		one, other := t.slowest(), letters.slowest()
		s.say(took("slowest", one), "All messages came, the slowest after %s: %.1f times what the slowest letter took.", ms(one), float64(one)/float64(other))
		c.found(s, hardly(one, other), "a packet is lost", "the slowest message that came took %s over TCP, %s over UDP", ms(one), ms(other))

		equal(s, "messages that are read", told, t.count(func(i int) bool { return t.read[i] != 0 }))
		s.timed("the repair takes a round trip more than a message, or longer", ms(3*delay)+" or more", ms(one), one >= 3*delay)
	})
	return err
}

// slowest is the longest delay of the messages that were read.
func (t *telling) slowest() (d time.Duration) {
	for i := range told {
		if t.read[i] != 0 {
			d = max(d, t.delay(i))
		}
	}
	return d
}

// halves is the median of the times between two series of instants.
func halves(from, to []int64) time.Duration {
	var all []time.Duration
	for i := range from {
		if i < len(to) && to[i] != 0 {
			all = append(all, since(from[i], to[i]))
		}
	}
	return median(all)
}

// fasterOnClean is a call and letters through the same path, which loses nothing.
func fasterOnClean(ctx context.Context, d *Document, c *Claim) error {
	type side struct{ speak, hear Done }
	sides := map[string]*side{"tcp": {}, "udp": {}}
	return play(ctx, d, "Faster? Nothing is lost", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		listener := s.listening(1)
		letters := s.server.open("udp", port)
		for _, proto := range []string{"tcp", "udp"} {
			x := sides[proto]
			client := s.client.open(proto, 0)
			accepted := func() Done { return Done{Socket: letters} }
			if proto == "tcp" {
				accepted = s.server.begin("Accept", Order{Socket: listener})
			}
			s.client.do("Connect", Order{Socket: client, To: toServer})
			// The client is connected first, and need not wait until the server is.
			spoken := s.client.begin("Speak", Order{Socket: client, N: told, Size: toldSize, Every: toldPace})
			x.hear = s.server.do("Hear", Order{Proto: proto, Socket: accepted().Socket, N: told, Size: toldSize})
			x.speak = spoken()
			s.wait(slowly)
		}
	}, func(s *Scene, x *crossed) {
		call, letters := sides["tcp"], sides["udp"]
		one, other := halves(call.speak.Times, call.hear.Times), halves(letters.speak.Times, letters.hear.Times)
		s.say(took("tcp", one), "Over a connection that stands, half of %d messages took %s or more.", told, ms(one))
		s.say(took("udp", other), "As letters %s: the path's delay is the same for both, and what the hosts add is microseconds.", ms(other))
		c.found(s, hardly(one, other), "the connection stands and nothing is lost", "the median message took %s over TCP, %s over UDP", ms(one), ms(other))

		syn, words, letter := x.segment(true, capture.SYN, 0), x.data(true, 0), x.datagram(true, 0)
		begun, sent := since(sent(syn), arrived(words)), since(sent(letter), arrived(letter))
		s.say(took("tcp_first", begun), "With the call itself the first message is with the server after %s; the first letter after %s.", ms(begun), ms(sent))
		c.found(s, hardly(begun, sent), "the connection has to be made first", "the first message was there after %s over TCP, %s over UDP", ms(begun), ms(sent))

		equal(s, "messages read over TCP", told*toldSize, call.hear.N)
		equal(s, "messages read over UDP", told*toldSize, letters.hear.N)
		s.check("a new call's first message takes three times the path's delay, or longer", ms(3*delay)+" or more", ms(begun), begun >= 3*delay)
		s.between("half of the letters take the path's delay, or little more", delay, delay+near, other)
		s.between("and so do half of the messages of a call that stands", delay, delay+near, one)
	})
}

// stable: "TCP is stable because every packet is confirmed".
func stable(ctx context.Context, d *Document) error {
	c := d.claim("TCP is stable because every packet is confirmed.", "every message is heard, once and in order, whatever the path does")
	if err := someLost(ctx, d, c); err != nil {
		return err
	}
	return pathCut(ctx, d, c)
}

// someLost is a path that loses some of the data and some of the confirmations.
func someLost(ctx context.Context, d *Document, c *Claim) error {
	var hear Done
	// Of the client's packets 0 is the SYN and 1 the handshake's ACK; of the server's
	// 0 is the SYN+ACK.
	p := path("delay 25ms loss list 6,11,16", "delay 25ms loss list 3,4")
	return play(ctx, d, "Stable? Packets are lost in both directions", p, capture.Framing{Proto: "tcp", Size: toldSize}, func(s *stage) {
		client, server := s.connected()
		_, hear = s.sayAll(client, server, Order{Proto: "tcp", N: told, Size: toldSize, Every: toldPace})
		s.wait(slowly)
	}, func(s *Scene, x *crossed) {
		read, disorder := 0, 0
		for i, at := range hear.Times {
			if at != 0 {
				read++
			}
			if i > 0 && at < hear.Times[i-1] {
				disorder++
			}
		}
		lost, lostBare, silent := 0, 0, 0
		for i := range x.all {
			x := &x.all[i]
			switch {
			case x.Lost() && bare(x):
				lostBare++
			case x.Lost():
				lost++
			}
			if bare(x) {
				silent++
			}
		}
		s.say(packets("lost", lost), "%d packets with messages were lost, and of them %d messages were read, %d out of order: what nobody confirmed was sent again.", lost, read, disorder)
		s.say(packets("bare", silent), "But not every packet is confirmed: of %d there were %d bare confirmations, and those nobody confirms. %d of them were lost, and nothing came of it.", len(x.all), silent, lostBare)
		c.found(s, read == told && disorder == 0, "packets are lost now and then", "%d of %d messages heard in order, though %d packets with data and %d confirmations were lost", read, told, lost, lostBare)

		equal(s, "messages that are read", told, read)
		equal(s, "messages that are read before an earlier one", 0, disorder)
		s.check("packets with messages that are lost", "some", fmt.Sprint(lost), lost > 0)
		s.check("bare confirmations that are lost", "some", fmt.Sprint(lostBare), lostBare > 0)
	})
}

// pathCut is a path that carries nothing any more.
func pathCut(ctx context.Context, d *Document, c *Claim) error {
	const heard, giveUp = 10, time.Second
	var speak, hear, reply Done
	p := path(fmt.Sprintf("delay 25ms loss list %d-200", heard+2), "delay 25ms")
	return play(ctx, d, "Stable? The path is cut in the middle", p, capture.Framing{Proto: "tcp", Size: toldSize}, func(s *stage) {
		client, server := s.connected()
		// Otherwise a call is given up after some fifteen retransmissions, a quarter of
		// an hour (tcp_retries2).
		s.client.do("Set", Order{Socket: client, Level: unix.IPPROTO_TCP, Option: unix.TCP_USER_TIMEOUT, N: int(giveUp / time.Millisecond)})
		hearing := s.server.begin("Hear", Order{Proto: "tcp", Socket: server, N: told, Size: toldSize, Patience: giveUp + silence})
		speak = s.client.do("Speak", Order{Socket: client, N: told, Size: toldSize, Every: toldPace})
		reply = s.client.try("Receive", Order{Socket: client, N: firstWords})
		if hear = hearing(); hear.Errno != "EAGAIN" {
			s.fail(fmt.Errorf("the server: %q", hear.Errno))
		}
	}, func(s *Scene, x *crossed) {
		read := hear.N / toldSize
		tries := x.count(func(c *capture.Crossing) bool { return c.Up && c.Lost() })
		s.say(Figure{"read", int64(read), "messages"}, "%d of %d messages were heard. All %d calls of send() had succeeded: it takes what it is given, and promises nothing.", read, told, len(speak.Times))
		whole := since(speak.Times[0], reply.Ended)
		s.say(took("given_up", whole), "After %d packets that nobody confirmed, and %s after the first message, the client is told %s (it had asked to be told after %s without a confirmation): "+
			"it then knows that something is missing, and not what.", tries, ms(whole), reply.Errno, ms(giveUp))
		c.found(s, read == told, "the path is cut", "%d of %d messages heard, then %s", read, told, reply.Errno)

		equal(s, "messages that are read", heard, read)
		equal(s, "what send() took", told, len(speak.Times))
		equal(s, "what the client's read says at last", "ETIMEDOUT", reply.Errno)
		s.check("the client is not told before it had to wait", ms(giveUp)+" or more", ms(whole), whole >= giveUp)
	})
}

// hardlyLoses: "UDP hardly ever loses".
func hardlyLoses(ctx context.Context, d *Document) error {
	c := d.claim("UDP hardly ever loses anything.", "at most one of a hundred messages is missing")
	const letters = 100
	lose := func(title, when string, p string, every time.Duration, buffer int, law func(s *Scene, sent, arrived, read int)) error {
		var hear Done
		return play(ctx, d, title, path(p, "delay 25ms"), capture.Framing{Proto: "udp", Size: toldSize}, func(s *stage) {
			client, server := s.pair("udp")
			o := Order{Proto: "udp", N: letters, Size: toldSize, Every: every, Patience: silence}
			if buffer == 0 {
				_, hear = s.sayAll(client, server, o)
				return
			}
			s.server.do("Set", Order{Socket: server, Level: unix.SOL_SOCKET, Option: unix.SO_RCVBUF, N: buffer})
			o.Socket = client
			s.client.do("Speak", o)
			s.wait(silence)
			o.Socket = server
			hear = s.server.try("Hear", o)
		}, func(s *Scene, x *crossed) {
			came := x.count(func(c *capture.Crossing) bool { return !c.Lost() })
			read := 0
			for _, at := range hear.Times {
				if at != 0 {
					read++
				}
			}
			s.say(packets("arrived", came), "Of %d letters %d came to the server's door.", len(x.all), came)
			s.say(Figure{"read", int64(read), "messages"}, "%d of them were read; nobody tells the sender which.", read)
			c.found(s, (letters-read)*100 <= letters, when, "%d of %d missing", letters-read, letters)
			law(s, len(x.all), came, read)
			s.abridge(mostDrawn)
		})
	}
	err := lose("Does it lose? A path that loses nothing, and a reader who reads", "nothing is lost on the way and somebody reads", "delay 25ms", 2*time.Millisecond, 0, func(s *Scene, sent, arrived, read int) {
		equal(s, "letters that arrive", letters, arrived)
		equal(s, "letters that are read", letters, read)
	})
	if err != nil {
		return err
	}
	err = lose("Does it lose? A path that loses some", "the path loses 4 of a hundred", "delay 25ms loss list 10,30,50,70", 2*time.Millisecond, 0, func(s *Scene, sent, arrived, read int) {
		equal(s, "letters that are missing, as many as the path loses", 4, sent-read)
		equal(s, "letters that are sent, each once", letters, sent)
	})
	if err != nil {
		return err
	}
	err = lose("Does it lose? Letters faster than the path", "they are sent faster than the path carries them", "delay 25ms rate 1mbit limit 20", 0, 0, func(s *Scene, sent, arrived, read int) {
		equal(s, "all that arrive are read", arrived, read)
		s.check("the queue in front of the path overflows", fmt.Sprintf("under %d arrive", sent), fmt.Sprint(arrived), arrived < sent)
	})
	if err != nil {
		return err
	}
	return lose("Does it lose? A reader who comes late", "the reader comes late", "delay 25ms", 0, 4096, func(s *Scene, sent, arrived, read int) {
		equal(s, "the path loses nothing", sent, arrived)
		s.check("the socket's buffer overflows", fmt.Sprintf("under %d are read", arrived), fmt.Sprint(read), read < arrived)
	})
}

// lifetime: "MSL is 1–2 minutes".
func lifetime(ctx context.Context, d *Document) error {
	c := d.claim("The maximum segment lifetime (MSL) is 1 to 2 minutes.", "the time that a socket stays in TIME_WAIT, which is to be 2 MSL, is 2 to 4 minutes")
	const watched = 2 * time.Second
	var closed, first, last Done
	return play(ctx, d, "How long is 2 MSL? The kernel's own timer", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		client, server := s.connected()
		closed = s.client.do("Close", Order{Socket: client})
		s.server.do("Receive", Order{Socket: server, N: firstWords})
		s.server.do("Close", Order{Socket: server})
		s.wait(slowly)
		first = s.client.do("List", Order{})
		s.wait(watched)
		last = s.client.do("List", Order{})
	}, func(s *Scene, x *crossed) {
		before, after := timers(first.Sockets), timers(last.Sockets)
		if len(before) != 1 || len(after) != 1 {
			x.err = fmt.Errorf("%d and %d sockets are in TIME_WAIT, and not one", len(before), len(after))
			return
		}
		fin := x.segment(false, capture.FIN|capture.ACK, 0) // with it TIME_WAIT begins, or anew
		left, fell := after[0], before[0]-after[0]
		passed := since(first.Ended, last.Ended)
		whole := since(arrived(fin), last.Ended) + left
		msl := whole / 2
		s.say(took("left", left), "The client closed first, and is in TIME_WAIT since the server's FIN came. %s later the kernel's timer has %s to run.", ms(since(arrived(fin), last.Ended)), ms(left))
		s.say(took("fell", fell), "In %s it fell by %s: it is a clock that runs down, and it need not be waited for.", ms(passed), ms(fell))
		s.say(took("time_wait", whole), "Together that is %.1f s, and if TIME_WAIT is 2 MSL, MSL is %.1f s. RFC 9293 §3.4.2 takes 2 minutes; Linux has one constant for TIME_WAIT (TCP_TIMEWAIT_LEN).", whole.Seconds(), msl.Seconds())
		c.found(s, msl >= time.Minute && msl <= 2*time.Minute, "it is this kernel that is asked", "TIME_WAIT lasts %.1f s, so MSL would be %.1f s", whole.Seconds(), msl.Seconds())

		// The kernel counts in ticks, of which there may be 100 a second, and both
		// readings are somewhere in theirs.
		const ticks = 50 * time.Millisecond
		s.between("the timer falls as time goes by", passed-ticks, passed+ticks, fell)
		s.between("TIME_WAIT lasts a minute on Linux", time.Minute-time.Second, time.Minute+time.Second, whole)
		s.check("close() comes before TIME_WAIT", "earlier", ms(since(closed.Began, arrived(fin)))+" earlier", closed.Began < arrived(fin))
	})
}

// shortConnections: "a short connection costs time and bandwidth".
func shortConnections(ctx context.Context, d *Document) error {
	c := d.claim("A short connection costs time and bandwidth.", "a connection for each question takes a tenth more time and a tenth more bytes, or more, than one for all")
	type bill struct {
		time           time.Duration
		packets, bytes int
	}
	consult := func(title, when, words string, questions, answer int, law func(s *Scene, long, short bill)) error {
		var asking [2]Done
		calls := [2]int{1, questions}
		return play(ctx, d, title, each(words), capture.Framing{}, func(s *stage) {
			listener := s.listening(questions)
			for i, n := range calls {
				attending := s.server.begin("Attend", Order{Socket: listener, Calls: n, Size: firstWords, Answer: answer})
				asking[i] = s.client.do("Consult", Order{To: toServer, N: questions, Calls: n, Size: firstWords, Answer: answer})
				if d := attending(); d.Errno != "" {
					s.fail(fmt.Errorf("the server: %s", d.Errno))
				}
				s.wait(2 * slowly)
			}
		}, func(s *Scene, x *crossed) {
			var bills [2]bill
			for i := range bills {
				bills[i].time = since(asking[i].Began, asking[i].Ended)
			}
			for i := range x.all {
				n := 0
				if sent(&x.all[i]) >= asking[1].Began {
					n = 1
				}
				bills[n].packets++
				bills[n].bytes += len(x.all[i].Packet().Frame)
			}
			long, short := bills[0], bills[1]
			s.say(took("long", long.time), "%d questions on one connection: %s, %d packets, %d bytes.", questions, ms(long.time), long.packets, long.bytes)
			s.say(took("short", short.time), "A connection for each: %s, %d packets, %d bytes.", ms(short.time), short.packets, short.bytes)
			s.say(packets("more", short.packets-long.packets), "That is %d packets more, and %.1f %% more bytes: %d for each connection that the one does not need.",
				short.packets-long.packets, percentMore(short.bytes, long.bytes), (short.bytes-long.bytes)/(questions-1))
			costs := short.time >= long.time+long.time/10 && short.bytes >= long.bytes+long.bytes/10
			c.found(s, costs, when, "%.0f %% more time, %.1f %% more bytes", percentMore(int(short.time), int(long.time)), percentMore(short.bytes, long.bytes))
			law(s, long, short)
			s.abridge(mostDrawn)
		})
	}
	const questions, many = 5, 50 // many: where each takes no time, chance is to be a small part
	err := consult("Long or short? Small answers from afar", "little is said, to somebody far away (a round trip of 50 ms)", "delay 25ms", questions, firstWords, func(s *Scene, long, short bill) {
		// Each question takes a round trip, and each connection another.
		const round = 2 * delay
		s.check("one connection takes a round trip more than its questions", ms((questions+1)*round)+" or more", ms(long.time), long.time >= (questions+1)*round)
		s.check("a connection each takes two a question", ms(2*questions*round)+" or more", ms(short.time), short.time >= 2*questions*round)
		s.timed("the difference is a round trip for each connection more", fmt.Sprint(questions-1), fmt.Sprint(int((short.time-long.time+round/2)/round)),
			int((short.time-long.time+round/2)/round) == questions-1)
		s.check("short connections take more packets", fmt.Sprintf("over %d", long.packets), fmt.Sprint(short.packets), short.packets > long.packets)
	})
	if err != nil {
		return err
	}
	err = consult("Long or short? Small answers from next door", "little is said, to somebody near (no delay)", "", many, firstWords, func(s *Scene, long, short bill) {
		s.check("short connections take more packets", fmt.Sprintf("over %d", long.packets), fmt.Sprint(short.packets), short.packets > long.packets)
		s.check("and more bytes", fmt.Sprintf("over %d", long.bytes), fmt.Sprint(short.bytes), short.bytes > long.bytes)
	})
	if err != nil {
		return err
	}
	const big = 200_000
	return consult("Long or short? Big answers from afar", "much is said (200 kB each)", "delay 25ms", questions, big, func(s *Scene, long, short bill) {
		s.check("all answers cross, and more", fmt.Sprintf("over %d bytes", questions*big), fmt.Sprint(min(long.bytes, short.bytes)), min(long.bytes, short.bytes) > questions*big)
		s.check("a connection each takes two round trips a question, or more", ms(2*questions*2*delay)+" or more", ms(short.time), short.time >= 2*questions*2*delay)
	})
}

// percentMore is by how many percent one number is more than another.
func percentMore(a, b int) float64 { return 100 * (float64(a)/float64(b) - 1) }

// tenStates: "there are ten states".
func tenStates(ctx context.Context, d *Document) error {
	c := d.claim("A TCP connection has ten states.", "the kernel names ten, in two calls of which one is ended in turn and one by both at once")
	first := len(d.Scenes)
	if err := fourPackets(ctx, d); err != nil {
		return err
	}
	if err := atOnce(ctx, d); err != nil {
		return err
	}
	scenes := d.Scenes[first:]
	names := named(scenes)
	vanished := 0
	for _, s := range scenes {
		for _, x := range s.States {
			if x.State == gone {
				vanished++
			}
		}
	}
	last := scenes[len(scenes)-1]
	last.say(Figure{"states", int64(len(names)), "states"}, "In these two calls the kernel named %d states. RFC 9293 §3.3.2 lists eleven: the eleventh, CLOSED, is that of no connection at all, and %d of the sockets ended as just that.", len(names), vanished)
	c.found(last, len(names) == 10, "CLOSED is left out, in which there is no connection", "%d states were named", len(names))
	c.found(last, len(names)+min(vanished, 1) == 10, "CLOSED is counted, as RFC 9293 does", "%d with that of no socket", len(names)+min(vanished, 1))
	equal(last, "states that the kernel named", 10, len(names))
	last.check("sockets that ended in no state", "some", fmt.Sprint(vanished), vanished > 0)
	return nil
}
