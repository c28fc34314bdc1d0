package udp

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/message"
)

// Where a sender is on the same machine and has always more to send, a train comes
// through the kernel whole (UDP_GRO, udp(7), since Linux 5.0), and is cut here: that
// is many times as fast. Its price is that the kernel counts a train that it has no
// room for as one drop, whatever is in it. How many messages that were, the numbers
// tell: loopback keeps the order and loses nothing, so what is missing between two
// trains was in those that the socket dropped between them. SO_RXQ_OVFL says with
// each train how many that were so far. Only of the last ones, that nothing came
// after, the other end's count has to tell.
const (
	trainSlots = 16
	trainSlot  = 1 << 16
)

// wholeTrains is the state of receiving trains whole.
type wholeTrains struct {
	controls [trainSlots][controlSize]byte
	size     int // of the messages in the train that is being handed on

	next    uint64        // the number that comes next if nothing is lost
	drops   atomic.Uint32 // the socket's count with the last train
	missing atomic.Int64  // messages in trains that the socket has dropped
}

// controlSize is room for the two control messages that come with a train, with a
// number of four bytes each: CMSG_SPACE(4), twice.
const controlSize = 2 * (unix.SizeofCmsghdr + 8)

// ask has the kernel leave trains whole on this socket, and say what it drops. It
// reports whether it will.
func ask(fd int) bool {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) == nil &&
		unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
}

// begin looks at the train in a slot when the first message of it is handed on, and
// gives the size of its messages.
func (w *wholeTrains) begin(slot, offset int, h *unix.Msghdr, data []byte) int {
	if offset > 0 {
		return w.size
	}
	size, drops := w.told(slot, int(h.Controllen))
	if size <= 0 {
		size = max(len(data), 1)
	}
	w.size = size
	if len(data) < message.HeaderSize {
		return size
	}
	first := number(data)
	if drops != w.drops.Load() && first > w.next {
		w.missing.Add(int64(first - w.next))
	}
	w.drops.Store(drops)
	w.next = first + uint64((len(data)+size-1)/size)
	return size
}

// number is the number of the message at the start of b (see package message).
func number(b []byte) uint64 { return binary.BigEndian.Uint64(b) & message.MaxNumber }

// told reads the control messages of a slot: the size of the messages in it, 0 if it
// holds one, and how much the socket has dropped before.
func (w *wholeTrains) told(slot, length int) (size int, drops uint32) {
	b := w.controls[slot][:min(length, controlSize)]
	for len(b) >= unix.SizeofCmsghdr+4 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		value := b[unix.SizeofCmsghdr:]
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO:
			size = int(binary.NativeEndian.Uint32(value))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL:
			drops = binary.NativeEndian.Uint32(value)
		}
		b = b[min(len(b), max(int(h.Len+7)&^7, unix.SizeofCmsghdr)):]
	}
	return size, drops
}
