package lesson

import (
	"context"
	"slices"
	"strings"

	"netcmp/capture"
	"netcmp/lab"
)

func closing(ctx context.Context, d *Document) error {
	for _, scene := range []func(context.Context, *Document) error{fourPackets, halfClose, atOnce, aborted} {
		if err := scene(ctx, d); err != nil {
			return err
		}
	}
	last := d.Scenes[len(d.Scenes)-1]
	// RFC 9293 §3.3.2 has eleven states; the eleventh, CLOSED, "is fictional
	// because it represents the state when there is no TCB".
	equal(last, "the states that the kernel named in this lesson",
		"CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT, TIME_WAIT", strings.Join(named(d.Scenes), ", "))
	return nil
}

// named are the states that the kernel named in the scenes.
func named(scenes []*Scene) (names []string) {
	for _, s := range scenes {
		for _, x := range s.States {
			if x.State != gone && !slices.Contains(names, x.State) {
				names = append(names, x.State)
			}
		}
	}
	slices.Sort(names)
	return names
}

const (
	// slowly is the delay of this lesson's path, one way: the shortest state lasts as
	// long, and the sockets are looked at often enough to see it.
	slowly = 2 * delay
	// pause is how long an end goes on when the other one has hung up, so that what
	// answers the FIN is not its own FIN at the same time. An ACK may be delayed by
	// 40 ms (TCP_DELACK_MIN).
	pause = 4 * slowly
)

// watched plays the end of a connection, from its beginning, and says which states
// both ends had.
func watched(ctx context.Context, d *Document, title string, act func(s *stage, client, server int), draw func(*Scene, *crossed)) error {
	var states []State
	return play(ctx, d, title, each("delay 50ms"), capture.Framing{}, func(s *stage) {
		s.watch(lookEvery)
		ours, theirs := s.connected()
		// As a conversation goes on: the end is not to be mixed up with the beginning.
		s.wait(pause)
		act(s, ours, theirs)
		s.wait(pause) // the last packets cross, and have their effect
		states = s.watched()
	}, func(s *Scene, x *crossed) {
		s.States = states
		x.accompany(s.States)
		draw(s, x)
		alone := 0
		for _, state := range s.States {
			if state.Peer != 0 && len(state.With) == 0 {
				alone++
			}
		}
		equal(s, "changes of state without a packet", 0, alone)
	})
}

// endings are the segments with a FIN or RST, and everything behind the first of
// them, as one line.
func (x *crossed) endings() string {
	var all []string
	for i := range x.all {
		t := x.all[i].Packet().TCP
		if t == nil || len(all) == 0 && t.Flags&(capture.FIN|capture.RST) == 0 {
			continue
		}
		from := lab.Server
		if x.all[i].Up {
			from = lab.Client
		}
		// A FIN is an ACK of what came before, as every segment but the first is.
		flags := strings.TrimSuffix(t.Flags.String(), "+ACK")
		if x.all[i].Packet().Length > 0 {
			flags = "data"
		}
		all = append(all, from.String()+" "+flags)
	}
	return strings.Join(all, ", ")
}

// fourPackets is the usual end.
func fourPackets(ctx context.Context, d *Document) error {
	return watched(ctx, d, "The client hangs up first", func(s *stage, client, server int) {
		s.client.do("Close", Order{Socket: client})
		s.server.do("Receive", Order{Socket: server, N: firstWords})
		s.wait(pause)
		s.server.do("Close", Order{Socket: server})
	}, func(s *Scene, x *crossed) {
		fin, ack := x.segment(true, capture.FIN|capture.ACK, 0), x.segment(false, capture.ACK, 0)
		theirs := x.segment(false, capture.FIN|capture.ACK, 0)
		n := len(x.all) - x.before(fin)
		s.say(packets("packets", n), "%d packets end a connection, two for each direction: a FIN, which counts as one byte, and its confirmation.", n)
		alone := since(arrived(ack), arrived(theirs))
		s.say(took("half_closed", alone), "Between them the connection was closed in one direction only: the client had been confirmed for %s when the server's FIN came.", ms(alone))
		s.say(Figure{"states", int64(len(s.States)), ""}, "The client goes by FIN_WAIT1 and FIN_WAIT2 to TIME_WAIT, where it remains: "+
			"its last ACK may be lost, and then it has to say it again. The server goes by CLOSE_WAIT and LAST_ACK, and is done. The kernel told %d changes.", len(s.States))

		equal(s, "the packets of the end", "client FIN, server ACK, server FIN, client ACK", x.endings())
		equal(s, "the ACK confirms the FIN as one byte", fin.Packet().TCP.Seq+1, ack.Packet().TCP.Ack)
		equal(s, "the client's states", "SYN_SENT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, TIME_WAIT", course(s.States, lab.Client))
		equal(s, "the server's states", "SYN_RECV, ESTABLISHED, CLOSE_WAIT, LAST_ACK, "+gone, course(s.States, lab.Server))
	})
}

// halfClose ends one direction while the other goes on.
func halfClose(ctx context.Context, d *Document) error {
	var read Done
	return watched(ctx, d, "The server hangs up first, and the client goes on talking", func(s *stage, client, server int) {
		s.server.do("Shutdown", Order{Socket: server})
		s.client.do("Receive", Order{Socket: client, N: firstWords})
		s.wait(pause)
		s.client.do("Send", Order{Socket: client, N: firstWords})
		read = s.server.do("Receive", Order{Socket: server, N: firstWords})
		s.wait(pause)
		s.client.do("Close", Order{Socket: client})
		s.server.do("Receive", Order{Socket: server, N: firstWords})
		s.server.do("Close", Order{Socket: server})
	}, func(s *Scene, x *crossed) {
		fin, words := x.segment(false, capture.FIN|capture.ACK, 0), x.data(true, 0)
		later := since(sent(fin), sent(words))
		s.say(took("later", later), "The server has said that it will say no more (shutdown()). %s after its FIN the client still says something, and the server reads all %d bytes.",
			ms(later), read.N)
		s.say(Figure{"read", int64(read.N), "bytes"}, "A FIN is about one direction: who sends it can still hear. It is the one that closes first that ends in TIME_WAIT, and here that is the server.")

		equal(s, "the packets of the end", "server FIN, client ACK, client data, server ACK, client FIN, server ACK", x.endings())
		equal(s, "bytes that the server reads after its FIN", firstWords, read.N)
		equal(s, "the client's states", "SYN_SENT, ESTABLISHED, CLOSE_WAIT, LAST_ACK, "+gone, course(s.States, lab.Client))
		equal(s, "the server's states", "SYN_RECV, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, TIME_WAIT", course(s.States, lab.Server))
	})
}

// atOnce closes both ends before either has heard of the other's.
func atOnce(ctx context.Context, d *Document) error {
	return watched(ctx, d, "Both hang up at once", func(s *stage, client, server int) {
		ours := s.client.begin("Close", Order{Socket: client})
		theirs := s.server.begin("Close", Order{Socket: server})
		ours()
		theirs()
	}, func(s *Scene, x *crossed) {
		ours, theirs := x.segment(true, capture.FIN|capture.ACK, 0), x.segment(false, capture.FIN|capture.ACK, 0)
		apart := since(min(sent(ours), sent(theirs)), max(sent(ours), sent(theirs)))
		s.say(took("apart", apart), "The two FINs left %s apart and crossed on the way: each end has sent one and gets another where it waits for an ACK.", ms(apart))
		s.say(took("delay", since(sent(ours), arrived(ours))), "Between the other's FIN and the ACK of its own, which took %s to cross like all others, "+
			"each is CLOSING, a state that is otherwise never seen. Both end in TIME_WAIT.", ms(since(sent(ours), arrived(ours))))

		s.timed("both FINs are sent before either arrives", "less than "+ms(slowly)+" apart", ms(apart), apart < slowly)
		equal(s, "the client's states", "SYN_SENT, ESTABLISHED, FIN_WAIT1, CLOSING, TIME_WAIT", course(s.States, lab.Client))
		equal(s, "the server's states", "SYN_RECV, ESTABLISHED, FIN_WAIT1, CLOSING, TIME_WAIT", course(s.States, lab.Server))
	})
}

// aborted is an end without a farewell.
func aborted(ctx context.Context, d *Document) error {
	var read Done
	return watched(ctx, d, "The client slams the receiver down", func(s *stage, client, server int) {
		s.client.do("Abort", Order{Socket: client})
		read = s.server.try("Receive", Order{Socket: server, N: firstWords})
	}, func(s *Scene, x *crossed) {
		rst := x.segment(true, capture.RST|capture.ACK, 0)
		n := len(x.all) - x.before(rst)
		s.say(packets("packets", n), "With SO_LINGER and no time, close() sends %d packet, an RST, and nobody confirms it. Both sockets are gone at once, without TIME_WAIT.", n)
		after := since(arrived(rst), read.Ended)
		s.say(took("reset", after), "The server's read fails with %s, %s after the RST has come: to be reset is an error, where a FIN is an end.", read.Errno, ms(after))

		equal(s, "the packets of the end", "client RST", x.endings())
		equal(s, "what the server's read says", "ECONNRESET", read.Errno)
		equal(s, "the client's states", "SYN_SENT, ESTABLISHED, "+gone, course(s.States, lab.Client))
		equal(s, "the server's states", "SYN_RECV, ESTABLISHED, "+gone, course(s.States, lab.Server))
	})
}
