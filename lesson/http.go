package lesson

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"netcmp/capture"
	"netcmp/lab"
)

const (
	// asksAgain is how many requests of a client's are held against each other.
	asksAgain = 3
	// browsing is how long a browser may take to start, and to ask for all that it
	// asks for.
	browsing = 8 * time.Second
)

// errSilent is of a browser that does not start here: the lesson is one without it.
var errSilent = errors.New("the browser asked for nothing")

func overHTTP(ctx context.Context, d *Document) error {
	curl, browser := program("curl"), program("chromium", "chromium-browser", "google-chrome")
	err := visit(ctx, d, "Go's client asks a bare TCP server", nil, func(s *Scene) {
		for _, p := range [][2]string{{"curl", curl}, {"Chromium", browser}} {
			if p[1] == "" {
				s.say(Figure{"missing", 1, "programs"}, "%s was not found on this machine: it does not ask.", p[0])
			}
		}
	})
	if err == nil && curl != "" {
		err = visit(ctx, d, "curl asks it", []string{curl, "--silent", "--max-time", "5", "http://" + toServer.String() + "/"}, nil)
	}
	if err == nil {
		err = keptAlive(ctx, d)
	}
	if err == nil {
		err = overHTTP3(ctx, d)
	}
	if err == nil && browser != "" {
		err = browsed(ctx, d, browser)
	}
	if errors.Is(err, errSilent) {
		d.Scenes[0].say(took("silent", browsing), "%s was found, and asked for nothing in %v.", browser, browsing)
		err = nil
	}
	return err
}

// program finds a program by one of its names; "" is that there is none.
func program(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			if path, err = filepath.Abs(path); err == nil {
				return path
			}
		}
	}
	return ""
}

// from names the end that a packet is from.
func from(c *capture.Crossing) string {
	if c.Up {
		return lab.Client.String()
	}
	return lab.Server.String()
}

// talk are the packets of a client's port by what they are in a talk of question and
// answer.
func (x *crossed) talk(local uint16) (all []*capture.Crossing, names []string) {
	for i := range x.all {
		c := &x.all[i]
		p := c.Packet()
		if p.TCP == nil || p.Src.Port() != local && p.Dst.Port() != local {
			continue
		}
		what := p.TCP.Flags &^ capture.PSH
		name := what.String()
		switch {
		case p.Length > 0 && c.Up:
			name = "request"
		case p.Length > 0:
			name = "response"
		case what == capture.FIN|capture.ACK:
			name = "FIN" // it is an ACK of what came before, as every segment but the first is
		}
		if p.Length > 0 && what&capture.FIN != 0 {
			name += "+FIN"
		}
		all, names = append(all, c), append(names, from(c)+" "+name)
	}
	return all, names
}

// callers are the client's ports, in the order of their SYNs.
func (x *crossed) callers() (ports []uint16) {
	for i := range x.all {
		c := &x.all[i]
		if t := c.Packet().TCP; c.Up && t != nil && t.Flags&capture.SYN != 0 && !slices.Contains(ports, c.Packet().Src.Port()) {
			ports = append(ports, c.Packet().Src.Port())
		}
	}
	return ports
}

// visit is one request to a server that knows nothing but sockets: of Go's client, or
// of a program.
func visit(ctx context.Context, d *Document, title string, args []string, beside func(*Scene)) error {
	var asked, served Done
	return play(ctx, d, title, each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.server.do("Serve", Order{Socket: s.listening(1)})
		if args == nil {
			asked = s.client.do("Get", Order{To: toServer, N: 1})
		} else {
			asked = s.client.do("Exec", Order{Args: args, Patience: patience})
			asked.N = len(asked.Text)
		}
		served = s.server.do("Served", Order{Text: "GET /", Patience: patience})
		s.wait(pause)
	}, func(s *Scene, x *crossed) {
		callers := x.callers()
		if len(callers) == 0 || len(served.Heard) == 0 {
			x.err = fmt.Errorf("%d connections and %d requests came", len(callers), len(served.Heard))
			return
		}
		all, names := x.talk(callers[0])
		for i, c := range all {
			if name := strings.Fields(names[i])[1]; name == "request" || name == "response" {
				x.note(s, c, name)
			}
		}
		request := served.Heard[0]
		s.say(Figure{"request", int64(len(request.Text)), "bytes"}, "The server reads %d bytes of text: %s.", len(request.Text), quoted(request.Text))
		s.say(packets("packets", len(all)), "It answers with text, and hangs up. %d packets crossed: %s.", len(all), strings.Join(names, ", "))
		first := x.data(true, 0)
		s.say(packets("before_request", x.before(first)), "%d of them came before the first byte of the request, and %d carried anything.", x.before(first), x.count(carries))
		answer := x.data(false, 0)
		whole := since(sent(all[0]), arrived(answer))
		s.say(took("answer", whole), "The answer came %s after the SYN: two round trips, one of them for the connection.", ms(whole))
		if beside != nil {
			beside(s)
		}

		equal(s, "connections", 1, len(callers))
		equal(s, "what is asked for", "GET /", request.line())
		equal(s, "bytes of the page that are read", len(webPage), asked.N)
		equal(s, "the packets until the answer", "client SYN, server SYN+ACK, client ACK, client request, server ACK, server response", strings.Join(names[:min(6, len(names))], ", "))
		equal(s, "who hangs up first", "server", strings.Fields(slices.Concat(names[slices.IndexFunc(names, fins):], []string{"nobody"})[0])[0])
		equal(s, "FINs, one for each direction", 2, len(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !fins(n) })))
		s.check("the answer takes two round trips or more", ms(4*delay)+" or more", ms(whole), whole >= 4*delay)
	})
}

func fins(name string) bool { return strings.HasSuffix(name, "FIN") }

// quoted is a request on one line.
func quoted(text string) string {
	return "“" + strings.ReplaceAll(strings.TrimSpace(text), "\r\n", " ⏎ ") + "”"
}

// keptAlive is some requests of one client, with a connection for each and with one
// for all.
func keptAlive(ctx context.Context, d *Document) error {
	type bill struct {
		time        time.Duration
		packets     int
		connections int
	}
	ask := func(title string, keep bool, draw func(*Scene, bill)) error {
		var asked Done
		return play(ctx, d, title, each("delay 25ms"), capture.Framing{}, func(s *stage) {
			s.server.do("Serve", Order{Socket: s.listening(asksAgain), Keep: keep})
			asked = s.client.do("Get", Order{To: toServer, N: asksAgain, Keep: keep})
			s.wait(pause)
		}, func(s *Scene, x *crossed) {
			syn, last := x.segment(true, capture.SYN, 0), x.data(false, asksAgain-1)
			b := bill{since(sent(syn), arrived(last)), len(x.all), len(x.callers())}
			equal(s, "bytes of the pages that are read", asksAgain*len(webPage), asked.N)
			draw(s, b)
		})
	}
	var each bill
	err := ask("Three requests, a connection for each (Connection: close)", false, func(s *Scene, b bill) {
		each = b
		s.say(took("time", b.time), "%d requests over %d connections: the last answer came %s after the first SYN, and %d packets crossed.", asksAgain, b.connections, ms(b.time), b.packets)

		equal(s, "connections", asksAgain, b.connections)
		s.check("two round trips a request, or more", ms(asksAgain*4*delay)+" or more", ms(b.time), b.time >= asksAgain*4*delay)
	})
	if err != nil {
		return err
	}
	return ask("The same over one connection that is kept (keep-alive)", true, func(s *Scene, b bill) {
		s.say(took("time", b.time), "Over %d connection: %s and %d packets. The first request paid for the handshake, the others took a round trip each.", b.connections, ms(b.time), b.packets)
		s.say(took("saved", each.time-b.time), "That is %s and %d packets less. The server has to say how long its answer is, since its end does not say so any more.", ms(each.time-b.time), each.packets-b.packets)

		equal(s, "connections", 1, b.connections)
		s.between("a round trip for each request, and one for the connection", (asksAgain+1)*2*delay, (asksAgain+2)*2*delay, b.time)
		s.check("it takes fewer packets", fmt.Sprintf("under %d", each.packets), fmt.Sprint(b.packets), b.packets < each.packets)
	})
}

// overHTTP3 is the same by HTTP/3: without TCP, and in secret.
func overHTTP3(ctx context.Context, d *Document) error {
	var asked Done
	return play(ctx, d, "The same by HTTP/3, over UDP", each("delay 25ms"), capture.Framing{}, func(s *stage) {
		certificate := s.server.do("Serve3", Order{To: toServer}).Certificate
		asked = s.client.do("Get3", Order{To: toServer, N: asksAgain, Certificate: certificate})
		s.wait(pause)
	}, func(s *Scene, x *crossed) {
		if len(asked.Times) != asksAgain {
			x.err = fmt.Errorf("%d requests were answered, and not %d", len(asked.Times), asksAgain)
			return
		}
		first := x.datagram(true, 0)
		whole := since(sent(first), asked.Times[asksAgain-1])
		size := 0
		for i := range x.all {
			size += len(x.all[i].Packet().Frame)
		}
		calls := x.count(func(c *capture.Crossing) bool { return c.Packet().TCP != nil })
		s.say(took("time", whole), "%d requests by %s: the last answer was read %s after the first datagram. The handshake took one round trip, like TCP's, and the secret is in it.", asksAgain, asked.Text, ms(whole))
		s.say(packets("packets", len(x.all)), "%d packets and %d bytes crossed, %d of them TCP's. HTTP/1.1 above was in the open; here the certificate and the keys are in the bytes, too.", len(x.all), size, calls)

		equal(s, "bytes of the pages that are read", asksAgain*len(webPage), asked.N)
		equal(s, "what the client says that it spoke", "HTTP/3.0", asked.Text)
		equal(s, "packets of TCP's", 0, calls)
		s.between("a round trip for each request, and one for the connection", (asksAgain+1)*2*delay, (asksAgain+2)*2*delay, whole)
		s.abridge(mostDrawn)
	})
}

// browsed is a browser's visit.
func browsed(ctx context.Context, d *Document, browser string) error {
	var served Done
	return play(ctx, d, d.words("A browser asks it: %s", filepath.Base(browser)), each("delay 25ms"), capture.Framing{}, func(s *stage) {
		s.server.do("Serve", Order{Socket: s.listening(16)})
		url := "http://" + toServer.String() + "/"
		dir := os.TempDir()
		s.client.begin("Exec", Order{Patience: browsing, Args: []string{
			browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio",
			"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE " + toServer.Addr().String(),
			"--user-data-dir=" + filepath.Join(dir, "profile"), url,
		}})
		served = s.server.do("Served", Order{Text: "GET /favicon.ico", Patience: browsing})
		s.wait(pause)
	}, func(s *Scene, x *crossed) {
		callers := x.callers()
		if len(served.Heard) == 0 {
			x.err = errSilent
			return
		}
		var lines []string
		asking := map[uint16]bool{}
		for _, r := range served.Heard {
			lines = append(lines, r.line())
			asking[r.Port] = true
		}
		idle := 0
		for _, p := range callers {
			if !asking[p] {
				idle++
			}
		}
		request := served.Heard[0]
		s.say(Figure{"request", int64(len(request.Text)), "bytes"}, "The same question takes a browser %d bytes: it says who it is, and what it would understand: %s.", len(request.Text), quoted(request.Text))
		s.say(Figure{"requests", int64(len(lines)), "requests"}, "Nobody but the user was to ask, and the server was asked %d times: %s. The picture for the tab is the browser's own wish.", len(lines), strings.Join(lines, ", "))
		s.say(Figure{"connections", int64(len(callers)), "connections"}, "It made %d connections.", len(callers))
		if idle > 0 {
			s.say(Figure{"idle", int64(idle), "connections"}, "Over %d of them nothing was ever asked: a browser calls before it knows whether it will have a question.", idle)
		}
		s.say(packets("packets", len(x.all)), "%d packets crossed for a page of %d bytes.", len(x.all), len(webPage))

		equal(s, "what is asked for first", "GET /", request.line())
		s.check("it says more than who asks with a program of one line", "over 100 bytes", fmt.Sprintf("%d bytes", len(request.Text)), len(request.Text) > 100)
		s.check("each request has a connection, since the server hangs up", fmt.Sprintf("%d or more", len(lines)), fmt.Sprint(len(callers)), len(callers) >= len(lines))
		s.abridge(mostDrawn)
	})
}
