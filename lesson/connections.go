package lesson

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"netcmp/capture"
	"netcmp/lab"
)

func connections(ctx context.Context, d *Document) error {
	for _, scene := range []func(context.Context, *Document) error{aShortOne, merged} {
		if err := scene(ctx, d); err != nil {
			return err
		}
	}
	var bare []time.Duration // without a path: the ends' own work
	for _, way := range []time.Duration{0, 5 * time.Millisecond, delay} {
		all, err := longOrShort(ctx, d, way, bare)
		if err != nil {
			return err
		}
		if way == 0 {
			for _, a := range all {
				bare = append(bare, a.time())
			}
		}
	}
	for _, scene := range []func(context.Context, *Document) error{atRest, idleTooLong, tooMany} {
		if err := scene(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// shortCall is a connection for one question and its answer. The server hangs up so
// long after the client has.
func shortCall(ctx context.Context, d *Document, title string, later time.Duration, draw func(*Scene, *crossed)) error {
	return play(ctx, d, title, each("delay 25ms"), capture.Framing{}, func(s *stage) {
		client, server := s.connected()
		s.client.do("Send", Order{Socket: client, N: firstWords})
		s.server.do("Receive", Order{Socket: server, N: firstWords})
		s.server.do("Send", Order{Socket: server, N: firstWords})
		s.client.do("Receive", Order{Socket: client, N: firstWords})
		s.client.do("Close", Order{Socket: client})
		s.server.do("Receive", Order{Socket: server, N: firstWords})
		if later > 0 {
			s.wait(later)
		}
		s.server.do("Close", Order{Socket: server})
	}, draw)
}

// aShortOne is all that crosses for it.
func aShortOne(ctx context.Context, d *Document) error {
	return shortCall(ctx, d, "A question, its answer, and a connection for them alone", pause, func(s *Scene, x *crossed) {
		c := x.conversations(port, 0)
		if len(c) != 1 {
			x.err = fmt.Errorf("%d connections crossed, and not one", len(c))
			return
		}
		s.say(packets("control", c[0].before+c[0].after), "%d packets before the question and %d from the first FIN on: %d packets of control for two of content. %d crossed in all; the rest confirms what was said.",
			c[0].before, c[0].after, c[0].before+c[0].after, c[0].packets)
		whole, question := c[0].bytes, firstWords
		s.say(Figure{"bytes", int64(whole), "bytes"}, "%d bytes crossed, of which %d were to be said. A course has it so: a short connection costs time and bandwidth.", whole, 2*question)

		equal(s, "packets before the question: SYN, SYN+ACK, ACK", 3, c[0].before)
		equal(s, "packets from the first FIN on", "client FIN, server ACK, server FIN, client ACK", x.endings())
		equal(s, "packets of control", 3+4, c[0].before+c[0].after)
	})
}

// merged is an end for which three packets may do.
func merged(ctx context.Context, d *Document) error {
	return shortCall(ctx, d, "The server hangs up as soon as it hears that the client has", 0, func(s *Scene, x *crossed) {
		c := x.conversations(port, 0)
		if len(c) != 1 {
			x.err = fmt.Errorf("%d connections crossed, and not one", len(c))
			return
		}
		s.say(packets("end", c[0].after), "This time %d packets end it: %s. The kernel may hold its ACK of the client's FIN back for up to 40 ms, and where its program closes meanwhile, one packet is both that ACK and the server's own FIN.",
			c[0].after, x.endings())

		three, four := "client FIN, server FIN, client ACK", "client FIN, server ACK, server FIN, client ACK"
		s.check("packets from the first FIN on", three+"; or the four", x.endings(), x.endings() == three || x.endings() == four)
	})
}

// conversation is what crossed of one connection.
type conversation struct {
	client  netip.AddrPort
	packets int
	bytes   int // of frames
	before  int // packets in front of the first that carries something
	after   int // packets from the first FIN on
}

// conversations are those with a port of the server's, of what was sent from an
// instant on.
func (x *crossed) conversations(port uint16, from int64) (all []*conversation) {
	known := map[netip.AddrPort]*conversation{}
	type progress struct{ said, ended bool }
	far := map[*conversation]*progress{}
	for i := range x.all {
		c := &x.all[i]
		p := c.Packet()
		client, server := p.Src, p.Dst
		if !c.Up {
			client, server = server, client
		}
		if server.Port() != port || sent(c) < from {
			continue
		}
		k := known[client]
		if k == nil {
			k = &conversation{client: client}
			known[client], far[k] = k, new(progress)
			all = append(all, k)
		}
		k.packets++
		k.bytes += len(p.Frame)
		at := far[k]
		at.said = at.said || p.Length > 0
		at.ended = at.ended || p.TCP != nil && p.TCP.Flags&capture.FIN != 0
		if !at.said {
			k.before++
		}
		if at.ended {
			k.after++
		}
	}
	return all
}

// manner is a way to ask one question after the other.
type manner struct {
	name   string
	proto  string
	resume bool
	trips  int // round trips until a question may leave
}

var manners = []manner{
	{"tcp", "tcp", false, 1}, {"tls", "tls", false, 2}, {"quic", "quic", false, 1}, {"quic 0-RTT", "quic", true, 0},
}

const (
	// questions are asked by each.
	questions = 10
	// closesLater is how long the server's end of a connection goes on when the
	// client has hung up: its ACK of the FIN is then its own (TCP_DELACK_MIN, 40 ms).
	closesLater = 60 * time.Millisecond
	// thought is how much longer than the path, and the ends' own work, a question and its
	// answer may take.
	thought = 5 * time.Millisecond
)

// asking is what came of asking in one manner.
type asking struct {
	manner
	short          bool
	port           uint16
	ask            Done
	client, server time.Duration // processor time
	waiting        int           // sockets of the client's in TIME_WAIT
	passive        int           // and of the server's
	calls          []*conversation
	packets, bytes int
}

func (a *asking) String() string {
	if a.short {
		return a.name + ", one each"
	}
	return a.name + ", one for all"
}

// ports are those that it was asked from. UDP's are chosen by chance, and may come again
// when they are free.
func (a *asking) ports() int {
	seen := map[uint16]bool{}
	for _, x := range a.ask.Sockets {
		seen[x.Local] = true
	}
	return len(seen)
}

// time is how long it took to have all answers.
func (a *asking) time() time.Duration { return since(a.ask.Began, a.ask.Ended) }

// round is how many round trips that takes.
func (a *asking) round() int {
	if a.short {
		return questions * (a.trips + 1)
	}
	return a.trips + questions
}

// play asks in this manner, over a path with a delay.
func (a *asking) play(s *stage, way time.Duration) {
	to := toPort(a.port)
	connections := 1
	if a.short {
		connections = questions
	}
	order := Order{Proto: a.proto, To: to, N: connections, Resume: a.resume, Every: closesLater}
	order.Certificate = s.server.do("Reply", order).Certificate
	order.Size, order.Short = firstWords, a.short
	if a.resume {
		first := order
		first.N = 1
		s.client.do("Exchange", first)
		s.client.do("Resumable", Order{})
		s.client.do("Settle", Order{})
		s.wait(2*way + closesLater)
	}
	order.N = questions
	a.ask = s.client.do("Exchange", order)
	a.client = s.client.do("Settle", Order{}).CPU
	a.server = s.server.do("Settle", Order{}).CPU
	s.wait(2 * way) // the last packets cross
	a.waiting = countIn(s.client.do("List", Order{}).Sockets, a.port, timeWaitState)
	a.passive = countIn(s.server.do("List", Order{}).Sockets, a.port, timeWaitState)
}

// longOrShort asks the same questions in all manners, over one connection and over
// one each, which took bare without a path.
func longOrShort(ctx context.Context, d *Document, way time.Duration, bare []time.Duration) (all []*asking, err error) {
	for i, m := range manners {
		all = append(all, &asking{manner: m, port: uint16(port + 2*i)}, &asking{manner: m, short: true, port: uint16(port + 2*i + 1)})
	}
	rtt := 2 * way
	words := ""
	if way > 0 {
		words = "delay " + way.String()
	}
	title := d.words("%d questions, at a round trip of %d ms", questions, rtt.Milliseconds())
	return all, play(ctx, d, title, each(words), capture.Framing{}, func(s *stage) {
		for _, a := range all {
			a.play(s, way)
		}
	}, func(s *Scene, x *crossed) {
		for _, a := range all {
			a.calls = x.conversations(a.port, a.ask.Began)
			for _, c := range a.calls {
				a.packets += c.packets
				a.bytes += c.bytes
			}
			s.Table = append(s.Table, Row{a.String(), []Figure{
				took("time", a.time()), packets("packets", a.packets), {"bytes", int64(a.bytes), "bytes"},
				took("client's CPU", a.client), took("server's CPU", a.server), {"in TIME_WAIT", int64(a.waiting), "sockets"},
			}})
		}
		long, short := all[0], all[1]
		s.say(took("short", short.time()), "Over TCP %d questions on one connection take %s, and on one connection each %s: every question then waits for a handshake.",
			questions, ms(long.time()), ms(short.time()))
		s.say(packets("packets", short.packets), "%d packets cross instead of %d, and %d bytes instead of %d; each short connection leaves its port in TIME_WAIT, %d in all, at the client, who hung up first.",
			short.packets, long.packets, short.bytes, long.bytes, short.waiting)
		s.say(took("tls", all[3].time()), "TLS waits for TCP's handshake and then for its own: %s. Its keys cost the two ends %s and %s of processor time, where one connection for all costs %s and %s.",
			ms(all[3].time()), ms(all[3].client), ms(all[3].server), ms(all[2].client), ms(all[2].server))
		rst := x.resets(true, all[2].port) + x.resets(true, all[3].port)
		s.say(packets("resets", rst), "Of TLS's %d connections %d are in TIME_WAIT, and the client has sent %d RSTs. TLS says goodbye, too (close_notify): where the server's comes when the client's program has closed already, the kernel answers with an RST, and what was reset does not wait.",
			questions+1, all[2].waiting+all[3].waiting, rst)
		s.say(took("quic", all[5].time()), "QUIC makes connection and keys in one round trip: %s. With the session of a connection before (0-RTT) the question leaves with the first packets, and nothing is waited for: %s, and with one connection for all %s. "+
			"What is left between these is the ends' own work. It still costs %d packets instead of %d.",
			ms(all[5].time()), ms(all[7].time()), ms(all[6].time()), all[7].packets, all[6].packets)

		control := 0
		for _, c := range short.calls {
			control += c.before + c.after
		}
		equal(s, "short TCP connections", questions, len(short.calls))
		equal(s, "their packets of control, 3 to begin and 4 to end each", (3+4)*questions, control)
		for i, a := range all {
			connections := 1
			if a.short {
				connections = questions
			}
			equal(s, a.String()+": answers", questions, len(a.ask.Times))
			equal(s, a.String()+": connections", connections, len(a.ask.Sockets))
			equal(s, a.String()+": ports that packets came from", a.ports(), len(a.calls))
			if rtt > 0 {
				least := time.Duration(a.round()) * rtt
				s.between(fmt.Sprintf("%v: %d round trips", a, a.round()), least, least+bare[i]+time.Duration(a.round())*thought, a.time())
			}
			switch a.proto {
			case "tcp":
				equal(s, a.String()+": in TIME_WAIT at the client", connections, a.waiting)
			case "quic":
				equal(s, a.String()+": in TIME_WAIT at either end", 0, a.waiting+a.passive)
			}
		}
		for i := 0; i < len(all); i += 2 {
			s.check(all[i].name+": short connections cost more packets", "more", fmt.Sprintf("%d and %d", all[i+1].packets, all[i].packets), all[i+1].packets > all[i].packets)
		}
		s.timed("tls: short connections cost more processor time", "more", ms(all[3].client+all[3].server)+" and "+ms(all[2].client+all[2].server),
			all[3].client+all[3].server > all[2].client+all[2].server)
		// Of all that crossed, the first short connection of each manner is drawn; at other
		// round trips it is the same.
		drawn := map[netip.AddrPort]bool{}
		for _, a := range all {
			if a.short && len(a.calls) > 0 && (a.proto == "tcp" || way == delay) {
				drawn[a.calls[0].client] = true
			}
		}
		x.show(s, func(c *capture.Crossing) bool {
			p := c.Packet()
			return drawn[p.Src] && c.Up || drawn[p.Dst] && !c.Up
		})
	})
}

const (
	// guests are the connections that a server is to hold.
	guests = 10_000
	// spare are the files that a program needs beside those.
	spare = 200
)

// atRest is many connections at which nothing happens.
func atRest(ctx context.Context, d *Document) error {
	var held, listed, theirs, silent, question, before, after Done
	var n, allowed int
	var slabs [2]int64
	return playAfter(ctx, d, "Many long connections at rest", new(each("")), each(""), capture.Framing{}, func(s *stage) {
		allowed = min(s.client.do("Descriptors", Order{}).N, s.server.do("Descriptors", Order{}).N)
		n = min(guests, allowed-spare)
		s.server.do("Daemon", Order{To: toServer})
		before = s.server.do("Resident", Order{})
		slabs[0] = s.kernel()
		held = s.client.try("Hold", Order{To: toServer, N: n})
		slabs[1] = s.kernel()
		after = s.server.do("Resident", Order{})
		s.wait(pause) // the last ACKs cross
	}, func(s *stage) {
		silent = s.client.do("List", Order{})
		s.wait(time.Second)
		listed, theirs = s.server.do("List", Order{}), s.client.do("List", Order{})
		question = s.client.try("AskTime", Order{Socket: max(held.N-1, 0)})
	}, func(s *Scene, x *crossed) {
		s.say(Figure{"connections", int64(held.N), ""}, "netcmp's own server (netcmp serve) holds %d connections of one client, made in %s. Each has asked a question, and has been silent since.%s",
			held.N, seconds(since(held.Began, held.Ended)), limited(n, allowed))
		each := (after.Memory - before.Memory) / int64(max(held.N, 1))
		s.say(Figure{"process", each, "bytes"}, "The server's program has grown by %d bytes a connection: for a goroutine with its stack, and for what it reads into and writes from.", each)
		slab := (slabs[1] - slabs[0]) / int64(2*max(held.N, 1))
		s.say(Figure{"kernel", slab, "bytes"}, "The machine's kernel has grown by %d bytes a socket (Slab of /proc/meminfo; both ends are on this machine). Buffers are not among them: what is silent has nothing in any queue.", slab)
		quiet := x.count(func(c *capture.Crossing) bool { return sent(c) >= silent.Ended && sent(c) < question.Began })
		s.say(packets("packets", quiet), "In %s, %d packets crossed: a connection that nobody says anything on exists at its two ends, and nowhere between.", seconds(since(silent.Ended, question.Began)), quiet)
		s.say(took("answer", since(question.Began, question.Ended)), "And it is there: a question over the last of them is answered in %s, without a handshake.", ms(since(question.Began, question.Ended)))

		queued := 0
		for _, l := range append(listed.Sockets, theirs.Sockets...) {
			if l.State == establishedState {
				queued += l.Queued
			}
		}
		equal(s, "connections", n, held.N)
		equal(s, "of which the server's kernel lists", n, countIn(listed.Sockets, port, establishedState))
		equal(s, "and the client's", n, countIn(theirs.Sockets, port, establishedState))
		equal(s, "bytes in their queues, at both ends", 0, queued)
		equal(s, "packets while they are at rest", 0, quiet)
		equal(s, "a question after that", "done", outcome(question))
		s.check("memory of the server's program, a connection", "1 to 64 KiB", fmt.Sprintf("%d bytes", each), 1<<10 <= each && each <= 64<<10)
	})
}

// limited says why there are no more connections.
func limited(n, allowed int) string {
	if n == guests {
		return ""
	}
	return fmt.Sprintf(" There are not %d because a program may have %d files open here (ulimit -Hn).", guests, allowed)
}

// kernel is what the kernel has in its slabs.
func (s *stage) kernel() int64 {
	n, err := kernelMemory()
	if err != nil {
		s.fail(err)
	}
	return n
}

const (
	// idleMost is how long the server lets a connection be idle, in the scene about it.
	idleMost = time.Second
	// askEvery is the time between two questions of who is not idle.
	askEvery = idleMost / 2
)

// idleTooLong is a server that hangs up on who says nothing.
func idleTooLong(ctx context.Context, d *Document) error {
	const silentOne, busy = 0, 1
	var held, hung, mute Done
	var asked []Done
	return play(ctx, d, "The server hangs up on who is silent for too long", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.server.do("Daemon", Order{To: toServer, Every: idleMost})
		held = s.client.do("Hold", Order{To: toServer, N: 1}) // the one that will be silent
		s.client.do("Hold", Order{To: toServer, N: 1})
		// And one that never says anything.
		client := s.client.open("tcp", 0)
		s.client.do("Connect", Order{Socket: client, To: toServer})
		over := s.client.begin("Hung", Order{Socket: silentOne})
		other := s.client.begin("Receive", Order{Socket: client, N: firstWords})
		for range 4 {
			s.wait(askEvery)
			asked = append(asked, s.client.try("AskTime", Order{Socket: busy}))
		}
		hung, mute = over(), other()
		s.client.do("Close", Order{Socket: client})
	}, func(s *Scene, x *crossed) {
		silent := since(held.Ended, hung.Ended)
		s.say(took("idle", silent), "The server lets a connection be idle for %s (netcmp serve --idle-timeout). %s after its answer the first client, who says nothing more, reads the end: the server has hung up, and ends in TIME_WAIT itself.",
			seconds(idleMost), seconds(silent))
		never := since(mute.Began, mute.Ended)
		s.say(took("mute", never), "One who connects and never says a word is rid of after %s. Otherwise such callers were the cheapest way to fill a server.", seconds(never))
		s.say(Figure{"answers", int64(len(asked) - refusals(asked)), ""}, "One who asks every %s is answered all %d times, %s after the connection was made: what counts is silence, not age.",
			seconds(askEvery), len(asked)-refusals(asked), seconds(since(held.Ended, asked[len(asked)-1].Ended)))

		answer, fin := x.data(false, 0), x.segment(false, capture.FIN|capture.ACK, 0) // the silent one's
		equal(s, "bytes that the silent one reads", 0, hung.N)
		equal(s, "what it reads", "done", outcome(hung))
		equal(s, "bytes that the mute one reads", 0, mute.N)
		s.between("the server's FIN comes when the time is over", idleMost, idleMost+idleLate, since(sent(answer), sent(fin)))
		equal(s, "answers of the one that goes on asking", len(asked), len(asked)-refusals(asked))
	})
}

// idleLate is how late a server's program may be with hanging up.
const idleLate = 50 * time.Millisecond

// tooMany is a client address that wants more connections than it may have.
func tooMany(ctx context.Context, d *Document) error {
	const limit = 3
	var held, more, other, again Done
	every := families()
	wide := netip.AddrPortFrom(every[len(every)-1].anywhere(), port)
	return play(ctx, d, "A client address has its limit of connections", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.server.do("Daemon", Order{To: wide, N: limit})
		held = s.client.do("Hold", Order{To: toServer, N: limit})
		more = s.client.try("Hold", Order{To: toServer, N: 1})
		if len(every) > 1 {
			other = s.client.try("Hold", Order{To: netip.AddrPortFrom(lab.Server.Addr6(), port), N: 1})
		}
		s.client.do("Drop", Order{Socket: 0})
		s.wait(pause) // the server hears of it
		again = s.client.try("Hold", Order{To: toServer, N: 1})
	}, func(s *Scene, x *crossed) {
		s.say(Figure{"held", int64(held.N), ""}, "The server gives a client address %d connections (netcmp serve --client-limit). %d are made and answered.", limit, held.N)
		rst := x.resets(false, port)
		s.say(packets("resets", rst), "The next is refused: its handshake is the kernel's and succeeds, but the program resets it before it reads a word (%d RST): the client's call says %s.", rst, outcome(more))
		if len(every) > 1 {
			s.say(took("other", since(other.Began, other.Ended)), "Another address is another client: over IPv6 the same one is answered in %s. Of IPv6 a whole /64 counts as one, since a host chooses its addresses there as it likes.", ms(since(other.Began, other.Ended)))
		}
		s.say(took("again", since(again.Began, again.Ended)), "When one of the first has hung up, there is room for another: answered in %s.", ms(since(again.Began, again.Ended)))

		equal(s, "connections that the address gets", limit, held.N)
		equal(s, "what the next one hears", "ECONNRESET", outcome(more))
		if len(every) > 1 {
			equal(s, "another address", "done", outcome(other))
		}
		equal(s, "another one when there is room again", "done", outcome(again))
	})
}

// resets counts a direction's segments with RST, of connections with a port of the
// server's.
func (x *crossed) resets(up bool, port uint16) int {
	return x.count(func(c *capture.Crossing) bool {
		p := c.Packet()
		server := p.Src
		if up {
			server = p.Dst
		}
		return c.Up == up && server.Port() == port && p.TCP != nil && p.TCP.Flags&capture.RST != 0
	})
}

// establishedState is the state's name.
var establishedState = states[netlink.TCP_ESTABLISHED]
