package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netcmp/lateness"
	"netcmp/netem/emulator"
	"netcmp/result"
)

// channelFD is where the path process finds its channel to the owner.
const channelFD = 3

// pathMain is the path process: it builds the hosts' namespaces, carries the
// packets between them, and starts and reaps the programs that run there. It
// ends with its channel.
func pathMain() int {
	// Nothing is allocated a packet, so the collector need not run.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	// The terminal's signals are for the owner and the programs. They are
	// caught and not ignored: a program would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGQUIT)

	f := os.NewFile(channelFD, "lab")
	ch, err := newChannel(f)
	f.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "netcmp:", err)
		return 1
	}
	mountProc()
	p := &pathProcess{channel: ch, programs: map[int]int{}, watch: lateness.Start(lateness.Period)}
	go p.reap()
	for {
		var r request
		files, err := ch.receive(&r)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return 0 // the owner is gone; the kernel ends the rest with us
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "netcmp: lab:", err)
			return 1
		}
		a := answer{ID: r.ID}
		if err := p.serve(&r, files, &a); err != nil {
			var u *UnsupportedError
			if errors.As(unsupported(err), &u) && r.Build != nil {
				a.Missing, a.Mend = u.Missing, u.Mend
			} else {
				a.Error = err.Error()
			}
		}
		for _, f := range files {
			f.Close()
		}
		if err := p.tell(a); err != nil {
			return 0
		}
	}
}

// mountProc gives the lab's programs a /proc of their own process namespace,
// where the machine lets it: nothing but ps depends on it.
func mountProc() {
	if unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") == nil {
		_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
}

// pathProcess is the state of the path process. Requests are served one after
// the other; the reaper runs beside them.
type pathProcess struct {
	channel *channel
	hosts   [2]*hostThread
	engine  Engine
	path    path // nil while a path of the kernel's is held
	watch   *lateness.Watch
	held    func() error // begins the path that is held; nil if none is

	mu       sync.Mutex  // over what the reaper shares, and the channel's sending side
	programs map[int]int // process id → the request that started it
}

func (p *pathProcess) tell(a answer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer a.discard()
	return p.channel.send(a, a.files)
}

func (p *pathProcess) serve(r *request, files []*os.File, a *answer) error {
	switch {
	case r.Build != nil:
		return p.build(r.Build, a)
	case p.hosts[Client] == nil:
		return errors.New("the lab is not built")
	case r.Start != nil:
		return p.start(r.ID, r.Start, files)
	case r.Signal != nil:
		return p.signal(r.Signal)
	case r.Listen != nil:
		var err error
		a.OK, err = p.hosts[r.Listen.Host].listening()
		return err
	case r.Begin && p.held != nil:
		begin := p.held
		p.held = nil
		return begin()
	case r.Begin:
		return errors.New("the path has begun")
	case r.Link && p.path == nil:
		return errors.New("the path has not begun")
	case r.Socket != "":
		return p.socket(r.Socket, a)
	case r.Link:
		link, err := p.path.Link(context.Background())
		if err == nil && p.engine == Emulator {
			ran := p.watch.Tail(r.From)
			link.Up.LatenessNS = lateness.Worse(link.Up.LatenessNS, ran)
			link.Down.LatenessNS = lateness.Worse(link.Down.LatenessNS, ran)
			err = p.turnedAway(&link)
		}
		if err != nil {
			return err
		}
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			return err
		}
		a.Link, a.CPUNS = &link, u.Utime.Nano()+u.Stime.Nano()
		return nil
	}
	return errors.New("an empty request")
}

// turnedAway adds the frames that a device sent and the one at the other end of its pair
// did not take, which the first one counts as dropped (veth_xmit in drivers/net/veth.c).
// A frame longer than the taker's MTU allows is refused for that
// (is_skb_forwardable in net/core/dev.c); where no frame can be, a processor's queue for
// what comes in was full (net.core.netdev_max_backlog).
func (p *pathProcess) turnedAway(link *result.Link) error {
	// By the host that sends.
	for h, direction := range []*result.LinkDirection{&link.Up, &link.Down} {
		near, err := p.device(Host(h), false)
		if err != nil {
			return err
		}
		host, err := p.device(Host(h), true)
		if err != nil {
			return err
		}
		away := int64(host.Statistics.TxDropped)
		if host.MTU > near.MTU {
			direction.Oversize += away
		} else {
			direction.Overrun += away
		}
		if back := []*result.LinkDirection{&link.Down, &link.Up}[h]; near.MTU > host.MTU {
			back.Oversize += int64(near.Statistics.TxDropped)
		}
	}
	return nil
}

// device returns a host's device, or the path's device that leads to it.
func (p *pathProcess) device(h Host, own bool) (*netlink.LinkAttrs, error) {
	var found *netlink.LinkAttrs
	look := func(name string) error {
		device, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if found = device.Attrs(); found.Statistics == nil {
			found.Statistics = &netlink.LinkStatistics{}
		}
		return nil
	}
	if !own {
		err := look(h.String())
		return found, err
	}
	err := p.hosts[h].do(func() error { return look("eth0") })
	return found, err
}

func (p *pathProcess) build(b *buildRequest, a *answer) error {
	c, err := b.config()
	if err != nil {
		return err
	}
	a.Engine, a.Seeded, err = choose(b, c)
	if err != nil {
		return err
	}
	p.engine = a.Engine
	var index [2]int
	for h := range p.hosts {
		t, err := newHostThread()
		if err != nil {
			return err
		}
		p.hosts[h] = t
		if index[h], err = connect(Host(h), t, a.Engine); err != nil {
			return err
		}
	}
	if a.Engine == Kernel {
		return p.route(index, c, b.Held != nil)
	}
	if b.Held == nil {
		return p.emulate(index, c, nil)
	}
	held := emulator.Config{Seed: b.Seed}
	if held.Path, err = b.Held.parse(); err != nil {
		return err
	}
	return p.emulate(index, c, &held)
}

// emulate makes a path in user space; unless held is nil, it is that until it is to
// begin.
func (p *pathProcess) emulate(index [2]int, c emulator.Config, held *emulator.Config) error {
	first := c
	if held != nil {
		first = *held
	}
	e, err := newEmulator(index, first)
	if err != nil {
		return err
	}
	if held != nil {
		p.held = func() error { return e.Renew(context.Background(), c) }
	}
	p.run(e)
	return nil
}

// route makes a path of the kernel's; held, the router has no netem, and nobody
// looks, until it is to begin.
func (p *pathProcess) route(index [2]int, c emulator.Config, held bool) error {
	if err := forward(index); err != nil {
		return err
	}
	begin := func() error {
		r, err := newRouter(index, c)
		if err == nil {
			p.run(r)
		}
		return err
	}
	if held {
		p.held = begin
		return nil
	}
	return begin()
}

// run carries packets from here on.
func (p *pathProcess) run(x path) {
	p.path = x
	go func() {
		if err := x.Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "netcmp: path:", err)
			os.Exit(1)
		}
	}()
}

// choose is the engine that makes the path, and whether the seed reaches its
// draws.
func choose(b *buildRequest, c emulator.Config) (e Engine, seeded bool, err error) {
	can := kernelCan(c)
	if b.Held != nil && *b.Held != (pathWords{}) {
		can = errors.New("only the emulator can hold a path that is not clean")
	}
	switch b.Engine {
	case Kernel:
		seeded, err = kernelNetem()
		if err == nil {
			err = can
		}
		return Kernel, seeded, err
	case Auto:
		if can != nil {
			break
		}
		if seeded, err = kernelNetem(); err == nil && (seeded || !b.Exact) {
			return Kernel, seeded, nil
		}
	}
	return Emulator, true, nil
}

func newEmulator(index [2]int, c emulator.Config) (*emulator.Emulator, error) {
	var devices [2]*emulator.Device
	for h := range index {
		var err error
		if devices[h], err = emulator.OpenDevice(index[h]); err != nil {
			return nil, err
		}
	}
	return emulator.New(devices[Client], devices[Server], c)
}

// socket opens a packet socket in the namespace of the device of that name.
func (p *pathProcess) socket(name string, a *answer) error {
	if !slices.Contains(Devices, name) {
		return fmt.Errorf("device %q is unknown; known: %s", name, strings.Join(Devices, ", "))
	}
	open := func() error {
		_, device, _ := strings.Cut(name, ":")
		link, err := net.InterfaceByName(device)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// Of protocol 0: nothing comes in before it is bound (packet(7)).
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		a.Index, a.files = link.Index, []*os.File{os.NewFile(uintptr(fd), name)}
		return nil
	}
	for h, t := range p.hosts {
		if strings.HasPrefix(name, Host(h).String()+":") {
			return t.do(open)
		}
	}
	return open()
}

func (p *pathProcess) start(id int, s *startRequest, files []*os.File) error {
	fds := make([]uintptr, len(files))
	for i, f := range files {
		fds[i] = f.Fd()
	}
	// The lock keeps the reaper from meeting a process that is not yet known.
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[s.Host].do(func() error {
		pid, err := syscall.ForkExec(s.File, s.Args, &syscall.ProcAttr{Dir: s.Dir, Env: s.Env, Files: fds}) //nolint:gosec // the programs that the owner of the lab runs there
		if err != nil {
			return err
		}
		p.programs[pid] = id
		return nil
	})
}

func (p *pathProcess) signal(s *signalRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid, id := range p.programs {
		if id == s.Process {
			return unix.Kill(pid, syscall.Signal(s.Signal))
		}
	}
	return errors.New("the program has ended")
}

// reap waits for children: the programs, and what they left behind, since the
// first process of a namespace inherits its orphans.
func (p *pathProcess) reap() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	for range died {
		for p.reapOne() {
		}
	}
}

func (p *pathProcess) reapOne() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status unix.WaitStatus
	var usage unix.Rusage
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
	if err == unix.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if id, ok := p.programs[pid]; ok {
		delete(p.programs, pid)
		e := &Exit{Code: status.ExitStatus(), CPUNS: usage.Utime.Nano() + usage.Stime.Nano()}
		if status.Signaled() {
			e.Code, e.Signal = 0, int(status.Signal())
		}
		_ = p.channel.send(answer{Process: id, Exit: e}, nil) // a dead channel ends us anyway
	}
	return true
}

// hostThread is a host: a thread in a network namespace of its own, which does
// what has to be done there. A program that it starts is born into the
// namespace.
type hostThread struct {
	namespace int // descriptor of the network namespace
	work      chan func()
}

func newHostThread() (*hostThread, error) {
	t := &hostThread{work: make(chan func())}
	made := make(chan error)
	go t.live(made)
	return t, <-made
}

// live makes the host and does its work until there is no more.
func (t *hostThread) live(made chan<- error) {
	// Never unlocked: the thread belongs to the namespace.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread's namespace is the process's own for all who look at
		// /proc: it is held here until another one is found.
		other := make(chan error)
		go t.live(other)
		made <- <-other
		runtime.UnlockOSThread()
		return
	}
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err == nil {
		t.namespace, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	made <- err
	if err == nil {
		for f := range t.work {
			f()
		}
	}
}

// do runs f in the host's namespace.
func (t *hostThread) do(f func() error) error {
	done := make(chan error)
	t.work <- func() { done <- f() }
	return <-done
}
