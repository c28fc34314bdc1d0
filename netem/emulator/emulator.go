// Package emulator is a path in user space: it carries the frames of two
// network interfaces to each other and does to every packet what Linux netem
// would do, from one seed, on time, and with an exact account.
//
// One goroutine on one thread owns everything (Emulator.Run). It takes frames
// out of the receive ring of either interface, lets netem.Direction decide on
// each packet, and either sends it on at once or keeps it in the delay line
// until it is due. A host's device normally cuts what TCP hands it into
// segments; here a frame arrives uncut, up to 64 KiB of one flow. The emulator
// decides on every segment of it and sends on slices, so that each
// MTU-sized packet meets its own fate without being cut and joined again.
//
// Delay counts from the instant at which the kernel took the packet in, not
// from when the emulator got round to it.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/netem"
	"netcmp/pacer"
	"netcmp/result"
)

// Config is a path to be made.
type Config struct {
	Path netem.Path
	Seed uint64     // reaches every draw
	Fate netem.Fate // by packet or by time; zero is by packet
	// Changes follow each other in time. They count from the first packet of
	// the path, and one takes hold of the packets that come from then on.
	Changes []netem.Change
}

// Emulator is the path between two interfaces.
type Emulator struct {
	ends     [2]*end     // client's side, server's side
	called   atomic.Bool // a request waits, or the context has ended
	requests chan func()
	done     chan struct{}

	mu   sync.Mutex
	wake int // eventfd: ends a sleep of Run; -1 once that has ended
}

// end is one interface with the direction that leads away from it.
type end struct {
	device *Device
	away   *direction
	last   int64 // frames taken next came after that
}

// clockJump is how far two readings of the clocks may be apart in ns without the wall
// clock having been set: far more than two frames can change places by.
const clockJump = 10_000_000

// turn is how many times one end delivers and takes a frame before it is the
// other end's turn: a fraction of a millisecond.
const turn = 16

// New makes a path between the client's and the server's interface. The
// emulator owns the devices from here on.
func New(client, server *Device, c Config) (*Emulator, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	e := &Emulator{
		ends:     [2]*end{{device: client, last: clock.Now() - clockJump}, {device: server, last: clock.Now() - clockJump}},
		wake:     wake,
		requests: make(chan func(), 1),
		done:     make(chan struct{}),
	}
	e.begin(c)
	return e, nil
}

// begin gives the ends the directions of a path that nothing has crossed yet.
func (e *Emulator) begin(c Config) {
	client, server := e.ends[0], e.ends[1]
	fate := netem.WithFate(c.Fate)
	client.away = newDirection(c.Path.Up, netem.DirectionSeed(c.Seed, true), server.device, fate)
	server.away = newDirection(c.Path.Down, netem.DirectionSeed(c.Seed, false), client.device, fate)
	newTimeline(c.Changes, client.away, server.away)
}

// Run carries packets until ctx ends; then it closes the devices. It must be
// called once.
func (e *Emulator) Run(ctx context.Context) error {
	defer close(e.done)
	stop := context.AfterFunc(ctx, e.call)
	defer stop()
	w := pacer.New()
	defer w.Close()

	fds := []unix.PollFd{
		{Fd: int32(e.ends[0].device.fd), Events: unix.POLLIN},
		{Fd: int32(e.ends[1].device.fd), Events: unix.POLLIN},
		{Fd: int32(e.wake), Events: unix.POLLIN},
	}
	ready := func() bool { return e.ends[0].device.ready() || e.ends[1].device.ready() || e.called.Load() }
	for {
		if e.called.Swap(false) {
			var b [8]byte
			_, _ = unix.Read(e.wake, b[:])
			for len(e.requests) > 0 {
				(<-e.requests)()
			}
			if ctx.Err() != nil {
				return e.close()
			}
		}
		busy := false
		for _, end := range e.ends {
			busy = end.work() || busy
		}
		if !busy {
			w.Until(e.nextDue(), fds, ready)
		}
	}
}

// call makes Run look at its requests and its context.
func (e *Emulator) call() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wake < 0 {
		return
	}
	// In this order: who sees called finds the eventfd written to, and empties
	// it. Else it would stay readable, and Run would not sleep any more.
	_, _ = unix.Write(e.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	e.called.Store(true)
}

func (e *Emulator) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := errors.Join(e.ends[0].device.Close(), e.ends[1].device.Close(), unix.Close(e.wake))
	e.wake = -1 // the number may soon be that of another file
	return err
}

// work delivers what is due and takes in what has come from the end's
// interface, by turns and for a turn at most, and says whether there was
// anything.
func (e *end) work() bool {
	for n := range turn {
		delivered := e.away.deliver(clock.Now())
		taken := e.take()
		if !delivered && !taken {
			return n > 0
		}
	}
	return true
}

// take takes in the next frame that has come from the end's interface. It says
// false if there is none, or none yet: what was due before it came goes first,
// and its sending is not to keep the other end waiting.
func (e *end) take() bool {
	stamp, off, frame, ok := e.device.receive()
	if !ok {
		return false
	}
	now, wall := clock.Both()
	// A stamp from after now, or from before the frame that the kernel took in last, is
	// the wall clock being set. One from long ago is not: the path was late.
	at := now - wall + stamp
	if at > now || at < e.last {
		at = now
	}
	if r := e.away.line.next(); r != nil && r.due <= at {
		return false
	}
	e.last = at - clockJump
	e.away.admit(at, now, off, frame)
	e.device.release()
	return true
}

func (e *Emulator) nextDue() int64 {
	due := int64(math.MaxInt64)
	for _, end := range e.ends {
		if r := end.away.line.next(); r != nil {
			due = min(due, r.due)
		}
	}
	return due
}

// Link is the account of both directions as it stands.
func (e *Emulator) Link(ctx context.Context) (result.Link, error) {
	var l result.Link
	err := e.do(ctx, func() {
		e.admitAll()
		e.readOverruns()
		l = result.Link{Up: e.ends[0].away.tally(), Down: e.ends[1].away.tally()}
	})
	if err != nil {
		return result.Link{}, err
	}
	return l, nil
}

// admitAll takes in what waits in the rings, so that an account leaves out nothing
// that has come so far; at most one ring full, since more may come meanwhile.
func (e *Emulator) admitAll() {
	for _, end := range e.ends {
		for range end.device.frames() {
			if !end.work() {
				break
			}
		}
	}
}

// Renew makes the path anew: from now on it is what c says, and it begins with
// its first packet, its first draw and an empty account. What is in the old one
// is gone.
func (e *Emulator) Renew(ctx context.Context, c Config) error {
	return e.do(ctx, func() {
		e.readOverruns()
		e.begin(c)
	})
}

// readOverruns enters what the devices have missed since they were asked last.
func (e *Emulator) readOverruns() {
	for _, end := range e.ends {
		n, err := end.device.overruns()
		if err == nil {
			end.away.counts.Overrun += n
		}
	}
}

// do has Run's goroutine call f, and waits for it.
func (e *Emulator) do(ctx context.Context, f func()) error {
	called := make(chan struct{})
	select {
	case e.requests <- func() { f(); close(called) }:
	case <-e.done:
		return errors.New("emulator: ended")
	case <-ctx.Done():
		return ctx.Err()
	}
	e.call()
	select {
	case <-called:
		return nil
	case <-e.done:
		return errors.New("emulator: ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}
