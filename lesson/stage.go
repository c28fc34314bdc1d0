package lesson

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/rpc"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/capture"
	"netcmp/clock"
	"netcmp/lab"
	"netcmp/netem"
)

// port is that of the lessons' servers.
const port = 7000

// stage is where a scene is played: a lab, and a program on each of its hosts.
// The first error ends the play: what is told to the hosts after it is not done.
type stage struct {
	ctx            context.Context
	options        Options
	client, server *actor
	err            error
}

// actor is the program on one host.
type actor struct {
	stage *stage
	host  lab.Host
	line  *rpc.Client
}

// play plays a scene and adds it to the document. act tells the hosts what to do;
// then draw, which gets what crossed the lab, says what it means.
func play(ctx context.Context, d *Document, title string, p netem.Path, f capture.Framing,
	act func(*stage), draw func(*Scene, *crossed)) error {
	return playAfter(ctx, d, title, nil, p, f, nil, act, draw)
}

// playAfter is play of a scene before which something happens that is not looked at,
// over a path of its own, held; nil is nothing.
//
// A scene that this machine disturbed and that shows what it should not is played again,
// playsMax times at most. What the last one of them shows then is called disturbed.
func playAfter(ctx context.Context, d *Document, title string, held *netem.Path, p netem.Path, f capture.Framing,
	before, act func(*stage), draw func(*Scene, *crossed)) error {
	for plays := 1; ; plays++ {
		played, pcap := map[string]*bytes.Buffer{}, capture.Files{}
		for device := range d.options.Pcap {
			played[device] = new(bytes.Buffer)
			pcap[device] = played[device]
		}
		scene, late, err := playOnce(ctx, d, pcap, title, held, p, f, before, act, draw)
		failed := err != nil
		if err == nil {
			scene.disturbed(late)
			failed = slices.ContainsFunc(scene.Assertions, func(a Assertion) bool { return !a.Holds })
		}
		if failed && late > lateMax && plays < playsMax && ctx.Err() == nil {
			for _, c := range d.Claims {
				c.forget(d.words(title))
			}
			continue
		}
		if err != nil {
			return err
		}
		d.Scenes = append(d.Scenes, scene)
		for device, b := range played {
			_, written := b.WriteTo(d.options.Pcap[device])
			err = errors.Join(err, written)
		}
		return err
	}
}

const (
	// playsMax bounds how often a scene is played that this machine disturbs.
	playsMax = 3
	// lateMax is how late this machine may run a scene's processes without that
	// counting as a disturbance: less than what the scenes let pass (near).
	lateMax = near / 2
)

// playOnce plays a scene once, and says how late this machine ran its processes.
func playOnce(ctx context.Context, d *Document, pcap capture.Files, title string, held *netem.Path, p netem.Path, f capture.Framing,
	before, act func(*stage), draw func(*Scene, *crossed)) (_ *Scene, late time.Duration, _ error) {
	l, err := lab.Start(ctx, lab.Config{Path: p, Engine: lab.Emulator, Held: held})
	if err != nil {
		return nil, 0, err
	}
	defer l.Close()
	s := &stage{ctx: ctx, options: d.options}
	for h, ac := range map[lab.Host]**actor{lab.Client: &s.client, lab.Server: &s.server} {
		*ac = s.enter(l, h)
	}
	if before != nil {
		if s.err == nil {
			before(s)
		}
		if err := l.Begin(ctx); err != nil {
			return nil, 0, err
		}
	}
	x, err := capture.Start(ctx, l, capture.Config{
		Keep: mostPackets, At: []string{capture.Client, capture.Server}, Messages: f, Pcap: pcap, Application: "netcmp lesson " + d.Name,
	})
	if err != nil {
		return nil, 0, err
	}
	began := clock.Now()
	if s.err == nil {
		act(s)
	}
	late = s.late(l, began)
	// What was sent last is still on its way, and so is the answer to it.
	const wire = 1500
	err = x.Stop(p.Up.LongestHold(wire) + p.Down.LongestHold(wire) + 50*time.Millisecond)
	for _, a := range []*actor{s.client, s.server} {
		if a != nil && a.line != nil {
			_ = a.line.Close()
		}
	}
	err = cmp.Or(s.err, err)
	switch {
	case err != nil:
		return nil, late, fmt.Errorf("%s: %w", title, err)
	case x.Missed() > 0:
		return nil, late, fmt.Errorf("%s: %d packets came faster than this machine could watch them", title, x.Missed())
	}
	packets, left := x.Packets()
	if left > 0 {
		return nil, late, fmt.Errorf("%s: %d packets more than %d", title, left, mostPackets)
	}
	seen := &crossed{all: capture.Crossings(packets)}
	scene := &Scene{Title: d.options.Language.words(title), language: d.options.Language, Up: p.Up.String(), Down: p.Down.String(), Ladder: capture.NewLadder("", seen.all, 0)}
	for i := range seen.all {
		scene.Packets = append(scene.Packets, newPacket(&seen.all[i]))
	}
	if draw(scene, seen); seen.err != nil {
		return nil, late, fmt.Errorf("%s: %w", title, seen.err)
	}
	return scene, late, nil
}

// late returns how late this machine ran the path and the programs on the hosts, at
// the most, since an instant (clock.Now). Of a program that does not answer in time it is
// that time, and of a lesson that was interrupted nothing is asked.
func (s *stage) late(l *lab.Lab, since int64) time.Duration {
	const patience = time.Second
	var worst int64
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if ctx.Err() != nil {
		return 0
	}
	if link, _, err := l.Link(ctx, since); err == nil && link.Up.LatenessNS != nil && link.Down.LatenessNS != nil {
		worst = max(link.Up.LatenessNS.Max, link.Down.LatenessNS.Max)
	}
	for _, a := range []*actor{s.client, s.server} {
		if a == nil || a.line == nil {
			continue
		}
		d := new(Done)
		select {
		case call := <-a.line.Go(service+".Late", Order{Since: since}, d, make(chan *rpc.Call, 1)).Done:
			if call.Error == nil {
				worst = max(worst, int64(d.Late))
			}
		case <-ctx.Done():
			worst = max(worst, int64(patience))
		}
	}
	return time.Duration(worst)
}

// mostPackets is more than a scene has, at both hosts' devices.
const mostPackets = 10_000

// enter starts the program on a host.
func (s *stage) enter(l *lab.Lab, h lab.Host) *actor {
	a := &actor{stage: s, host: h}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.fail(os.NewSyscallError("socketpair", err))
		return a
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "line"), os.NewFile(uintptr(fds[1]), "line")
	defer ours.Close()
	defer theirs.Close()
	c := lab.Self(hostRole)
	c.Files = []*os.File{nil, nil, os.Stderr, theirs}
	if _, err := l.Run(s.ctx, h, c); err != nil {
		s.fail(err)
		return a
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		s.fail(err)
		return a
	}
	a.line = rpc.NewClient(conn)
	return a
}

func (s *stage) fail(err error) { s.err = cmp.Or(s.err, err) }

// begin has the host do something and does not wait for it; the function that it
// gives does.
func (a *actor) begin(what string, o Order) func() Done {
	if a.stage.err != nil {
		return func() Done { return Done{} }
	}
	d := new(Done)
	call := a.line.Go(service+"."+what, o, d, make(chan *rpc.Call, 1))
	return func() Done {
		select {
		case <-call.Done:
			if call.Error != nil {
				a.stage.fail(fmt.Errorf("%v: %s: %w", a.host, what, call.Error))
			}
			return *d
		case <-a.stage.ctx.Done():
			a.stage.fail(a.stage.ctx.Err())
			return Done{} // d is still the call's
		}
	}
}

// try has the host do something, which may fail.
func (a *actor) try(what string, o Order) Done { return a.begin(what, o)() }

// do has the host do something, which must not.
func (a *actor) do(what string, o Order) Done {
	d := a.try(what, o)
	if d.Errno != "" {
		a.stage.fail(fmt.Errorf("%v: %s: %s", a.host, what, d.Errno))
	}
	return d
}

// wait lets some time pass.
func (s *stage) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
		s.fail(s.ctx.Err())
	}
}

// tellEvery is how often it is told how far a lesson is that waits.
const tellEvery = 200 * time.Millisecond

// long waits for something that takes long, and tells how far it is.
func (s *stage) long(what string, total time.Duration, wait func()) {
	began := clock.Now()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait()
	}()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		if s.options.Waiting != nil {
			s.options.Waiting(what, time.Duration(clock.Now()-began), total)
		}
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

// open opens a socket.
func (a *actor) open(proto string, port uint16) int {
	return a.do("Open", Order{Proto: proto, Port: port}).Socket
}

// toServer is where the lessons' servers are reached.
var toServer = toPort(port)

// toPort is another port of the server's.
func toPort(port uint16) netip.AddrPort { return netip.AddrPortFrom(lab.Server.Addr(), port) }

// connected makes a connection and gives both ends of it.
func (s *stage) connected() (client, server int) {
	listener := s.listening(1)
	client = s.client.open("tcp", 0)
	s.client.do("Connect", Order{Socket: client, To: toServer})
	return client, s.server.do("Accept", Order{Socket: listener}).Socket
}

// pair gives both ends of a call (tcp), or of letters (udp).
func (s *stage) pair(proto string) (client, server int) {
	if proto == "tcp" {
		return s.connected()
	}
	server, client = s.server.open(proto, port), s.client.open(proto, 0)
	s.client.do("Connect", Order{Socket: client, To: toServer})
	return client, server
}

// sayAll has the client say messages while the server hears them, until all have come
// or nothing does for as long as it has patience.
func (s *stage) sayAll(client, server int, o Order) (speak, hear Done) {
	o.Socket = server
	heard := s.server.begin("Hear", o)
	o.Socket = client
	speak = s.client.do("Speak", o)
	if hear = heard(); hear.Errno != "" && hear.Errno != "EAGAIN" {
		s.fail(fmt.Errorf("%v: Hear: %s", s.server.host, hear.Errno))
	}
	return speak, hear
}

// listening is a socket of the server's that waits for connections.
func (s *stage) listening(backlog int) int {
	listener := s.server.open("tcp", port)
	s.server.do("Listen", Order{Socket: listener, N: backlog})
	return listener
}

// watch begins to look at the states of both hosts' sockets.
func (s *stage) watch(every time.Duration) {
	s.client.do("Watch", Order{Every: every})
	s.server.do("Watch", Order{Every: every})
}

// watched ends that, and gives what was seen.
func (s *stage) watched() []State {
	client := s.client.do("Watched", Order{}).States
	return timeline(client, s.server.do("Watched", Order{}).States)
}

// timeline gives the states of both hosts in the order of time.
func timeline(client, server []State) []State {
	var all []State
	for h, states := range map[lab.Host][]State{lab.Client: client, lab.Server: server} {
		for _, s := range states {
			s.Host = h.String()
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Host, b.Host))
	})
	return all
}
