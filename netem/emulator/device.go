package emulator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of a device's receive ring: room for 480 trains of 64 KiB, or for
// 16384 packets of a wire. The ring, unlike a socket buffer, is not bounded by
// net.core.rmem_max, which an ordinary user cannot raise.
const (
	frameSize  = 66048 // of a ring slot: the largest train, and the kernel's header before it
	packetSize = 2048  // the same for a packet of a wire
	blockSize  = 1 << 20
	blocks     = 32
)

// tpacket2Header is struct tpacket2_hdr (include/uapi/linux/if_packet.h).
type tpacket2Header struct {
	status   uint32
	length   uint32
	snapped  uint32
	mac      uint16
	net      uint16
	sec      uint32
	nsec     uint32
	vlanTCI  uint16
	vlanTPID uint16
	_        [4]byte
}

// Device is a network interface whose frames the emulator takes and gives: an
// AF_PACKET socket with a receive ring, offloads included (packet(7)).
type Device struct {
	fd   int
	ring []byte
	slot int // size of a slot, bytes
	at   int // the slot to be read next

	message unix.Msghdr
	vectors [2]unix.Iovec // head, payload
}

// OpenDevice opens the interface of that index for the emulator. It takes
// CAP_NET_RAW in the network namespace of the calling thread.
func OpenDevice(index int) (*Device, error) { return open(index, frameSize, true) }

// openTap opens the interface of that index to look at the packets that come
// in and go out; the latter behind its queueing discipline.
func openTap(index int) (*Device, error) { return open(index, packetSize, false) }

func open(index, slot int, incoming bool) (d *Device, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	d = &Device{fd: fd, slot: slot}
	ignore := 0
	if incoming {
		ignore = 1
	}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	for _, o := range []struct {
		name          string
		option, value int
	}{
		{"PACKET_VERSION", unix.PACKET_VERSION, unix.TPACKET_V2},
		{"PACKET_VNET_HDR", unix.PACKET_VNET_HDR, 1},
		{"PACKET_IGNORE_OUTGOING", unix.PACKET_IGNORE_OUTGOING, ignore},
		{"PACKET_QDISC_BYPASS", unix.PACKET_QDISC_BYPASS, 1},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, o.option, o.value); err != nil {
			return nil, fmt.Errorf("packet socket: %s: %w", o.name, err)
		}
	}
	request := unix.TpacketReq{Block_size: blockSize, Block_nr: blocks, Frame_size: uint32(slot), Frame_nr: uint32(d.frames())}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return nil, fmt.Errorf("packet socket: receive ring: %w", err)
	}
	d.ring, err = unix.Mmap(fd, 0, blockSize*blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("packet socket: receive ring: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return nil, fmt.Errorf("packet socket: bind: %w", err)
	}
	return d, nil
}

func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// Close gives the socket and its ring back.
func (d *Device) Close() error {
	var err error
	if d.ring != nil {
		err = unix.Munmap(d.ring)
		d.ring = nil
	}
	return errors.Join(err, unix.Close(d.fd))
}

func (d *Device) frames() int { return blocks * (blockSize / d.slot) }

func (d *Device) next() (*tpacket2Header, []byte) {
	inBlock := blockSize / d.slot
	from := d.at/inBlock*blockSize + d.at%inBlock*d.slot
	slot := d.ring[from : from+d.slot : from+d.slot]
	return (*tpacket2Header)(unsafe.Pointer(&slot[0])), slot
}

// ready says whether a frame waits in the ring. It makes no system call.
func (d *Device) ready() bool {
	h, _ := d.next()
	return atomic.LoadUint32(&h.status)&unix.TP_STATUS_USER != 0
}

// receive gives the next frame and the time (CLOCK_REALTIME, ns) at which the
// kernel took it in. The frame is valid until release.
func (d *Device) receive() (wall int64, off offload, frame []byte, ok bool) {
	h, slot := d.next()
	if atomic.LoadUint32(&h.status)&unix.TP_STATUS_USER == 0 {
		return 0, off, nil, false
	}
	mac := int(h.mac)
	off = parseOffload(slot[mac-offloadSize:])
	return int64(h.sec)*1e9 + int64(h.nsec), off, slot[mac : mac+int(h.snapped)], true
}

// outgoing says whether the frame that receive gave was on its way out of the
// host: struct sockaddr_ll stands behind the ring's header (packet(7)).
func (d *Device) outgoing() bool {
	const aligned, packetType = 32, 10 // TPACKET_ALIGN(sizeof(struct tpacket2_hdr)); offset of sll_pkttype
	_, slot := d.next()
	return slot[aligned+packetType] == unix.PACKET_OUTGOING
}

// release gives the frame's slot back to the kernel.
func (d *Device) release() {
	h, _ := d.next()
	atomic.StoreUint32(&h.status, unix.TP_STATUS_KERNEL)
	if d.at++; d.at == d.frames() {
		d.at = 0
	}
}

// overruns is how many frames found the ring full since the last call.
func (d *Device) overruns() (int64, error) {
	s, err := unix.GetsockoptTpacketStats(d.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt PACKET_STATISTICS", err)
	}
	return int64(s.Drops), nil
}

// send puts one frame on the interface.
func (d *Device) send(head, payload []byte) error {
	d.vectors[0].Base = &head[0]
	d.vectors[0].SetLen(len(head))
	n := 1
	if len(payload) > 0 {
		d.vectors[1].Base = &payload[0]
		d.vectors[1].SetLen(len(payload))
		n = 2
	}
	d.message.Iov = &d.vectors[0]
	d.message.SetIovlen(n)
	for {
		_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(d.fd), uintptr(unsafe.Pointer(&d.message)), 0)
		switch errno {
		case 0:
			return nil
		case syscall.EINTR:
			continue
		}
		return errno
	}
}
