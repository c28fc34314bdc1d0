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

// Point is a vantage point: a device under the name that a user calls it by.
type Point struct{ Name, Device string }

// Points returns the vantage points of a lab.
func Points() []Point {
	return []Point{{"client", Client}, {"server", Server}, {"path-client", PathClient}, {"path-server", PathServer}}
}

// Files are the pcapng files of a capture, by the device whose packets each of them
// gets. A file holds one device: a reader such as tshark takes a second sight of a
// segment for a retransmission.
type Files map[string]io.Writer

// Config says what is to become of the packets.
type Config struct {
	Pcap Files
	Keep int      // how many packets Packets returns at the most
	At   []string // the devices whose packets are kept; nil: all
	// Messages says what the packets carry. A host's device whose messages are followed,
	// and which neither Pcap nor Keep asks for, is looked at for the headers alone.
	Messages    Framing
	Application string // what writes the pcapng, name and version
}

// Capture is a capture that goes on. A goroutine of its own reads the rings; what
// it has found may be asked for after Stop.
type Capture struct {
	config   Config
	taps     []*tap
	passages [2]*Passage // up, down; nil for one that is not followed
	began    time.Time
	ended    chan struct{}
	stopAt   atomic.Int64 // clock.Now's scale; 0: not yet

	waiting   []Packet // seen, and not yet in their order
	decoder   *decoder
	commenter *commenter
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
	kept   bool     // its packets are for Packets
	pcap   *pcap    // gets its packets; nil: none
	missed int64    // frames that found no room in the ring; known at the end
}

// whole reports whether whole packets are wanted of this device, and not only what
// follows messages.
func (t *tap) whole() bool { return t.kept || t.pcap != nil }

const (
	// hold is how long a packet may be behind one that came after it, on another
	// ring: both rings hand over what they have every retireAfter.
	hold = 5 * retireAfter * int64(time.Millisecond)
	// niceness keeps the reading of rings, for which there is time, from those who
	// have none.
	niceness = 10
)

// Sizes of the rings. The kernel hands a block over when it is full or retireAfter
// old, so a reader that is stopped loses nothing for blocks × retireAfter (25 s of
// headers, 5 s of whole packets), unless the bytes fill the ring sooner: 20 MiB hold
// the headers of some 67,000 frames, which are 3 s at AnatomyRate (package experiment),
// and 32 MiB hold 3 s of 85 Mbit/s. A block of whole frames has to have room for the
// largest GSO batch, 64 KiB. The memory is the kernel's own: it is neither swapped nor
// counted as locked (RLIMIT_MEMLOCK).
const (
	headerBlock, headerBlocks = 16 << 10, 1280
	wholeBlock, wholeBlocks   = 128 << 10, 256
)

// Start begins to look. It needs to be told to stop.
func Start(ctx context.Context, p Place, c Config) (_ *Capture, err error) {
	x := &Capture{
		config: c, ended: make(chan struct{}), decoder: newDecoder(),
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
	var seen []string
	for _, device := range devices {
		t := &tap{device: device, kept: c.Keep > 0 && (c.At == nil || slices.Contains(c.At, device))}
		switch device {
		case Client:
			t.sends, t.takes = x.passages[0], x.passages[1]
		case Server:
			t.sends, t.takes = x.passages[1], x.passages[0]
		}
		if w := c.Pcap[device]; w != nil {
			if t.pcap, err = newPcap(w, device, c.Application); err != nil {
				return nil, err
			}
		}
		v := view{
			snap: snapHeaders, outgoing: t.sends != nil, incoming: t.takes != nil,
			block: headerBlock, blocks: headerBlocks,
		}
		switch {
		case t.whole():
			v = view{snap: snapAll, outgoing: true, incoming: true, block: wholeBlock, blocks: wholeBlocks}
			seen = append(seen, device)
		case !v.outgoing && !v.incoming:
			continue
		case c.Messages.Damaged:
			v.snap, v.block, v.blocks = snapAll, wholeBlock, wholeBlocks
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
	x.commenter = newCommenter(c.Messages, seen)
	x.began = time.Unix(0, wallNow())
	go x.run()
	return x, nil
}

// Stop looks for so much longer, for what is still on its way, and ends. The
// error is that of the pcapng.
func (x *Capture) Stop(longer time.Duration) error {
	// A block is handed over at the latest when it is retireAfter old, by the
	// kernel's ticks.
	x.stopAt.CompareAndSwap(0, clock.Now()+int64(longer)+2*retireAfter*int64(time.Millisecond))
	<-x.ended
	return x.err
}

// Missed returns how many frames found no room in the rings, each a packet or a GSO
// batch of several. What is told of the others is then not complete.
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
	for over, busy := false, false; !over; {
		if !busy {
			// By the clock and not by the rings, which would wake this thread once a block.
			_, _ = unix.Poll(nil, retireAfter)
		}
		at := x.stopAt.Load()
		over = at != 0 && clock.Now() >= at
		busy = x.look()
	}
	x.order(1<<63 - 1)
	x.lost()
	x.err = x.close()
}

// wallNow returns the time on the packets' clock, CLOCK_REALTIME, ns.
func wallNow() int64 {
	_, wall := clock.Both()
	return wall
}

// look takes in what the rings hand over. It reports whether one of them was so full
// that the next look must not wait.
func (x *Capture) look() (busy bool) {
	wall := wallNow()
	for _, t := range x.taps {
		blocks := t.ring.drain(func(s *sight) {
			if s.outgoing && t.sends != nil {
				t.sends.sent(s)
			} else if s.host && t.takes != nil {
				t.takes.arrived(s)
			}
			if t.whole() {
				x.cut(t, s)
			}
		})
		busy = busy || blocks > t.ring.blocks()/4
	}
	x.order(wall - hold)
	return busy
}

// cut makes packets of a frame.
func (x *Capture) cut(t *tap, s *sight) {
	f := emulator.NewFrame(s.before, s.frame)
	for i := range f.Packets() {
		x.waiting = append(x.waiting, Packet{Device: t.device, At: s.stamp, Out: s.outgoing, Frame: f.Packet(i, nil)})
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
		t := x.taps[slices.IndexFunc(x.taps, func(t *tap) bool { return t.device == p.Device })]
		if t.pcap != nil {
			t.pcap.write(p)
		}
		switch {
		case !t.kept:
		case len(x.packets) < x.config.Keep:
			x.packets = append(x.packets, *p)
		default:
			x.left++
		}
	}
	x.waiting = slices.Delete(x.waiting, 0, n)
}

// lost asks the rings how many frames found no room.
func (x *Capture) lost() {
	for _, t := range x.taps {
		if n, err := t.ring.missed(); err == nil {
			t.missed += n
			x.missed += n
		}
	}
}

func (x *Capture) close() error {
	var err error
	for _, t := range x.taps {
		if t.pcap != nil {
			err = errors.Join(err, t.pcap.end(x.began, t.missed))
		}
		err = errors.Join(err, t.ring.close())
	}
	return err
}
