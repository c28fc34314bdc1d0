package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"netcmp/lab"
	"netcmp/peer"
	"netcmp/records"
	"netcmp/result"
	"netcmp/transport"
)

// The two ends are processes of their own. Each has two sockets from its
// owner: the line, by which it gets its order and tells what comes of it, and
// one end of the control channel, which joins it to the other. An end whose
// line closes ends itself.
const (
	lineFD    = 3
	controlFD = 4
	// Where records are kept: the files for what an end sent and for what it received.
	sentFD     = 5
	receivedFD = 6
)

// Roles are the parts of an experiment that this program plays when it is
// started again; hand them to lab.Dispatch first thing in main.
func Roles() map[string]func() int {
	return map[string]func() int{"client": clientMain, "server": serverMain}
}

// serverOrder and clientOrder are the first thing on an end's line.
type serverOrder struct {
	Addr    netip.Addr
	Private bool
	QlogDir string
	Records bool
	Profile Profiles
}

type clientOrder struct {
	Spec    peer.Spec
	Server  netip.Addr
	Private bool
	Traces  transport.Traces
	Profile Profiles
	Records bool
	Path    bool // the owner knows the path's account: see clientLine.Link
}

// clientWord is what the client's end is told after that. The zero value is: stop.
type clientWord struct {
	Begin bool
	Link  *clientLink `json:",omitempty"` // the answer to clientLine.Link
}

// clientLink is the path's account, or why there is none.
type clientLink struct {
	Link  *result.Link
	Error string
}

// clientLine is what the client's end tells, a JSON value each.
type clientLine struct {
	Link     bool           `json:",omitempty"` // asks for the path's account
	Ready    bool           `json:",omitempty"` // for the connection that is measured; it waits for the word
	Progress *peer.Progress `json:",omitempty"`
	Outcome  *peer.Outcome  `json:",omitempty"`
	Error    string         `json:",omitempty"`
	// What the error is, beside its text.
	Usage       bool `json:",omitempty"`
	Unsupported bool `json:",omitempty"`
}

// socketFrom takes over a descriptor that the owner passed.
func socketFrom(fd uintptr) (net.Conn, error) {
	f := os.NewFile(fd, "owner")
	defer f.Close()
	return net.FileConn(f)
}

// begin gives an end its two sockets. The terminal's signals are for the
// owner, which says by the line what to make of them.
func begin() (line, control net.Conn, err error) {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM)
	if line, err = socketFrom(lineFD); err != nil {
		return nil, nil, err
	}
	control, err = socketFrom(controlFD)
	return line, control, err
}

// recordFiles are those that the owner passed, if records are kept.
func recordFiles(kept bool) records.Files {
	if !kept {
		return records.Files{}
	}
	return records.Files{Sent: os.NewFile(sentFD, "sent"), Received: os.NewFile(receivedFD, "received")}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "netcmp:", err)
	return 1
}

func serverMain() int {
	line, control, err := begin()
	if err != nil {
		return fail(err)
	}
	orders := json.NewDecoder(line)
	var order serverOrder
	if err := orders.Decode(&order); err != nil {
		return fail(err)
	}
	s := peer.NewServer(peer.ServerConfig{
		Transports: Transports(), Addr: order.Addr, Private: order.Private, Sole: true, Log: zerolog.Nop(),
		QlogDir: order.QlogDir, Records: recordFiles(order.Records),
	})
	profiled, err := order.Profile.profile("server")
	if err != nil {
		return fail(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, line)
		// The owner is gone, or done. What is being written is to be whole.
		if order.QlogDir != "" || order.Records {
			_ = s.Close()
		}
		if err := profiled(); err != nil {
			os.Exit(fail(err))
		}
		os.Exit(0)
	}()
	if err := s.Serve(peer.Listen(control)); err != nil {
		return fail(err)
	}
	return 0
}

func clientMain() int {
	line, control, err := begin()
	if err != nil {
		return fail(err)
	}
	orders := json.NewDecoder(line)
	var order clientOrder
	if err := orders.Decode(&order); err != nil {
		return fail(err)
	}
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	begin := make(chan struct{}, 1)
	links := make(chan *clientLink, 1)
	go func() {
		var word clientWord
		for orders.Decode(&word) == nil {
			switch {
			case word.Link != nil:
				links <- word.Link
			case word.Begin:
				begin <- struct{}{}
			default:
				interrupt()
			}
			word = clientWord{}
		}
		os.Exit(1) // the owner is gone
	}()
	var mu sync.Mutex
	lines := json.NewEncoder(line)
	tell := func(l clientLine) error {
		mu.Lock()
		defer mu.Unlock()
		return lines.Encode(l)
	}
	profiled, err := order.Profile.profile("client")
	if err != nil {
		if err := tell(clientLine{Error: err.Error()}); err != nil {
			return fail(err)
		}
		select {} // as below
	}
	link := func(ctx context.Context) (*result.Link, error) {
		if err := tell(clientLine{Link: true}); err != nil {
			return nil, err
		}
		select {
		case l := <-links:
			if l.Error != "" {
				return nil, errors.New(l.Error)
			}
			return l.Link, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !order.Path {
		link = nil
	}
	out, err := peer.Run(ctx, peer.ClientConfig{
		Link:       link,
		Transports: Transports(), Control: peer.Over(control), Base: "http://lab",
		Server: order.Server, Private: order.Private, Sole: true, Traces: order.Traces,
		Records: recordFiles(order.Records),
		Begin: func(ctx context.Context) error {
			if err := tell(clientLine{Ready: true}); err != nil {
				return err
			}
			select {
			case <-begin:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, order.Spec, func(p peer.Progress) { _ = tell(clientLine{Progress: &p}) })
	err = errors.Join(err, profiled())
	l := clientLine{Outcome: out}
	if err != nil {
		l.Error, l.Usage, l.Unsupported = err.Error(), errors.Is(err, peer.ErrUsage), errors.Is(err, transport.ErrNotSupported)
	}
	if err := tell(l); err != nil {
		return fail(err)
	}
	// The owner closes the line when it has read this.
	select {}
}

// place is where the two ends run.
type place interface {
	// start starts an end with its sockets. ended is closed at its end, and
	// why then says how it ended.
	start(ctx context.Context, h lab.Host, c lab.Command) (ended <-chan struct{}, why func() string, err error)
	// server is the address at which the server's end is reached.
	server() netip.Addr
	// private says that each end's host is the experiment's alone.
	private() bool
}

// labPlace is the lab's two hosts.
type labPlace struct{ lab *lab.Lab }

func (p labPlace) server() netip.Addr { return lab.Server.Addr() }
func (p labPlace) private() bool      { return true }

func (p labPlace) start(ctx context.Context, h lab.Host, c lab.Command) (<-chan struct{}, func() string, error) {
	process, err := p.lab.Run(ctx, h, c)
	if err != nil {
		return nil, nil, err
	}
	return process.Done(), func() string { return process.Wait().String() }, nil
}

// loopback is this very host.
type loopback struct{}

func (loopback) server() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }
func (loopback) private() bool      { return false }

func (loopback) start(_ context.Context, _ lab.Host, c lab.Command) (<-chan struct{}, func() string, error) {
	cmd := &exec.Cmd{Path: c.File, Args: c.Args, Env: c.Env, Stderr: os.Stderr, ExtraFiles: c.Files[lineFD:]}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = cmd.Wait()
	}()
	return ended, func() string {
		<-ended
		if err != nil {
			return err.Error()
		}
		return "exit status 0"
	}, nil
}

// ends are the two running ends.
type ends struct {
	line        net.Conn // to the client's end
	lines       *json.Decoder
	serverLine  net.Conn
	clientEnded <-chan struct{}
	serverEnded <-chan struct{}
	clientWhy   func() string
	serverWhy   func() string
}

// startEnds starts both ends in their place, joined by a control channel.
func startEnds(ctx context.Context, p place, spec peer.Spec, traces transport.Traces, profile Profiles, spool *records.Spool) (e *ends, err error) {
	kept := spool != nil
	if !kept {
		spool = &records.Spool{}
	}
	e = &ends{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	clientControl, serverControl, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer clientControl.Close()
	defer serverControl.Close()
	e.serverLine, e.serverEnded, e.serverWhy, err = startEnd(ctx, p, lab.Server, "server", serverControl, spool.Server,
		serverOrder{Addr: p.server(), Private: p.private(), QlogDir: traces.QlogDir, Records: kept, Profile: profile})
	if err != nil {
		return e, err
	}
	e.line, e.clientEnded, e.clientWhy, err = startEnd(ctx, p, lab.Client, "client", clientControl, spool.Client,
		clientOrder{Spec: spec, Records: kept, Server: p.server(), Private: p.private(), Traces: traces, Profile: profile, Path: p.private()})
	if err != nil {
		return e, err
	}
	e.lines = json.NewDecoder(e.line)
	return e, nil
}

func startEnd(ctx context.Context, p place, h lab.Host, role string, control *os.File, kept records.Files, order any) (
	line net.Conn, ended <-chan struct{}, why func() string, err error,
) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	if line, err = net.FileConn(ours); err != nil {
		return nil, nil, nil, err
	}
	c := lab.Self(role)
	c.Files = []*os.File{nil, nil, os.Stderr, theirs, control}
	if kept.Sent != nil {
		c.Files = append(c.Files, kept.Sent, kept.Received)
	}
	if ended, why, err = p.start(ctx, h, c); err == nil {
		err = json.NewEncoder(line).Encode(order)
	}
	if err != nil {
		line.Close()
		return nil, nil, nil, err
	}
	return line, ended, why, nil
}

// close makes both ends end, and waits for them.
func (e *ends) close() {
	for _, x := range []struct {
		line  net.Conn
		ended <-chan struct{}
	}{{e.line, e.clientEnded}, {e.serverLine, e.serverEnded}} {
		if x.line != nil {
			_ = x.line.Close()
			<-x.ended
		}
	}
}

func socketPair() (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "line"), os.NewFile(uintptr(fds[1]), "line"), nil
}
