package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// A train is several messages of one length that the kernel takes as one datagram
// and cuts where it leaves (UDP_SEGMENT, udp(7), since Linux 4.18): the way through
// the kernel is paid for once. Only the last of a train may be shorter. What is on
// the wire is the same.
const (
	// trainMax is UDP_MAX_SEGMENTS of include/linux/udp.h before Linux 6.9, which
	// doubled it.
	trainMax = transport.TrainMax
	// trainBytes is what IP's length field leaves for a train's data, with either
	// family's headers.
	trainBytes = 65535 - 40 - 8
)

// segmentSize is the control message that makes a datagram a train.
type segmentSize struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte // CMSG_SPACE of two bytes
}

func (c *segmentSize) set(size int) {
	c.header.Level, c.header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.header.SetLen(unix.SizeofCmsghdr + int(unsafe.Sizeof(c.size)))
	c.size = uint16(size)
}

// train is how many of the first messages of batch make one train, at least one.
// What the kernel did not cut before it is not asked to cut again.
func (s *sender) train(batch [][]byte) int {
	size := len(batch[0])
	if size == 0 || size > s.cuttable {
		return 1
	}
	n := 1
	for n < min(len(batch), trainMax, trainBytes/size) {
		next := len(batch[n])
		if next == 0 || next > size {
			break
		}
		n++
		if next < size {
			break
		}
	}
	return n
}

// couple makes trains of the batch, each with a header, and every message that
// stands alone with one, too.
func (s *sender) couple() {
	s.used = 0
	for i, m := range s.batch {
		s.vectors[i].Base = unsafe.SliceData(m)
		s.vectors[i].SetLen(len(m))
	}
	for i := 0; i < len(s.batch); s.used++ {
		n := s.train(s.batch[i:])
		h := &s.headers[s.used].Hdr
		h.Iov = &s.vectors[i]
		h.SetIovlen(n)
		h.Control = nil
		h.SetControllen(0)
		if n > 1 {
			c := &s.controls[s.used]
			c.set(len(s.batch[i]))
			h.Control = (*byte)(unsafe.Pointer(c))
			h.SetControllen(int(unsafe.Sizeof(*c)))
		}
		s.lengths[s.used] = n
		i += n
	}
}

// refuses notes that the kernel does not cut the train that the next message to be
// sent leads: its messages are larger than the path's packets (EINVAL,
// udp_send_skb in net/ipv4/udp.c), or the device cannot (EIO). It reports whether
// there was one.
func (s *sender) refuses(err unix.Errno) bool {
	if s.used == 0 || s.lengths[0] < 2 || len(s.batch) == 0 {
		return false
	}
	switch err {
	case unix.EINVAL, unix.EMSGSIZE:
		s.cuttable = len(s.batch[0]) - 1
	case unix.EIO:
		s.cuttable = 0
	default:
		return false
	}
	return true
}
