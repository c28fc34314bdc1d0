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
// receiving allocates nothing. Each datagram of a batch has a slot of its own,
// with room for a byte more than the largest message: one that fills it was
// cut.
type receiver struct {
	headers [batchMax]unix.Mmsghdr
	vectors [batchMax]unix.Iovec
	names   [batchMax]name
	slots   [batchMax][]byte

	peer    peer
	session uint64 // 0: any
	largest int

	// The call in progress, and what came of it.
	want int
	n    int
	err  syscall.Errno
	at   int64

	read func(fd uintptr) bool // one system call; false: nothing was there
}

// open makes the slots, when they are first needed: an end that only sends has
// none.
func (r *receiver) open() {
	size := max(slotMin, r.largest+1)
	stride := (size+line-1)/line*line + line
	memory := make([]byte, batchMax*stride)
	for i := range r.slots {
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
			r.headers[i].Hdr.Namelen = uint32(len(r.names[i])) // the kernel wrote what it used
		}
		n, _, err := unix.Syscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&r.headers[0])), uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
		r.at = clock.Now()
		r.n, r.err = int(n), err
		if err != 0 {
			r.n = 0
		}
		return err != unix.EAGAIN
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
		r.want = min(len(batch), batchMax)
		if err := c.raw.Read(r.read); err != nil {
			return 0, c.why(err)
		}
		switch {
		case r.err == 0:
		case r.err == unix.EINTR:
			continue
		case fromPath(r.err):
			c.refused.Add(1)
			continue
		default:
			return 0, fmt.Errorf("udp: receiving: %w", r.err)
		}
		kept := 0
		for i := range r.n {
			data := r.slots[i][:r.headers[i].Len]
			if !r.peer.is(&r.names[i]) || r.foreign(data) {
				continue
			}
			batch[kept] = transport.Message{Data: data, At: r.at}
			kept++
		}
		if strays := r.n - kept; strays > 0 {
			c.strays.Add(int64(strays))
		}
		if kept > 0 {
			return kept, nil
		}
	}
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
