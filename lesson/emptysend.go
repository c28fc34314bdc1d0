package lesson

import (
	"context"

	"netcmp/capture"
)

// silence is how long a lesson listens for what is not to come: several times what
// the path holds a packet for.
const silence = 8 * delay

func emptySend(ctx context.Context, d *Document) error {
	if err := nothingSaid(ctx, d); err != nil {
		return err
	}
	return emptyEnvelope(ctx, d)
}

// nothingSaid is a send of nothing over TCP.
func nothingSaid(ctx context.Context, d *Document) error {
	var send, wait, hangUp, read Done
	return play(ctx, d, "Nothing is said in a call", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		client, server := s.connected()
		send = s.client.do("Send", Order{Socket: client, N: 0})
		wait = s.server.try("Receive", Order{Socket: server, N: firstWords, Patience: silence})
		hangUp = s.client.do("Close", Order{Socket: client})
		read = s.server.do("Receive", Order{Socket: server, N: firstWords})
	}, func(s *Scene, x *crossed) {
		between := x.count(func(c *capture.Crossing) bool { return sent(c) >= send.Began && sent(c) < hangUp.Began })
		s.say(packets("packets", between), "send() of 0 bytes succeeds, and %d packets leave: TCP carries a stream of bytes, and no bytes are no part of it.", between)
		s.say(took("silence", since(wait.Began, wait.Ended)), "The server waited for %s and had nothing to read (%s).", ms(since(wait.Began, wait.Ended)), wait.Errno)
		fin := x.segment(true, capture.FIN|capture.ACK, 0)
		after := since(hangUp.Began, read.Ended)
		s.say(Figure{"read", int64(read.N), "bytes"}, "Then the client closes: its FIN crosses, and %s after close() the server's read returns %d. "+
			"To read nothing means that the other end has hung up, which is why nothing cannot be said.", ms(after), read.N)

		equal(s, "send() of nothing over TCP gives", 0, send.N)
		equal(s, "packets that it sends", 0, between)
		equal(s, "what the server's read says meanwhile", "EAGAIN", wait.Errno)
		equal(s, "bytes that the FIN carries", 0, fin.Packet().Length)
		equal(s, "bytes that the read gives after close()", 0, read.N)
		s.check("the read does not return before the FIN has come", "later", ms(since(arrived(fin), read.Ended))+" later", read.Ended > arrived(fin))
	})
}

// emptyEnvelope is a datagram of nothing.
func emptyEnvelope(ctx context.Context, d *Document) error {
	var send, receive, closing, wait Done
	return play(ctx, d, "A letter with nothing in it", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		server := s.server.open("udp", port)
		client := s.client.open("udp", 0)
		s.client.do("Connect", Order{Socket: client, To: toServer})
		send = s.client.do("Send", Order{Socket: client, N: 0})
		receive = s.server.do("Receive", Order{Socket: server, N: firstWords})
		closing = s.client.do("Close", Order{Socket: client})
		wait = s.server.try("Receive", Order{Socket: server, N: firstWords, Patience: silence})
	}, func(s *Scene, x *crossed) {
		datagram := x.datagram(true, 0)
		size := len(datagram.Packet().Frame)
		s.say(Figure{"frame", int64(size), "bytes"}, "send() of 0 bytes over UDP is a datagram like any other: a frame of %d bytes crosses, all of it headers, with %d bytes in it.",
			size, datagram.Packet().Length)
		whole := since(send.Began, receive.Ended)
		s.say(took("delay", whole), "The server reads it after %s, and is told a length of %d: an envelope without a letter, and that is a message.", ms(whole), receive.N)
		after := x.count(func(c *capture.Crossing) bool { return sent(c) >= closing.Began })
		s.say(packets("after_close", after), "When the client closes its socket, %d packets cross: in %s the server hears nothing of it (%s).",
			after, ms(since(wait.Began, wait.Ended)), wait.Errno)

		equal(s, "packets that cross", 1, len(x.all))
		equal(s, "bytes that it carries", 0, datagram.Packet().Length)
		equal(s, "bytes that the read gives", 0, receive.N)
		equal(s, "packets after close()", 0, after)
		equal(s, "what the server's read says after that", "EAGAIN", wait.Errno)
		s.crosses("the datagram", datagram)
	})
}
