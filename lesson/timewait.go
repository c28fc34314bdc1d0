package lesson

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"netcmp/capture"
	"netcmp/lab"
)

func timeWait(ctx context.Context, d *Document) error {
	for _, scene := range []func(context.Context, *Document) error{engaged, portsGone, aMinute} {
		if err := scene(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// hungUp makes a connection with a port of the server's, and has one end close it
// first. The socket of the server's that listened is closed before.
func (s *stage) hungUp(port uint16, reuse bool, first, second *actor) {
	listener := s.server.do("Open", Order{Proto: "tcp", Port: port, Reuse: reuse}).Socket
	s.server.do("Listen", Order{Socket: listener, N: 1})
	client := s.client.open("tcp", 0)
	s.client.do("Connect", Order{Socket: client, To: toPort(port)})
	server := s.server.do("Accept", Order{Socket: listener}).Socket
	s.server.do("Close", Order{Socket: listener})
	s.wait(pause) // each state lasts long enough to be seen
	one, other := client, server
	if first == s.server {
		one, other = server, client
	}
	first.do("Close", Order{Socket: one})
	second.do("Receive", Order{Socket: other, N: firstWords})
	s.wait(pause)
	second.do("Close", Order{Socket: other})
}

// engaged is what a port is good for whose connection has been closed.
func engaged(ctx context.Context, d *Document) error {
	const plain, reusable = port, port + 1
	var states []State
	var binds [4]Done // without and with SO_REUSEADDR, of a port that was opened without, and with it
	var connect Done
	return play(ctx, d, "Who hangs up first keeps the port", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.watch(lookEvery)
		s.hungUp(plain, false, s.server, s.client)
		s.hungUp(reusable, true, s.server, s.client)
		s.wait(pause) // the last packets cross
		states = s.watched()
		for i := range binds {
			binds[i] = s.server.try("Open", Order{Proto: "tcp", Port: uint16(plain + i/2), Reuse: i%2 == 1})
			if binds[i].Errno != "" {
				s.server.do("Close", Order{Socket: binds[i].Socket})
			}
		}
		s.server.do("Listen", Order{Socket: binds[3].Socket, N: 1})
		connect = s.client.try("Connect", Order{Socket: s.client.open("tcp", 0), To: toPort(reusable)})
	}, func(s *Scene, x *crossed) {
		s.States = states
		x.accompany(s.States)
		fins := x.count(func(c *capture.Crossing) bool { t := c.Packet().TCP; return t != nil && t.Flags&capture.FIN != 0 })
		s.say(packets("fins", fins), "Two connections, each ended by the server first: %d FINs cross. The end that closed first remains in TIME_WAIT, for its last ACK may be lost, "+
			"and a packet of this connection that is still under way must not be taken for one of the next (RFC 9293 §3.6.1).", fins)
		left := 0
		for _, state := range s.States {
			if state.Host == lab.Client.String() && state.State == timeWaitState {
				left++
			}
		}
		s.say(Figure{"passive", int64(left), "sockets"}, "The end that closed second has its ACK and is done: %d sockets of the client's were ever in TIME_WAIT.", left)
		s.say(Figure{"refused", int64(refusals(binds[:])), ""}, "A server that is started again wants its port back. bind() of the port says %s without more ado, and %s with SO_REUSEADDR, "+
			"since the server before had not set it: on Linux both must have (net/ipv4/inet_connection_sock.c, inet_bind_conflict).", outcome(binds[0]), outcome(binds[1]))
		s.say(took("connect", since(connect.Began, connect.Ended)), "The other port was opened with SO_REUSEADDR from the beginning: bind() says %s without it and %s with it, and the next client is served at once (connect() took %s). "+
			"That is why every server sets it.", outcome(binds[2]), outcome(binds[3]), ms(since(connect.Began, connect.Ended)))

		for _, p := range []uint16{plain, reusable} {
			equal(s, fmt.Sprintf("the server's states, port %d", p), "SYN_RECV, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, TIME_WAIT", courseTo(s.States, lab.Server, p))
			equal(s, fmt.Sprintf("the client's states, port %d", p), "SYN_SENT, ESTABLISHED, CLOSE_WAIT, LAST_ACK, "+gone, courseTo(s.States, lab.Client, p))
		}
		equal(s, "bind() without SO_REUSEADDR", "EADDRINUSE", outcome(binds[0]))
		equal(s, "bind() with SO_REUSEADDR, of a port that was opened without", "EADDRINUSE", outcome(binds[1]))
		equal(s, "bind() without SO_REUSEADDR, of a port that was opened with it", "EADDRINUSE", outcome(binds[2]))
		equal(s, "bind() with SO_REUSEADDR, both times", "done", outcome(binds[3]))
		equal(s, "connect() to the server that is there again", "done", outcome(connect))
	})
}

// timeWaitState is the state's name.
var timeWaitState = states[netlink.TCP_TIME_WAIT]

// outcome is what a system call said.
func outcome(d Done) string {
	if d.Errno == "" {
		return "done"
	}
	return d.Errno
}

// refusals counts what failed.
func refusals(all []Done) (n int) {
	for _, d := range all {
		if d.Errno != "" {
			n++
		}
	}
	return n
}

// The client's ports, in the scene in which it has few of them: an even number, since
// the kernel gives connections of one parity first (RFC 6056; __inet_hash_connect).
const (
	firstPort = 40000
	fewPorts  = 4
)

// portsGone is a client that calls a server until it has no port left for it.
func portsGone(ctx context.Context, d *Document) error {
	var usual string
	var waiting []Listed
	var calls [fewPorts]Done
	var again, elsewhere, reused Done
	return play(ctx, d, "A client's ports run out", each("delay 5ms"), capture.Framing{}, func(s *stage) {
		usual = s.client.do("Setting", Order{Setting: portRange, Value: fmt.Sprintf("%d %d", firstPort, firstPort+fewPorts-1)}).Value
		one, two := s.listening(fewPorts), s.server.open("tcp", port+1)
		s.server.do("Listen", Order{Socket: two, N: 1})
		for i := range calls {
			client := s.client.open("tcp", 0)
			calls[i] = s.client.try("Connect", Order{Socket: client, To: toServer})
			server := s.server.do("Accept", Order{Socket: one}).Socket
			s.client.do("Close", Order{Socket: client})
			s.server.do("Receive", Order{Socket: server, N: firstWords})
			s.server.do("Close", Order{Socket: server})
		}
		s.wait(pause)
		waiting = s.client.do("List", Order{}).Sockets
		again = s.client.try("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
		elsewhere = s.client.try("Connect", Order{Socket: s.client.open("tcp", 0), To: toPort(port + 1)})
		s.client.do("Setting", Order{Setting: "net/ipv4/tcp_tw_reuse", Value: "1"})
		s.wait(reuseAfter)
		reused = s.client.try("Connect", Order{Socket: s.client.open("tcp", 0), To: toServer})
	}, func(s *Scene, x *crossed) {
		of := ports(usual)
		s.say(Figure{"ports", int64(of), "ports"}, "A connection is known by four numbers, two addresses and two ports (RFC 9293 §3.3.1). A client that calls the same server at the same port has only its own port to choose: "+
			"here one of %d (net.ipv4.ip_local_port_range), which makes %d short connections a second, and no more, where each engages its port for a minute.", of, of/60)
		n := countIn(waiting, port, timeWaitState)
		s.say(Figure{"time_wait", int64(n), "sockets"}, "So that it is seen sooner, this client has %d ports. After as many calls, each of which it ended first, %d of its sockets are in TIME_WAIT.", fewPorts, n)
		late := x.count(func(c *capture.Crossing) bool { return sent(c) >= again.Began && sent(c) <= again.Ended })
		s.say(packets("refused", late), "The next connect() says %s, and %d packets leave: no server and no path has a part in it.", outcome(again), late)
		s.say(took("elsewhere", since(elsewhere.Began, elsewhere.Ended)), "To another port of the same server it is connected in %s, from a port that is engaged with the first: the four numbers are others.",
			ms(since(elsewhere.Began, elsewhere.Ended)))
		s.say(took("reused", since(reused.Began, reused.Ended)), "With net.ipv4.tcp_tw_reuse = 1 a client may have a port back that has been in TIME_WAIT for more than a second, since the timestamps of both ends tell old packets from new ones (RFC 6191): connect() says %s.",
			outcome(reused))

		equal(s, "calls that are made", fewPorts, fewPorts-refusals(calls[:]))
		equal(s, "of them in TIME_WAIT at the client", fewPorts, n)
		equal(s, "the next one", "EADDRNOTAVAIL", outcome(again))
		equal(s, "packets that it sends", 0, late)
		equal(s, "one to another port", "done", outcome(elsewhere))
		equal(s, "one with tcp_tw_reuse, a second later", "done", outcome(reused))
		equal(s, "the ports that were called from, in all", strings.Join(portNames(firstPort, fewPorts), ", "), strings.Join(x.callingPorts(), ", "))
	})
}

// portRange is the setting of the ports that clients are given.
const portRange = "net/ipv4/ip_local_port_range"

// reuseAfter is longer than the second by which a connection's timestamps must be
// older than the next one's (tcp_twsk_unique, net/ipv4/tcp_ipv4.c).
const reuseAfter = 1500 * time.Millisecond

// ports counts those of a range in words.
func ports(words string) int {
	first, last, _ := strings.Cut(words, " ")
	a, _ := strconv.Atoi(first)
	b, _ := strconv.Atoi(last)
	return b - a + 1
}

func portNames(first, n int) (names []string) {
	for i := range n {
		names = append(names, strconv.Itoa(first+i))
	}
	return names
}

// callingPorts are the ports that SYNs came from, each once and in their order.
func (x *crossed) callingPorts() []string {
	seen := map[uint16]bool{}
	for i := range x.all {
		p := x.all[i].Packet()
		if p.TCP != nil && p.TCP.Flags.Is(capture.SYN) {
			seen[p.Src.Port()] = true
		}
	}
	var names []string
	for p := range seen {
		names = append(names, strconv.Itoa(int(p)))
	}
	slices.Sort(names)
	return names
}

const (
	// minute is how long Linux keeps a socket in TIME_WAIT (TCP_TIMEWAIT_LEN,
	// include/net/tcp.h: "how long to wait to destroy TIME-WAIT state, about 60
	// seconds").
	minute = time.Minute
	// about is how far from it the kernel's own word may be.
	about = time.Second
	// lateMost is how much later than its timer says the socket may go. Timers that are
	// so far off are gathered, and each waits for the end of its bucket, which is up to
	// 512 ticks of a hundredth of a second long (kernel/time/timer.c: "HZ 100, level 3,
	// granularity 5120 ms"; of 250 2048 ms, of 1000 4096 ms).
	lateMost = 5120 * time.Millisecond
	// finTimeout is what net.ipv4.tcp_fin_timeout is set to at one host.
	finTimeout = 5 * time.Second
	// seldom is the time from one look to the next while the minute goes by.
	seldom = 50 * time.Millisecond
	// patient is how long the end of a TIME_WAIT is waited for.
	patient = 2 * time.Minute
	// glimpse is how long a lesson that does not wait looks on.
	glimpse = 3 * time.Second
)

// stay is a socket's time in TIME_WAIT.
type stay struct {
	host  lab.Host
	port  uint16        // of the server's, that the connection was with
	local uint16        // the socket's own
	asked int64         // when the kernel was asked for its timer
	left  time.Duration // what that had left then
	free  Done
	began int64 // when the state was first seen
	ended int64 // when the socket was no more; 0: that was not waited for
}

// ask asks the kernel for the timer.
func (y *stay) ask(a *actor) {
	d := a.do("List", Order{})
	y.asked = d.Ended
	for _, x := range d.Sockets {
		if x.State == timeWaitState && (x.Local == y.port || x.Peer == y.port) {
			y.local, y.left = x.Local, x.Left
		}
	}
}

// wait begins to wait until the socket's port may be bound to again; the function
// that it gives ends that.
func (y *stay) wait(a *actor) func() {
	free := a.begin("Free", Order{Port: y.local, Every: seldom, Patience: patient})
	return func() { y.free = free() }
}

// find finds its beginning and its end among the states.
func (y *stay) find(all []State) {
	for i := range all {
		switch x := &all[i]; {
		case x.Host != y.host.String() || x.Local != y.local:
		case x.State == timeWaitState && y.began == 0:
			y.began = x.Since
		case x.State == gone:
			y.ended = x.Since
		}
	}
}

// timer is how long it lasts by the kernel's own timer.
func (y *stay) timer() time.Duration { return since(y.began, y.asked) + y.left }

// lasted is how long it did last.
func (y *stay) lasted() time.Duration { return since(y.began, y.ended) }

// aMinute is how long it takes.
func aMinute(ctx context.Context, d *Document) error {
	// One port the server hangs up first at, and one the client.
	server, client := stay{host: lab.Server, port: port}, stay{host: lab.Client, port: port + 1}
	quick := d.options.Quick
	var states []State
	return play(ctx, d, "It takes a minute", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.client.do("Setting", Order{Setting: "net/ipv4/tcp_fin_timeout", Value: strconv.Itoa(int(finTimeout.Seconds()))})
		s.watch(lookEvery)
		s.hungUp(server.port, false, s.server, s.client)
		s.hungUp(client.port, false, s.client, s.server)
		s.wait(pause)
		states = s.watched()
		if quick {
			s.wait(glimpse)
		}
		server.ask(s.server)
		client.ask(s.client)
		if quick {
			return
		}
		s.watch(seldom)
		one, other := server.wait(s.server), client.wait(s.client)
		s.long("TIME_WAIT", minute, func() {
			one()
			other()
		})
		for _, x := range s.watched() {
			if x.State == gone { // the other states are known
				states = append(states, x)
			}
		}
	}, func(s *Scene, x *crossed) {
		s.States = states
		x.accompany(s.States)
		server.find(states)
		client.find(states)
		s.say(took("timer", server.timer()), "The server has hung up first. %s after its socket had come into TIME_WAIT the kernel's own timer (sock_diag) had %s left: %s in all. "+
			"RFC 9293 §3.4.2 has it last twice the longest life of a packet (2 MSL), which it takes for 2 minutes, and courses say 1 to 2 minutes; Linux has one minute, and no setting for it.",
			seconds(since(server.began, server.asked)), seconds(server.left), seconds(server.timer()))
		if quick {
			s.say(took("rest", server.left), "These %s were not waited for (--quick): that the socket is gone then, and bind() succeeds, is not measured here.", seconds(server.left))
		} else {
			s.say(took("time_wait", server.lasted()), "It was there for %s. bind() of its port failed %d times meanwhile, and succeeded %s after the beginning. "+
				"That it is more than a minute is the kernel's thrift: it gathers timers that are far off, and lets all of a bucket go at once.",
				seconds(server.lasted()), server.free.N, seconds(since(server.began, server.free.Ended)))
		}
		measured := client.timer()
		if !quick {
			measured = client.lasted()
		}
		s.say(took("fin_timeout", measured), "The other connection was ended by the client first, whose net.ipv4.tcp_fin_timeout was set to %s before. That is about FIN_WAIT2, whatever is said of it: its TIME_WAIT takes %s, too.",
			seconds(finTimeout), seconds(measured))

		for _, y := range []*stay{&server, &client} {
			who := "the " + y.host.String() + "'s socket"
			s.within(who+" by the kernel's timer", minute, about, y.timer())
			if !quick {
				s.check(who+" as it was listed", seconds(minute)+" to "+seconds(minute+lateMost), seconds(y.lasted()), minute-seldom <= y.lasted() && y.lasted() <= minute+lateMost+seldom)
				equal(s, who+": bind() in the end", "done", outcome(y.free))
				s.check(who+": bind() does not succeed before", "as long as it is listed or longer", seconds(since(y.began, y.free.Ended)), y.free.Ended >= y.ended-int64(seldom))
			}
		}
	})
}

// within asserts that a time is another one but for so much, which is far more than a
// machine is late.
func (s *Scene) within(name string, want, slack, measured time.Duration) {
	s.check(name, seconds(want)+" ± "+seconds(slack), seconds(measured), max(measured-want, want-measured) <= slack)
}

// seconds writes a time in seconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s" }
