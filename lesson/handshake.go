package lesson

import (
	"context"
	"fmt"
	"strings"
	"time"

	"netcmp/capture"
)

const (
	delay = 25 * time.Millisecond // one way, of the lessons' paths
	// punctual is how far a round trip may be from the path's, as the packets have
	// it, and so how long a host may take for an answer.
	punctual = time.Millisecond
	// firstWords are what is said over a new connection, bytes.
	firstWords = 100
)

func handshake(ctx context.Context, d *Document) error {
	for _, scene := range []func(context.Context, *Document) error{made, again, synLost, refused, backlogFull, letter, overTLS, overQUIC} {
		if err := scene(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// made is a connection that is made and spoken over.
func made(ctx context.Context, d *Document) error {
	var connect Done
	return play(ctx, d, "A connection is made", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		listener := s.listening(1)
		client := s.client.open("tcp", 0)
		connect = s.client.do("Connect", Order{Socket: client, To: toServer})
		s.client.do("Send", Order{Socket: client, N: firstWords})
		server := s.server.do("Accept", Order{Socket: listener}).Socket
		s.server.do("Receive", Order{Socket: server, N: firstWords})
	}, func(s *Scene, x *crossed) {
		syn, synAck, ack := x.segment(true, capture.SYN, 0), x.segment(false, capture.SYN|capture.ACK, 0), x.segment(true, capture.ACK, 0)
		words := x.data(true, 0)
		j, k := syn.Packet().TCP.Seq, synAck.Packet().TCP.Seq
		x.note(s, syn, "J")
		x.note(s, synAck, "K, J+1")
		x.note(s, ack, "J+1, K+1")
		s.say(Figure{"J", int64(j), ""}, "The client calls: a packet with the flag SYN carries the number that its bytes will be counted from, J = %d.", j)
		s.say(Figure{"K", int64(k), ""}, "The server answers with SYN and ACK in one packet: its own number K = %d, and J+1 = %d, the number that it expects next.",
			k, synAck.Packet().TCP.Ack)
		s.say(Figure{"K+1", int64(ack.Packet().TCP.Ack), ""}, "The client confirms with K+1 = %d: a SYN counts as one byte, so that it can be confirmed like one.", ack.Packet().TCP.Ack)
		round := since(sent(syn), arrived(synAck))
		s.say(took("round_trip", round), "From SYN to SYN+ACK the client waited %s: one round trip of this path, which holds each packet for %s.", ms(round), ms(delay))
		early := since(connect.Ended, arrived(ack))
		s.say(took("client_first", early), "connect() returned %s before the server had the last of the three: the client is connected first.", ms(early))
		s.say(packets("before_data", x.before(words)), "%d packets crossed before the first byte that anybody wanted to send; it came %s after the call began.",
			x.before(words), ms(since(connect.Began, arrived(words))))
		offers := options(syn.Packet().TCP)
		s.say(Figure{"options", int64(len(offers)), ""}, "The SYN makes %d offers: %s. The SYN+ACK takes them up: %s.",
			len(offers), strings.Join(offers, ", "), strings.Join(options(synAck.Packet().TCP), ", "))

		equal(s, "SYN+ACK acknowledges J+1", j+1, synAck.Packet().TCP.Ack)
		equal(s, "the last ACK acknowledges K+1", k+1, ack.Packet().TCP.Ack)
		equal(s, "the last ACK has the number J+1", j+1, ack.Packet().TCP.Seq)
		equal(s, "packets before the first byte of data", 3, x.before(words))
		equal(s, "options of the SYN", "MSS, SACK permitted, timestamps, window scale", kinds(syn.Packet().TCP))
		equal(s, "options of the SYN+ACK", "MSS, SACK permitted, timestamps, window scale", kinds(synAck.Packet().TCP))
		there, back := since(sent(syn), arrived(syn)), since(sent(synAck), arrived(synAck))
		s.between("SYN to SYN+ACK takes no longer than the two packets did", there+back, there+back+punctual, round)
		s.check("and they are not there before their time", ms(2*delay)+" or more", ms(there+back), there >= delay && back >= delay)
		s.check("connect() returns before the server has the ACK", "earlier", ms(early)+" earlier", early > 0)
	})
}

// again is some calls, one after the other.
func again(ctx context.Context, d *Document) error {
	const calls = 5
	return play(ctx, d, "The same five times", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.listening(calls)
		for range calls {
			s.client.do("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
		}
	}, func(s *Scene, x *crossed) {
		numbers := map[uint32]bool{}
		least := time.Duration(1<<63 - 1)
		for n := range calls {
			syn, synAck := x.segment(true, capture.SYN, n), x.segment(false, capture.SYN|capture.ACK, n)
			numbers[syn.Packet().TCP.Seq] = true
			numbers[synAck.Packet().TCP.Seq] = true
			least = min(least, since(sent(syn), arrived(synAck)))
		}
		s.say(Figure{"numbers", int64(len(numbers)), ""}, "%d calls and their answers begin with %d different numbers: "+
			"a packet of an earlier call is not to be taken for one of this, and a stranger is not to guess them (RFC 9293 §3.4.1).", calls, len(numbers))
		s.say(took("least", least), "The shortest time from SYN to SYN+ACK is %s: what a handshake measures, without being asked, is the path's round trip.", ms(least))

		equal(s, "different initial numbers", 2*calls, len(numbers))
		s.between("the shortest is the path's round trip", 2*delay, 2*delay+punctual, least)
	})
}

// firstRetry is how long a SYN goes unanswered before it is sent again: the
// retransmission timer begins with one second (RFC 6298 §2.1). The kernel's timer
// wheel rounds a second up by as much as 80 ms (kernel/time/timer.c, HZ=100),
// and the rest is for a busy machine.
const (
	firstRetry       = time.Second
	firstRetryAtMost = firstRetry + 100*time.Millisecond
)

// synLost is a connection whose first packet is lost.
func synLost(ctx context.Context, d *Document) error {
	var connect Done
	return play(ctx, d, "The first SYN is lost", path("delay 25ms loss list 0", "delay 25ms"), capture.Framing{}, func(s *stage) {
		s.listening(1)
		connect = s.client.do("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
	}, func(s *Scene, x *crossed) {
		lost, again, synAck := x.segment(true, capture.SYN, 0), x.segment(true, capture.SYN, 1), x.segment(false, capture.SYN|capture.ACK, 0)
		retry := since(sent(lost), sent(again))
		s.say(took("retry", retry), "Nobody answers, and after %s the client sends its SYN again: it knows no round trip of this path yet, so it waits a second.", ms(retry))
		whole := since(connect.Began, connect.Ended)
		s.say(took("connect", whole), "connect() took %s: one small packet lost at this moment costs more than any later one.", ms(whole))

		equal(s, "the first SYN is lost", true, lost.Lost())
		equal(s, "the second SYN has the same number J", lost.Packet().TCP.Seq, again.Packet().TCP.Seq)
		s.between("the second SYN comes after a second", firstRetry, firstRetryAtMost, retry)
		s.answers("and is answered at once by the server", again, synAck)
	})
}

// refused is a call to a port at which nobody listens.
func refused(ctx context.Context, d *Document) error {
	var connect Done
	return play(ctx, d, "Nobody listens at the port", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		connect = s.client.try("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
	}, func(s *Scene, x *crossed) {
		syn, rst := x.segment(true, capture.SYN, 0), x.segment(false, capture.RST|capture.ACK, 0)
		whole := since(sent(syn), arrived(rst))
		s.say(took("refusal", whole), "The server's host answers by itself, with the flag RST: connect() failed with %s after %s, one round trip.", connect.Errno, ms(whole))
		s.say(packets("packets", len(x.all)), "%d packets in all; a caller who is refused at least knows it.", len(x.all))

		equal(s, "connect() fails with", "ECONNREFUSED", connect.Errno)
		equal(s, "RST acknowledges J+1", syn.Packet().TCP.Seq+1, rst.Packet().TCP.Ack)
		equal(s, "packets", 2, len(x.all))
		s.answers("the refusal is the host's own and comes at once", syn, rst)
		s.between("the client knows of it after a round trip, and not after two", 2*delay, 4*delay, whole)
	})
}

// backlogFull is a call to a server that does not take the calls that it has.
func backlogFull(ctx context.Context, d *Document) error {
	const busy = 500 * time.Millisecond
	var first, second Done
	return play(ctx, d, "The server does not take its calls", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		// With a backlog of 0 one connection may wait (sk_acceptq_is_full,
		// include/net/sock.h).
		listener := s.listening(0)
		first = s.client.do("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
		waiting := s.client.begin("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
		s.wait(busy)
		s.server.do("Accept", Order{Socket: listener})
		second = waiting()
		if second.Errno != "" {
			s.fail(fmt.Errorf("the second connect failed: %s", second.Errno))
		}
	}, func(s *Scene, x *crossed) {
		ignored, again := x.segment(true, capture.SYN, 1), x.segment(true, capture.SYN, 2)
		one, two := since(first.Began, first.Ended), since(second.Began, second.Ended)
		s.say(took("first", one), "One connection is made in %s, and waits for the server's program to take it: the queue for such is full.", ms(one))
		s.say(took("second", two), "The next SYN arrives and is ignored; %s later the client sends it again, and since the program has taken the first call by then, "+
			"connect() succeeds after %s.", ms(since(sent(ignored), sent(again))), ms(two))

		equal(s, "the second client's first SYN arrives", true, !ignored.Lost())
		equal(s, "SYN+ACKs in answer to three SYNs", 2, x.count(func(c *capture.Crossing) bool {
			t := c.Packet().TCP
			return t != nil && !c.Up && t.Flags.Is(capture.SYN|capture.ACK)
		}))
		equal(s, "it is sent again with the same number", ignored.Packet().TCP.Seq, again.Packet().TCP.Seq)
		s.between("after a second", firstRetry, firstRetryAtMost, since(sent(ignored), sent(again)))
	})
}

// letter is the same words by UDP.
func letter(ctx context.Context, d *Document) error {
	var send, receive Done
	return play(ctx, d, "The same words as a letter", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		server := s.server.open("udp", port)
		client := s.client.open("udp", 0)
		s.client.do("Connect", Order{Socket: client, To: toServer})
		send = s.client.do("Send", Order{Socket: client, N: firstWords})
		receive = s.server.do("Receive", Order{Socket: server, N: firstWords})
	}, func(s *Scene, x *crossed) {
		datagram := x.datagram(true, 0)
		n := x.before(datagram)
		s.say(packets("before_data", n), "UDP has no handshake: %d packets crossed before the first datagram, and connect() of its socket sends nothing.", n)
		whole := since(send.Began, arrived(datagram))
		s.say(took("first_byte", whole), "The words were with the server %s after they were sent: half a round trip, where the call above needed one and a half.", ms(whole))
		s.say(packets("packets", len(x.all)), "%d packet in all: nothing confirms it, and had it been lost, nobody would have been told.", len(x.all))

		equal(s, "packets before the first byte of data", 0, n)
		equal(s, "packets", 1, len(x.all))
		equal(s, "bytes that are read", firstWords, receive.N)
		s.crosses("the datagram", datagram)
	})
}
