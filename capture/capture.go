// Package capture is what crossed a lab's devices: every packet, with the
// kernel's timestamp to the nanosecond, as a wire would carry it.
//
// A packet socket stands at each host's device and at the path's two. It is made
// where the device is, by the path process, and handed over; its ring is read
// here, in the process that owns the lab, which is neither of the ends nor the
// path. What a host hands to its device in one piece, up to 64 KiB, is cut into
// the packets that the path decides on, by the emulator's own knife.
//
// The emulator's packets do not show where it sends them off, since they pass
// beside everything that looks on (PACKET_QDISC_BYPASS): they are seen where they
// arrive, at the host's device. With the kernel's netem the path's devices show
// both.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/netem/emulator"
)

// Place has the devices: a *lab.Lab.
type Place interface {
	PacketSocket(ctx context.Context, device string) (socket *os.File, index int, err error)
}

// The devices, on the way from the client to the server.
const (
	Client     = "client:eth0"
	PathClient = "path:client"
	PathServer = "path:server"
	Server     = "server:eth0"
)

var devices = []string{Client, PathClient, PathServer, Server}

// Config says what is to become of the packets.
type Config struct {
	Pcap io.Writer // gets them as pcapng; nil: none
	Keep int       // how many of them Packets gives at the most
	// Messages is what they carry. Where it says what to follow, and neither
	// Pcap nor Keep asks for more, headers alone are looked at, and only at the
	// hosts.
	Messages    Framing
	Application string // what writes the pcapng, name and version
}

// Capture is a capture that goes on. A goroutine of its own reads the rings; what
// it has found may be asked for after Stop.
type Capture struct {
	config   Config
	taps     []tap
	passages [2]*Passage // up, down; nil for one that is not followed
	ahead    int64       // the wall clock's lead, at the beginning
	ended    chan struct{}
	stopAt   atomic.Int64 // clock.Now's scale; 0: not yet

	waiting   []Packet // seen, and not yet in their order
	decoder   *decoder
	commenter *commenter
	pcap      *pcap
	packets   []Packet
	left      int64 // more of them than Keep allows
	missed    int64
	err       error
}

// tap is a device that is looked at.
type tap struct {
	device string
	ring   *ring
	sends  *Passage // whose messages leave here
	takes  *Passage // whose messages arrive here
}

const (
	// hold is how long a packet may be behind one that came after it, on another
	// ring: both rings hand over what they have every retireAfter.
	hold = 5 * retireAfter * int64(time.Millisecond)
	// niceness keeps the reading of rings, for which there is time, from those who
	// have none.
	niceness = 10
)

// Start begins to look. It needs to be told to stop.
func Start(ctx context.Context, p Place, c Config) (_ *Capture, err error) {
	x := &Capture{
		config: c, ended: make(chan struct{}),
		decoder: newDecoder(), commenter: newCommenter(c.Messages),
	}
	if c.Messages.Up {
		x.passages[0] = newPassage(c.Messages)
	}
	if c.Messages.Down {
		x.passages[1] = newPassage(c.Messages)
	}
	defer func() {
		if err != nil {
			_ = x.close()
		}
	}()
	for _, device := range devices {
		t := tap{device: device}
		switch device {
		case Client:
			t.sends, t.takes = x.passages[0], x.passages[1]
		case Server:
			t.sends, t.takes = x.passages[1], x.passages[0]
		}
		v := view{
			snap: snapHeaders, outgoing: t.sends != nil, incoming: t.takes != nil,
			block: 256 << 10, blocks: 16,
		}
		switch {
		case x.whole():
			v = view{snap: snapAll, outgoing: true, incoming: true, block: 1 << 20, blocks: 16}
		case !v.outgoing && !v.incoming:
			continue
		case c.Messages.Damaged:
			v.snap, v.block = snapAll, 1<<20
		}
		socket, index, err := p.PacketSocket(ctx, device)
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		if t.ring, err = openRing(socket, index, v); err != nil {
			return nil, fmt.Errorf("capture: %s: %w", device, err)
		}
		x.taps = append(x.taps, t)
	}
	if c.Pcap != nil {
		if x.pcap, err = newPcap(c.Pcap, c.Application); err != nil {
			return nil, err
		}
	}
	x.ahead, _ = clock.Wall()
	go x.run()
	return x, nil
}

// whole says whether whole packets are wanted and not only what follows messages.
func (x *Capture) whole() bool { return x.config.Pcap != nil || x.config.Keep > 0 }

// Stop looks for so much longer, for what is still on its way, and ends. The
// error is that of the pcapng.
func (x *Capture) Stop(longer time.Duration) error {
	// A block is handed over at the latest when it is retireAfter old, by the
	// kernel's ticks.
	x.stopAt.CompareAndSwap(0, clock.Now()+int64(longer)+2*retireAfter*int64(time.Millisecond))
	<-x.ended
	return x.err
}

// Missed is how many packets found no room in the rings: what is told of the
// others is then not complete.
func (x *Capture) Missed() int64 { return x.missed }

// Packets are those that were seen, in the order of time, and how many more there
// were than were to be kept.
func (x *Capture) Packets() (packets []Packet, left int64) { return x.packets, x.left }

// Passage is the messages of a direction on their way; nil for one that was not
// to be followed.
func (x *Capture) Passage(up bool) *Passage {
	if up {
		return x.passages[0]
	}
	return x.passages[1]
}

func (x *Capture) run() {
	defer close(x.ended)
	runtime.LockOSThread() // never unlocked: the thread's niceness ends with it
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	fds := make([]unix.PollFd, len(x.taps))
	for i, t := range x.taps {
		fds[i] = unix.PollFd{Fd: int32(t.ring.fd), Events: unix.POLLIN}
	}
	for over := false; !over; {
		_, _ = unix.Poll(fds, retireAfter) // what it says, the rings say better
		at := x.stopAt.Load()
		over = at != 0 && clock.Now() >= at
		x.look()
	}
	x.order(1<<63 - 1)
	x.missed = x.lost()
	x.err = x.close()
}

// look takes in what the rings hand over.
func (x *Capture) look() {
	_, wall := clock.Both()
	for _, t := range x.taps {
		t.ring.drain(func(s *sight) {
			if s.outgoing && t.sends != nil {
				t.sends.sent(s)
			} else if s.host && t.takes != nil {
				t.takes.arrived(s)
			}
			if x.whole() {
				x.cut(t.device, s)
			}
		})
	}
	x.order(wall - hold)
}

// cut makes packets of a frame.
func (x *Capture) cut(device string, s *sight) {
	f := emulator.NewFrame(s.before, s.frame)
	for i := range f.Packets() {
		x.waiting = append(x.waiting, Packet{Device: device, At: s.stamp, Out: s.outgoing, Frame: f.Packet(i, nil)})
	}
}

// order hands on the packets from before an instant, in their order.
func (x *Capture) order(before int64) {
	slices.SortStableFunc(x.waiting, func(a, b Packet) int { return int(max(min(a.At-b.At, 1), -1)) })
	n := 0
	for ; n < len(x.waiting) && x.waiting[n].At < before; n++ {
		p := &x.waiting[n]
		x.decoder.decode(p)
		x.commenter.comment(p)
		if x.pcap != nil {
			x.pcap.write(p)
		}
		switch {
		case len(x.packets) < x.config.Keep:
			x.packets = append(x.packets, *p)
		case x.config.Keep > 0:
			x.left++
		}
	}
	x.waiting = slices.Delete(x.waiting, 0, n)
}

func (x *Capture) lost() (n int64) {
	for _, t := range x.taps {
		if missed, err := t.ring.missed(); err == nil {
			n += missed
		}
	}
	return n
}

func (x *Capture) close() error {
	var err error
	if x.pcap != nil {
		err = x.pcap.flush()
	}
	for _, t := range x.taps {
		err = errors.Join(err, t.ring.close())
	}
	return err
}
