package lesson

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"netcmp/capture"
)

const (
	routers = 4
	target  = routers + 1 // the node at the end of the chain
	usual   = 64          // the TTL that a packet begins with (RFC 1700: "the current recommended default")
)

// toTarget is where the target is reached.
func (f family) toTarget() netip.AddrPort { return netip.AddrPortFrom(f.nodeAddr(target), port) }

// limit is what the number is called.
func (f family) limit() string { return [...]string{"TTL", "hop limit"}[f] }

func timeToLive(ctx context.Context, d *Document) error {
	for _, f := range families() {
		for _, scene := range []func(context.Context, *Document, family) error{oneLess, traceroute, farCall} {
			if err := scene(ctx, d, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// chained puts the routers behind the path.
func (s *stage) chained() {
	s.server.do("Chain", Order{N: routers})
	s.client.do("Route", Order{})
}

// oneLess is a letter that gets there.
func oneLess(ctx context.Context, d *Document, f family) error {
	var receive Done
	return play(ctx, d, d.words("Each router takes one off, %s", f), each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.chained()
		there := s.server.do("Open", Order{Family: f, Proto: "udp", Port: port, Node: target}).Socket
		client := s.client.do("Open", Order{Family: f, Proto: "udp", TTL: usual}).Socket
		s.client.do("Connect", Order{Socket: client, To: f.toTarget()})
		s.client.do("Send", Order{Socket: client, N: firstWords})
		receive = s.server.do("Receive", Order{Socket: there, N: firstWords})
	}, func(s *Scene, x *crossed) {
		x.label(s, f)
		datagram := x.datagram(true, 0)
		s.say(Figure{"ttl_sent", int64(datagram.Packet().TTL), ""}, "The client's datagram leaves with a %s of %d. A wire leaves it as it is, and so does this path.", f.limit(), datagram.Packet().TTL)
		s.say(Figure{"ttl_received", int64(receive.TTL), ""}, "Behind %d routers, of which the server's host is the first, the target reads it with a %s of %d: each of them took one off.", routers, f.limit(), receive.TTL)

		equal(s, f.limit()+" at the client's device", usual, int(datagram.Packet().TTL))
		equal(s, f.limit()+" at the first router's device", usual, int(ttlArrived(datagram)))
		equal(s, f.limit()+" at the target", usual-routers, receive.TTL)
	})
}

// ttlArrived is the TTL with which a packet came in; 0 for one that did not.
func ttlArrived(c *capture.Crossing) uint8 {
	if c.Arrived == nil {
		return 0
	}
	return c.Arrived.TTL
}

// complaints are the ICMP messages that came to the client, as "what from whom".
func (x *crossed) complaints() (all []string) {
	for i := range x.all {
		if c := &x.all[i]; !c.Up && c.Arrived != nil && c.Arrived.ICMP != "" {
			all = append(all, c.Arrived.ICMP+" from "+c.Arrived.Src.Addr().String())
		}
	}
	return all
}

// exceeded is what every router says, in their order.
func (f family) exceeded() (all []string) {
	what := [...]string{"TimeExceeded(TTLExceeded)", "TimeExceeded(HopLimitExceeded)"}[f]
	for n := 1; n <= routers; n++ {
		all = append(all, what+" from "+f.nodeAddr(n).String())
	}
	return all
}

// nobody is what the target says of a port at which nobody reads.
func (f family) nobody() string {
	what := [...]string{"DestinationUnreachable(Port)", "DestinationUnreachable(PortUnreachable)"}[f]
	return what + " from " + f.nodeAddr(target).String()
}

// label writes each packet's TTL, or whose complaint it is, on the ladder.
func (x *crossed) label(s *Scene, f family) {
	for i := range x.all {
		c := &x.all[i]
		text := fmt.Sprintf("%s %d", f.limit(), c.Packet().TTL)
		if c.Packet().ICMP != "" {
			text = "from " + c.Packet().Src.Addr().String()
		}
		x.note(s, c, text)
	}
}

// traceroute asks every router for its name.
func traceroute(ctx context.Context, d *Document, f family) error {
	return play(ctx, d, d.words("At 0 a router drops it and says so: traceroute, %s", f), each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.chained()
		for ttl := 1; ttl <= target; ttl++ {
			client := s.client.do("Open", Order{Family: f, Proto: "udp", TTL: ttl}).Socket
			s.client.do("Connect", Order{Socket: client, To: f.toTarget()})
			s.client.do("Send", Order{Socket: client, N: firstWords})
			s.wait(4 * delay) // the answer comes before the next question
		}
	}, func(s *Scene, x *crossed) {
		x.label(s, f)
		got := x.complaints()
		s.say(Figure{"exceeded", int64(min(len(got), routers)), "packets"}, "With a %s of 1 to %d the same letter gets one router farther each time. The one at which it has none left drops it, and tells the sender by ICMP (RFC 792, RFC 4443): "+
			"in %d answers the way is laid open.", f.limit(), target, len(got))
		if len(got) > 0 {
			s.say(packets("answers", len(got)), "The last answer is another one, %s: the letter has arrived, and there nobody reads at this port.", got[len(got)-1])
		}

		equal(s, "the answers", strings.Join(append(f.exceeded(), f.nobody()), ", "), strings.Join(got, ", "))
		equal(s, "datagrams that were sent", target, x.count(func(c *capture.Crossing) bool { return c.Up && c.Packet().Proto == "udp" }))
	})
}

// farCall does the same by TCP.
func farCall(ctx context.Context, d *Document, f family) error {
	var outcomes []string
	return play(ctx, d, d.words("A call with too short a breath, %s", f), each("delay 25ms"), capture.Framing{}, func(s *stage) {
		outcomes = nil // of a play before
		s.chained()
		there := s.server.do("Open", Order{Family: f, Proto: "tcp", Port: port, Node: target}).Socket
		s.server.do("Listen", Order{Socket: there, N: 1})
		for ttl := 1; ttl <= target; ttl++ {
			client := s.client.do("Open", Order{Family: f, Proto: "tcp", TTL: ttl}).Socket
			c := s.client.try("Connect", Order{Socket: client, To: f.toTarget()})
			if c.Errno == "" {
				c.Errno = "connected"
			}
			outcomes = append(outcomes, c.Errno)
		}
	}, func(s *Scene, x *crossed) {
		x.label(s, f)
		got := x.complaints()
		s.say(packets("exceeded", len(got)), "TCP travels in the same packets and is told the same: %d SYNs did not get there, and connect() gave up at once with %s.", len(got), outcomes[0])
		answer := x.segment(false, capture.SYN|capture.ACK, 0)
		s.say(Figure{"ttl_answer", int64(ttlArrived(answer)), ""}, "With a %s of %d the call gets through. The target's SYN+ACK comes with %d: it began with %d, and the way back has as many routers.",
			f.limit(), target, ttlArrived(answer), int(ttlArrived(answer))+routers)

		equal(s, "what connect() says", strings.Repeat("EHOSTUNREACH, ", routers)+"connected", strings.Join(outcomes, ", "))
		equal(s, "the answers", strings.Join(f.exceeded(), ", "), strings.Join(got, ", "))
		equal(s, f.limit()+" of the SYN+ACK at the client", fmt.Sprint(usual-routers), fmt.Sprint(ttlArrived(answer)))
	})
}
