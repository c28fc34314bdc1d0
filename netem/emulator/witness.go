package emulator

import (
	"context"
	"errors"
	"hash/maphash"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/netem"
	"netcmp/result"
)

// Witness keeps the account of a path that somebody else makes between two
// interfaces: the kernel's netem, on a router. It sees every packet come in at
// one interface and go out at the other, behind the queueing discipline, and
// knows it again by what a router leaves as it is. It changes nothing.
type Witness struct {
	taps [2]*Device // client's side, server's side

	mu       sync.Mutex // over what follows
	passages [2]*passage
	seen     bool          // a packet was
	started  chan struct{} // closed by then
}

// WitnessConfig is what a Witness has to know. Each pair is the client's side
// and the server's.
type WitnessConfig struct {
	Index [2]int              // of the interfaces
	Near  [2]net.HardwareAddr // of the interfaces
	Far   [2]net.HardwareAddr // of the hosts behind them
	Path  netem.Path          // what the path does
}

// Passage is the account of one direction.
type Passage struct {
	Packets   int64 // that came in
	Bytes     int64 // of those, Ethernet headers included
	Left      int64 // that went out
	Corrupted int64 // of Left: not as they came
	Marked    int64 // of Left: told of congestion (ECN) on the way
	Strays    int64 // that no router passes on; not in Packets
	Own       int64 // of the router, that went out; not in Left
	Overrun   int64 // packets of both directions that the witness missed: the account is then not to be trusted
	// NeverFull says that the path cannot at any time have held as many packets
	// as its limit allows.
	NeverFull bool
	// Datagrams tells of whole IP datagrams; those that found the queue full
	// are among the lost.
	Datagrams result.Datagrams
}

// passage is one direction. A packet is known by a hash of what does not change
// on the way, or rather all packets that have that hash are.
type passage struct {
	counts    Passage
	datagrams datagrams // of packets that are settled

	far  net.HardwareAddr // of the host that it leads to
	near net.HardwareAddr // of the interface that it leaves by

	hold    int64 // ns after which nothing comes any more of a packet
	pending map[uint64]sightings
	queue   []sighting // in the order in which they came; from head on
	head    int

	recent []int64 // when the latest packets came, as many as fill the queue; nil: nothing can be said
	at     int
}

// sightings are how often packets of one hash were seen.
type sightings struct {
	in, out int32
	marked  bool // came in as having met congestion
}

// sighting is a packet that came in.
type sighting struct {
	hash     uint64
	at       int64        // ns
	fragment *datagramKey // nil for a whole datagram
	last     bool         // of the fragments
}

// patience is what a packet may be late by beyond what the path does to it.
const patience = int64(time.Second)

func newPassage(i netem.Impairment, near, far net.HardwareAddr) *passage {
	p := &passage{pending: map[uint64]sightings{}, near: near, far: far}
	held := int64(i.LongestHold(fullPacket))
	p.hold = held + patience
	limit := i.QueueLimit()
	if i.Rate > 0 {
		p.hold += int64(float64(limit) * fullPacket * 8 / float64(i.Rate) * 1e9)
	} else if i.Slot == (netem.Slot{}) {
		if i.Duplicate != 0 {
			limit /= 2
		}
		p.recent = make([]int64, min(limit, 1<<20))
	}
	p.counts.NeverFull = p.recent != nil
	return p
}

// fullPacket is the longest of the path's packets, bytes.
const fullPacket = 1514

// NewWitness begins to look. It takes CAP_NET_RAW in the network namespace of
// the calling thread.
func NewWitness(c WitnessConfig) (*Witness, error) {
	w := &Witness{started: make(chan struct{})}
	for k, index := range c.Index {
		tap, err := openTap(index)
		if err != nil {
			if k == 1 {
				w.taps[0].Close()
			}
			return nil, err
		}
		w.taps[k] = tap
	}
	w.passages = [2]*passage{
		newPassage(c.Path.Up, c.Near[1], c.Far[1]),
		newPassage(c.Path.Down, c.Near[0], c.Far[0]),
	}
	return w, nil
}

// Run looks until ctx ends; then it closes its sockets. It must be called once.
func (w *Witness) Run(ctx context.Context) error {
	fds := []unix.PollFd{
		{Fd: int32(w.taps[0].fd), Events: unix.POLLIN},
		{Fd: int32(w.taps[1].fd), Events: unix.POLLIN},
	}
	for ctx.Err() == nil {
		if _, err := unix.Poll(fds, 50); err != nil && err != unix.EINTR {
			return err
		}
		w.mu.Lock()
		w.look()
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.taps[0].Close(), w.taps[1].Close())
}

// First is closed when the first packet has crossed.
func (w *Witness) First() <-chan struct{} { return w.started }

// Account is both directions, up and down, as they stand.
func (w *Witness) Account() (up, down Passage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look()
	for _, tap := range w.taps {
		n, err := tap.overruns()
		if err != nil {
			continue
		}
		for _, p := range w.passages {
			p.counts.Overrun += n
		}
	}
	return w.passages[0].tally(), w.passages[1].tally()
}

// look takes in what the taps have seen, in the order in which it happened. A
// packet is on the tap that it comes in by before it can be on the other: who
// has seen it there finds it here.
func (w *Witness) look() {
	for {
		var stamps [2]int64
		var frames [2][]byte
		for k, tap := range w.taps {
			stamps[k], _, frames[k], _ = tap.receive()
		}
		if frames[0] == nil && frames[1] != nil {
			stamps[0], _, frames[0], _ = w.taps[0].receive()
		}
		k := 0
		switch {
		case frames[0] == nil && frames[1] == nil:
			return
		case frames[0] == nil:
			k = 1
		case frames[1] != nil && stamps[1] < stamps[0]:
			k = 1
		case stamps[1] == stamps[0] && frames[1] != nil && w.taps[0].outgoing():
			k = 1
		}
		// The client's side comes in up and goes out down.
		if w.taps[k].outgoing() {
			w.passages[1-k].leave(frames[k])
		} else if w.passages[k].enter(stamps[k], frames[k]) && !w.seen {
			w.seen = true
			close(w.started)
		}
		w.taps[k].release()
	}
}

// enter takes in a packet that came in, and says whether it was one.
func (p *passage) enter(at int64, frame []byte) bool {
	t := parse(offload{}, frame)
	if t.stray() {
		p.counts.Strays++
		return false
	}
	p.settle(at - p.hold)
	p.counts.Packets++
	p.counts.Bytes += int64(len(frame))
	if len(p.recent) > 0 {
		// As many as fill the queue came within the time that one is in it.
		if at-p.recent[p.at] < p.hold-patience {
			p.counts.NeverFull = false
		}
		p.recent[p.at] = at
		p.at = (p.at + 1) % len(p.recent)
	}
	s := sighting{hash: t.identity(), at: at}
	if key, last, ok := t.fragment(); ok {
		s.fragment, s.last = &key, last
	}
	seen := p.pending[s.hash]
	seen.in++
	seen.marked = t.marked()
	p.pending[s.hash] = seen
	p.queue = append(p.queue, s)
	return true
}

// leave takes in a packet that went out.
func (p *passage) leave(frame []byte) {
	t := parse(offload{}, frame)
	if len(frame) < ethernetHeader || grouped(frame) {
		p.counts.Own++
		return
	}
	p.counts.Left++
	if t.network == 0 || [6]byte(frame) != [6]byte(p.far) || [6]byte(frame[6:]) != [6]byte(p.near) || !t.soundHeader() {
		p.counts.Corrupted++
		return
	}
	hash := t.identity()
	seen, ok := p.pending[hash]
	if !ok {
		p.counts.Corrupted++
		return
	}
	if t.marked() && !seen.marked {
		p.counts.Marked++
	}
	seen.out++
	p.pending[hash] = seen
}

// grouped says whether the frame is for all stations or for a group of them
// that IP uses: no flipped bit makes that of a host's address in the lab.
func grouped(frame []byte) bool {
	return frame[0] == 0xff || frame[0] == 0x33 || frame[0] == 0x01
}

// settle counts the fate of the packets that came in before an instant.
func (p *passage) settle(before int64) {
	for p.head < len(p.queue) && p.queue[p.head].at < before {
		seen := p.pending[p.queue[p.head].hash]
		p.close(&p.queue[p.head], &p.datagrams, &seen)
		if seen.in == 0 {
			delete(p.pending, p.queue[p.head].hash)
		} else {
			p.pending[p.queue[p.head].hash] = seen
		}
		p.head++
	}
	if p.head > len(p.queue)/2 {
		p.queue = p.queue[:copy(p.queue, p.queue[p.head:])]
		p.head = 0
	}
}

func (p *passage) close(s *sighting, d *datagrams, seen *sightings) {
	f := lost
	if seen.out > 0 {
		f = intact
		seen.out--
	}
	seen.in--
	if s.fragment != nil {
		d.fragment(*s.fragment, s.last, f)
	} else {
		d.packet(f)
	}
}

// tally is the account as it stands: what is not yet settled is lost unless it
// has gone out.
func (p *passage) tally() Passage {
	d := p.datagrams
	seen := make(map[uint64]*sightings, len(p.pending))
	for i := p.head; i < len(p.queue); i++ {
		s := &p.queue[i]
		if seen[s.hash] == nil {
			seen[s.hash] = new(p.pending[s.hash])
		}
		p.close(s, &d, seen[s.hash])
	}
	c := p.counts
	c.Datagrams = d.tally()
	c.Datagrams.QueueDropped = nil
	// Which ones came to harm is not known, but how many.
	c.Datagrams.Corrupted = min(c.Corrupted, c.Datagrams.Lost)
	c.Datagrams.Lost -= c.Datagrams.Corrupted
	return c
}

// identitySeed is that of the hashes.
var identitySeed = maphash.MakeSeed()

// identity is a hash of what a router and netem leave as it is: the IP packet
// without its hop count, its header checksum and its ECN field.
func (t *train) identity() uint64 {
	var h maphash.Hash
	h.SetSeed(identitySeed)
	ip := t.frame[t.network:]
	var head [ipv6Header]byte
	n := copy(head[:], ip[:min(len(ip), ipv6Header)])
	if t.ipv6 {
		head[1] &^= ecnMask << ecnShift
		head[7] = 0
	} else {
		head[1] &^= ecnMask
		head[8], head[10], head[11] = 0, 0, 0
	}
	_, _ = h.Write(head[:n])
	_, _ = h.Write(ip[n:])
	return h.Sum64()
}

// soundHeader says whether the IP header's checksum is right; IPv6 has none.
func (t *train) soundHeader() bool {
	if t.ipv6 {
		return true
	}
	ip := t.frame[t.network:]
	n := int(ip[0]&15) * 4
	return n >= ipv4Header && n <= len(ip) && sum16(ip[:n]) == 0xffff
}

// marked says whether the packet met congestion.
func (t *train) marked() bool {
	ip := t.frame[t.network:]
	if t.ipv6 {
		return ip[1]>>ecnShift&ecnMask == ecnMet
	}
	return ip[1]&ecnMask == ecnMet
}
