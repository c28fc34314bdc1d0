// Package lab is two hosts and the path between them, on one machine.
//
//	owner ── path process ─┬─ client host   own network namespace, eth0
//	                       └─ server host   own network namespace, eth0
//
// The path process runs in a user namespace of its own where the owner is not
// root, in a network namespace between the hosts', and as the first process of
// a process namespace: when it dies, for whatever reason, the kernel ends
// every program in the lab; when the owner dies, the path process sees its
// channel close and ends. Namespaces and devices hang on these processes and
// not on names, so nothing can be left on the machine.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/netem"
	"netcmp/result"
)

// ErrUnsupported is wrapped by every error that means: this machine cannot
// hold a lab. The error is an *UnsupportedError.
var ErrUnsupported = errors.New("this machine cannot hold a lab")

// UnsupportedError names what the machine lacks and how to mend it.
type UnsupportedError struct {
	Missing string
	Mend    string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%v: %s; %s", ErrUnsupported, e.Missing, e.Mend)
}

// Unwrap makes errors.Is(err, ErrUnsupported) hold.
func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

// Host is one of the lab's two hosts.
type Host int

// The hosts.
const (
	Client Host = iota
	Server
)

func (h Host) String() string {
	if h == Client {
		return "client"
	}
	return "server"
}

// The hosts' addresses lie in the ranges set aside for benchmarking networks:
// 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180).
var (
	addresses4 = [2]netip.Addr{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.2")}
	addresses6 = [2]netip.Addr{netip.MustParseAddr("2001:2::1"), netip.MustParseAddr("2001:2::2")}
)

// Addr is the host's IPv4 address in the lab.
func (h Host) Addr() netip.Addr { return addresses4[h] }

// Addr6 is the host's IPv6 address in the lab.
func (h Host) Addr6() netip.Addr { return addresses6[h] }

// Config is what a lab is made from.
type Config struct {
	Path    netem.Path
	Seed    uint64         // reaches every draw of the path
	Fate    netem.Fate     // whether losses go by packet (zero) or by time
	Changes []netem.Change // of the path, in the order of time
	// Engine makes the path; Auto is the kernel where it can, and with Exact
	// where it also takes the seed.
	Engine Engine
	Exact  bool
	// Held is what the path is, uncounted, until Begin; with nil it begins at once. The
	// kernel's can only be held clean.
	Held *netem.Path
}

// Lab is two hosts and a path. Its methods may be called from any goroutine.
type Lab struct {
	path    *exec.Cmd
	channel *channel
	engine  Engine
	seeded  bool
	ended   chan struct{} // the path process is gone

	mu        sync.Mutex
	nextID    int
	waiting   map[int]chan answer
	processes map[int]*Process
	lost      error // why the channel ended
}

// role is the name of the environment variable by which a process of the tree
// learns what it is.
const role = "NETCMP_LAB_ROLE"

// Dispatch turns this process into a part of a lab if it was started as one;
// it then does not return. A program that uses labs calls it first thing in
// main, and in TestMain. roles are further parts, by name, for the programs
// that Self starts.
func Dispatch(roles map[string]func() int) {
	name := os.Getenv(role)
	if name == "" {
		return
	}
	if err := os.Unsetenv(role); err != nil {
		panic(err)
	}
	if name == "path" {
		os.Exit(pathMain())
	}
	if part, ok := roles[name]; ok {
		os.Exit(part())
	}
	fmt.Fprintf(os.Stderr, "netcmp: %s=%q is not a part of the lab\n", role, name)
	os.Exit(2)
}

// Self is a command that runs this very program in the named role (Dispatch).
func Self(name string) Command {
	return Command{File: "/proc/self/exe", Args: []string{"netcmp-" + name}, Env: append(os.Environ(), role+"="+name)}
}

// Start builds a lab. It lasts until Close, or until ctx ends, or until one of
// its processes dies.
func Start(ctx context.Context, c Config) (*Lab, error) {
	ours, theirs, err := channelPair()
	if err != nil {
		return nil, err
	}
	cmd, err := startPath(theirs)
	theirs.Close() // while it is open here, the path process's end goes unseen
	if err != nil {
		ours.Close()
		return nil, err
	}
	ch, err := newChannel(ours)
	ours.Close()
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	l := &Lab{
		path: cmd, channel: ch, ended: make(chan struct{}),
		waiting: map[int]chan answer{}, processes: map[int]*Process{},
	}
	go l.read()
	a, err := l.ask(ctx, request{Build: newBuildRequest(c)})
	if err != nil {
		l.Close()
		return nil, err
	}
	l.engine, l.seeded = a.Engine, a.Seeded
	return l, nil
}

// Engine is what makes the path.
func (l *Lab) Engine() Engine { return l.engine }

// Seeded says whether the seed reaches the path's draws. Those of a kernel
// before 6.6 it does not.
func (l *Lab) Seeded() bool { return l.seeded }

// startPath starts the path process: as root in namespaces of the machine's
// own user namespace, otherwise, or where root lacks the right, in a new one.
func startPath(channel *os.File) (*exec.Cmd, error) {
	const spaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	start := func(attr *syscall.SysProcAttr) (*exec.Cmd, error) {
		cmd := &exec.Cmd{
			Path: "/proc/self/exe", Args: []string{"netcmp-path"}, Env: append(os.Environ(), role+"=path"),
			Stderr: os.Stderr, ExtraFiles: []*os.File{channel}, SysProcAttr: attr,
		}
		return cmd, cmd.Start()
	}
	if os.Geteuid() == 0 {
		cmd, err := start(&syscall.SysProcAttr{Cloneflags: spaces})
		if !errors.Is(err, syscall.EPERM) {
			return cmd, unsupported(err)
		}
	}
	cmd, err := start(&syscall.SysProcAttr{
		Cloneflags:  spaces | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	})
	return cmd, unsupported(err)
}

// unsupported tells an error that means "not on this machine" from others.
func unsupported(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		return &UnsupportedError{
			Missing: "namespaces may not be made here (" + err.Error() + ")",
			Mend:    "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container: --privileged), or run as root, or use --engine none",
		}
	case syscall.ENOSPC, syscall.EUSERS:
		return &UnsupportedError{
			Missing: "the limit on namespaces is reached (" + err.Error() + ")",
			Mend:    "raise sysctl user.max_user_namespaces, user.max_net_namespaces and user.max_pid_namespaces, or use --engine none",
		}
	case syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP:
		return &UnsupportedError{
			Missing: "the kernel lacks a part (" + err.Error() + ")",
			Mend:    "use a kernel with CONFIG_USER_NS, CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_VETH and CONFIG_PACKET (modprobe veth af_packet), or use --engine none",
		}
	}
	return err
}

func (l *Lab) read() {
	defer close(l.ended)
	for {
		var a answer
		files, err := l.channel.receive(&a)
		if err != nil {
			l.end(err)
			return
		}
		a.files = files
		l.mu.Lock()
		if a.ID != 0 {
			if w := l.waiting[a.ID]; w != nil {
				delete(l.waiting, a.ID)
				w <- a
			} else {
				a.discard()
			}
		} else if p := l.processes[a.Process]; p != nil && a.Exit != nil {
			delete(l.processes, a.Process)
			p.exit = *a.Exit
			close(p.done)
		}
		l.mu.Unlock()
	}
}

// end collects the path process and tells everybody who waits.
func (l *Lab) end(cause error) {
	l.channel.conn.Close()
	// The path process ends when its channel does; should it not, it is made to.
	kill := time.AfterFunc(2*time.Second, func() { _ = l.path.Process.Kill() })
	err := l.path.Wait()
	kill.Stop()
	text := "the path process ended"
	if err != nil {
		text += ": " + err.Error()
	} else if cause != nil && !errors.Is(cause, os.ErrClosed) {
		text += ": " + cause.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = errors.New(text)
	for _, w := range l.waiting {
		w <- answer{Error: text}
	}
	clear(l.waiting)
	for _, p := range l.processes {
		p.exit = Exit{Lost: true}
		close(p.done)
	}
	clear(l.processes)
}

// Done is closed when the path process is gone, and the lab with it.
func (l *Lab) Done() <-chan struct{} { return l.ended }

// Err says why the lab ended; nil while it lasts.
func (l *Lab) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// PathPID is the process that carries the packets, as the owner sees it.
func (l *Lab) PathPID() int { return l.path.Process.Pid }

// Close ends every program of the lab, takes the lab down, and returns when
// all its processes are gone.
func (l *Lab) Close() {
	l.channel.conn.Close()
	<-l.ended
}

func (l *Lab) ask(ctx context.Context, r request) (answer, error) {
	return l.exchange(ctx, r, nil, nil)
}

// exchange sends a request and waits for its answer. p is the process that it
// starts, if it starts one.
func (l *Lab) exchange(ctx context.Context, r request, files []*os.File, p *Process) (answer, error) {
	reply := make(chan answer, 1)
	l.mu.Lock()
	if l.lost != nil {
		l.mu.Unlock()
		return answer{}, l.lost
	}
	l.nextID++
	r.ID = l.nextID
	l.waiting[r.ID] = reply
	if p != nil {
		// Registered before it runs: its end may be told right after its start.
		p.id = r.ID
		l.processes[r.ID] = p
	}
	err := l.channel.send(r, files)
	l.mu.Unlock()
	var a answer
	if err == nil {
		select {
		case a = <-reply:
			err = a.err()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		l.mu.Lock()
		delete(l.waiting, r.ID)
		if p != nil {
			delete(l.processes, r.ID)
		}
		l.mu.Unlock()
	}
	return a, err
}

// Link is the path's account as it stands, and the CPU time that the path
// process has used, ns. The path's lateness counts from the instant from on
// (clock.Now); from 0 it counts from the lab's beginning.
func (l *Lab) Link(ctx context.Context, from int64) (link result.Link, cpu int64, err error) {
	a, err := l.ask(ctx, request{Link: true, From: from})
	if err != nil {
		return link, 0, err
	}
	return *a.Link, a.CPUNS, nil
}

// Begin makes the path of a lab that was Held what it is to be: it begins with
// the next packet.
func (l *Lab) Begin(ctx context.Context) error {
	_, err := l.ask(ctx, request{Begin: true})
	return err
}

// Devices are the lab's network devices, on the way from the client to the
// server: the hosts' own and the path's two.
var Devices = []string{"client:eth0", "path:client", "path:server", "server:eth0"}

// PacketSocket gives a packet socket (packet(7)) of the network namespace of one
// of Devices, and that device's index there. It is not bound yet, so that nothing
// comes in by it.
func (l *Lab) PacketSocket(ctx context.Context, device string) (socket *os.File, index int, err error) {
	a, err := l.ask(ctx, request{Socket: device})
	if err != nil {
		return nil, 0, err
	}
	if len(a.files) != 1 {
		a.discard()
		return nil, 0, fmt.Errorf("%s: no socket came", device)
	}
	return a.files[0], a.Index, nil
}

// Command is a program to be run on a host.
type Command struct {
	File  string     // path of the program
	Args  []string   // from Args[0], the name it goes by
	Env   []string   // nil: the owner's
	Dir   string     // "": the owner's
	Files []*os.File // descriptors 0, 1, 2, …; nil ones are /dev/null
}

// Exit is how a program ended.
type Exit struct {
	Code   int   // its exit code, if Signal is 0
	Signal int   // what killed it
	CPUNS  int64 // user and system time of it and its children, ns
	Lost   bool  // the lab ended first
}

func (e Exit) String() string {
	switch {
	case e.Lost:
		return "ended with the lab"
	case e.Signal != 0:
		return "killed: " + unix.SignalName(syscall.Signal(e.Signal))
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Process is a program that runs on a host.
type Process struct {
	lab  *Lab
	id   int // that of the request that started it
	host Host
	done chan struct{}
	exit Exit
}

// Run starts a program on a host.
func (l *Lab) Run(ctx context.Context, h Host, c Command) (*Process, error) {
	files := make([]*os.File, len(c.Files))
	copy(files, c.Files)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	for len(files) < 3 {
		files = append(files, nil)
	}
	for i := range files {
		if files[i] == nil {
			files[i] = null
		}
	}
	env, dir := c.Env, c.Dir
	if env == nil {
		env = os.Environ()
	}
	if dir == "" {
		if dir, err = os.Getwd(); err != nil {
			dir = "/"
		}
	}
	p := &Process{lab: l, host: h, done: make(chan struct{})}
	if _, err := l.exchange(ctx, request{Start: &startRequest{Host: h, File: c.File, Args: c.Args, Env: env, Dir: dir}}, files, p); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Args[0], err)
	}
	return p, nil
}

// Wait waits for the program's end.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

// Done is closed at the program's end.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends the program a signal.
func (p *Process) Signal(s syscall.Signal) error {
	_, err := p.lab.ask(context.Background(), request{Signal: &signalRequest{Process: p.id, Signal: int(s)}})
	return err
}

// Listening waits until the program's host has a listening TCP or a bound UDP
// socket; it says false if the program ended, or ctx did, before.
func (p *Process) Listening(ctx context.Context) bool {
	for {
		a, err := p.lab.ask(ctx, request{Listen: &listenRequest{Host: p.host, Process: p.id}})
		if err == nil && a.OK {
			return true
		}
		select {
		case <-p.done:
			return false
		case <-ctx.Done():
			return false
		case <-p.lab.ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
