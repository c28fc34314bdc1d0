package udp

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/transport"
)

const (
	// slotMin is the least room for one datagram.
	slotMin = 2048
	// line is a cache line. Slots that lie a power of two apart would share
	// the same few sets of the cache.
	line = 64
)

// receiver is the state of taking datagrams from the kernel, made once so that
// receiving allocates nothing. Each datagram or train of a batch has a slot of its
// own, with room for a byte more than the largest message: one that fills it was
// cut.
type receiver struct {
	headers [receiveMax]unix.Mmsghdr
	vectors [receiveMax]unix.Iovec
	names   [receiveMax]name
	slots   [receiveMax][]byte

	peer    peer
	session uint64 // 0: any
	largest int
	most    int          // datagrams that one call takes
	whole   *wholeTrains // nil: the kernel cuts what comes as a train
	stamps  *stamps      // nil: the kernel does not stamp what comes
	turns   bool         // its call waits (socket.Turns)

	// The call in progress, and what came of it.
	want  int
	n     int
	err   syscall.Errno
	at    int64
	meter transport.CallMeter
	wall  int64 // the wall clock's time then, where there are stamps

	// What is handed on next: the slot, and where in it.
	slot, offset int

	read func(fd uintptr) bool // one system call, made as the sender's; false: nothing was there
}

// open makes the slots, when they are first needed: an end that only sends has
// none.
func (r *receiver) open() {
	size, count := max(slotMin, r.largest+1), r.most
	if r.whole != nil {
		size, count = trainSlot, trainSlots
	}
	stride := (size+line-1)/line*line + line
	memory := make([]byte, count*stride)
	for i := range count {
		r.slots[i] = memory[i*stride : i*stride+size : i*stride+size]
		r.vectors[i].Base = &r.slots[i][0]
		r.vectors[i].SetLen(size)
		h := &r.headers[i].Hdr
		h.Iov = &r.vectors[i]
		h.SetIovlen(1)
		h.Name = &r.names[i][0]
	}
	r.read = func(fd uintptr) bool {
		for i := range r.want {
			h := &r.headers[i].Hdr
			h.Namelen = uint32(len(r.names[i])) // the kernel wrote what it used
			if r.whole != nil {
				h.Control = &r.whole.controls[i][0]
				h.SetControllen(len(r.whole.controls[i]))
			} else if r.stamps != nil {
				h.Control = &r.stamps.controls[i][0]
				h.SetControllen(stampSize)
			}
		}
		var n uintptr
		var err syscall.Errno
		r.meter.Begin()
		switch {
		case !r.turns:
			n, _, err = unix.RawSyscall6(unix.SYS_RECVMMSG, fd,
				uintptr(unsafe.Pointer(&r.headers[0])), uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
		case r.err != unix.EAGAIN:
			n, _, err = unix.RawSyscall6(unix.SYS_RECVMMSG, fd,
				uintptr(unsafe.Pointer(&r.headers[0])), uintptr(r.want), unix.MSG_WAITFORONE, 0, 0)
		default: // the wait is a longer one: others may have the processor
			n, _, err = unix.Syscall6(unix.SYS_RECVMMSG, fd,
				uintptr(unsafe.Pointer(&r.headers[0])), uintptr(r.want), unix.MSG_WAITFORONE, 0, 0)
		}
		r.meter.End(err == 0)
		if r.stamps != nil {
			r.at, r.wall = clock.Both()
		} else {
			r.at = clock.Now()
		}
		r.n, r.err = int(n), err
		if err != 0 {
			r.n = 0
		}
		r.slot, r.offset = 0, 0
		return err != unix.EAGAIN || r.turns
	}
}

// Receive takes what is in the socket's buffer, waiting while it is empty.
// All datagrams of one call have the time at which that call returned.
func (c *Conn) Receive(batch []transport.Message) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	r := &c.receiver
	if r.read == nil {
		r.open()
	}
	for {
		if c.closed.Load() {
			return 0, transport.ErrClosed
		}
		if kept := c.unload(batch); kept > 0 {
			return kept, nil
		}
		r.want = r.most
		if r.whole != nil {
			r.want = trainSlots
		}
		r.want = min(len(batch), r.want)
		if err := c.raw.Read(r.read); err != nil {
			return 0, c.why(err)
		}
		switch {
		case r.err == 0 || r.err == unix.EINTR || r.err == unix.EAGAIN:
		case fromPath(r.err):
			c.refused.Add(1)
		default:
			return 0, fmt.Errorf("udp: receiving: %w", r.err)
		}
	}
}

// unload hands on what the last call brought, as much as there is room for.
func (c *Conn) unload(batch []transport.Message) (kept int) {
	r := &c.receiver
	strays := int64(0)
	for r.slot < r.n && kept < len(batch) {
		data := r.slots[r.slot][:r.headers[r.slot].Len]
		size := len(data)
		if r.offset == 0 {
			if !r.peer.is(&r.names[r.slot]) || r.foreign(data) {
				strays++
				r.slot++
				continue
			}
		}
		stamped := r.stamps.read(r.slot, &r.headers[r.slot].Hdr, r.at, r.wall)
		if r.whole != nil {
			size = r.whole.begin(r.slot, r.offset, &r.headers[r.slot].Hdr, data)
		}
		for kept < len(batch) {
			end := min(r.offset+size, len(data))
			batch[kept] = transport.Message{Data: data[r.offset:end:end], At: r.at, Stamped: stamped}
			kept++
			if r.offset = end; end == len(data) {
				r.slot, r.offset = r.slot+1, 0
				break
			}
		}
	}
	if strays > 0 {
		c.strays.Add(strays)
	}
	return kept
}

// sessionAt is where a message has its session (see package message).
const sessionAt = 8

// foreign reports whether data is a whole message of another session. A
// damaged one is not: its session may be what was damaged, and it has to be
// accounted for. Nearly all datagrams are ours and cost one comparison.
func (r *receiver) foreign(data []byte) bool {
	if r.session == 0 || len(data) < message.HeaderSize ||
		binary.BigEndian.Uint64(data[sessionAt:]) == r.session {
		return false
	}
	_, err := message.Parse(data)
	return err == nil
}
