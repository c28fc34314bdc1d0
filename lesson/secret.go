package lesson

import (
	"context"
	"fmt"

	"netcmp/capture"
)

// spoken is one call in secret: when it began, by its first packet, and when its
// first words were read.
type spoken struct {
	first, read int64
	resumed     bool // the session of an earlier one
}

// delays is how often the path's delay fits into the time until the words were read:
// once for each half of a round trip that somebody had to wait for. What the ends
// compute meanwhile takes less than one more.
func (p spoken) delays() int { return int(since(p.first, p.read) / slowly) }

// secret makes two calls by an encrypted transport, the second with the ticket that
// the first has brought home.
func secret(ctx context.Context, d *Document, proto, title string, draw func(s *Scene, fresh, resumed spoken)) error {
	var calls, answers, ends [2]Done
	return play(ctx, d, title, each("delay 50ms"), capture.Framing{}, func(s *stage) {
		certificate := s.server.do("Offer", Order{Proto: proto, To: toServer}).Certificate
		for n := range calls {
			answer := s.server.begin("Answer", Order{})
			calls[n] = s.client.do("Call", Order{Proto: proto, To: toServer, N: firstWords, Certificate: certificate})
			answers[n] = answer()
			if n == 0 {
				s.client.do("Ticket", Order{})
			}
			s.wait(pause) // what is still to be confirmed is
			ends[n] = s.client.do("HangUp", Order{})
		}
	}, func(s *Scene, x *crossed) {
		var all [2]spoken
		for n := range all {
			p := spoken{read: answers[n].Times[0], resumed: ends[n].Resumed}
			for i := range x.all {
				if c := &x.all[i]; c.Up && sent(c) >= calls[n].Began {
					p.first = sent(c)
					x.note(s, c, fmt.Sprintf("call %d", n+1))
					break
				}
			}
			all[n] = p
		}
		equal(s, "the first call resumes a session", false, all[0].resumed)
		equal(s, "the second does", true, all[1].resumed)
		draw(s, all[0], all[1])
	})
}

// delays asserts how many of the path's delays pass until the first words are read.
func (s *Scene) delays(first, again int, fresh, resumed spoken) {
	s.timed("path delays until the words are read", fmt.Sprint(first), fmt.Sprint(fresh.delays()), fresh.delays() == first)
	s.timed("and with a session resumed", fmt.Sprint(again), fmt.Sprint(resumed.delays()), resumed.delays() == again)
}

// overTLS is a call in secret over TCP.
func overTLS(ctx context.Context, d *Document) error {
	return secret(ctx, d, "tls", "In secret, over TCP: TLS 1.3", func(s *Scene, fresh, resumed spoken) {
		whole, again := since(fresh.first, fresh.read), since(resumed.first, resumed.read)
		s.say(took("first_words", whole), "TLS shakes hands when TCP has: the server read the first words %s after the SYN, which is %d times the path's delay.", ms(whole), fresh.delays())
		s.say(took("first_words_resumed", again), "To resume the session of an earlier call spares the certificate, and no round trip: %s.", ms(again))

		s.delays(5, 5, fresh, resumed)
	})
}

// overQUIC is a call in secret that needs no other beneath it.
func overQUIC(ctx context.Context, d *Document) error {
	return secret(ctx, d, "quic", "In secret, over UDP: QUIC", func(s *Scene, fresh, resumed spoken) {
		whole, again := since(fresh.first, fresh.read), since(resumed.first, resumed.read)
		s.say(took("first_words", whole), "QUIC makes the connection and its keys in one handshake: the server read the first words %s after the first packet, "+
			"which is %d times the path's delay, as with TCP without any secret.", ms(whole), fresh.delays())
		s.say(took("first_words_resumed", again), "Who was there before may say something with the first packet (0-RTT): %s, a connection that costs no more time than a letter.", ms(again))

		s.delays(3, 1, fresh, resumed)
	})
}
