package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/netem/emulator"
)

// A ring is the receive ring of an AF_PACKET socket in its third version
// (Documentation/networking/packet_mmap.rst): the kernel fills blocks with frames
// of any length one behind the other, and hands a block over when it is full or
// retireAfter old. The reader wakes by the clock and not by the packet, and leaves the
// processors to what it looks at.
type ring struct {
	fd     int
	memory []byte
	size   int // of a block
	at     int // the block to be read next
}

const (
	retireAfter = 20 // ms
	snapAll     = 1 << 18
	// snapHeaders is room for the headers of Ethernet, IP and TCP or UDP with all
	// their options, and for a message's.
	snapHeaders = 192
)

// view is what a ring takes in.
type view struct {
	snap               int // bytes of a frame that are kept
	outgoing, incoming bool
	block, blocks      int
}

// sight is a frame as a ring tells of it.
type sight struct {
	stamp    int64 // CLOCK_REALTIME, ns
	outgoing bool
	host     bool   // it came for this very host
	length   int    // of the frame on its device
	before   []byte // what the host left to the device; see emulator.Frame
	frame    []byte // as much of it as is kept
}

// openRing makes a ring of an unbound packet socket, and binds it to the device
// of that index. It closes the file.
func openRing(f *os.File, index int, v view) (r *ring, err error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r = &ring{fd: fd, size: v.block}
	defer func() {
		if err != nil {
			_ = r.close()
		}
	}()
	// Those who only receive are spared what goes out.
	ignore := 0
	if !v.outgoing {
		ignore = 1
	}
	for _, o := range []struct {
		name          string
		option, value int
	}{
		{"PACKET_VERSION", unix.PACKET_VERSION, unix.TPACKET_V3},
		{"PACKET_VNET_HDR", unix.PACKET_VNET_HDR, 1},
		{"PACKET_IGNORE_OUTGOING", unix.PACKET_IGNORE_OUTGOING, ignore},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, o.option, o.value); err != nil {
			return nil, fmt.Errorf("packet socket: %s: %w", o.name, err)
		}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, v.filter()); err != nil {
		return nil, fmt.Errorf("packet socket: filter: %w", err)
	}
	const frame = 2048 // says nothing here but how many there are
	request := unix.TpacketReq3{
		Block_size: uint32(v.block), Block_nr: uint32(v.blocks),
		Frame_size: frame, Frame_nr: uint32(v.blocks * (v.block / frame)), Retire_blk_tov: retireAfter,
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return nil, fmt.Errorf("packet socket: receive ring: %w", err)
	}
	if r.memory, err = unix.Mmap(fd, 0, v.block*v.blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("packet socket: receive ring: %w", err)
	}
	var all [2]byte
	binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:]), Ifindex: index}); err != nil {
		return nil, fmt.Errorf("packet socket: bind: %w", err)
	}
	return r, nil
}

// filter is the socket filter that keeps what the view wants of a frame: as many
// bytes as it returns, none of the others (bpf(4)).
func (v view) filter() *unix.SockFprog {
	const packetType = 0xfffff000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE (linux/filter.h)
	take := func(is bool) uint32 {
		if is {
			return uint32(v.snap)
		}
		return 0
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: packetType},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PACKET_OUTGOING, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: take(v.outgoing)},
		{Code: unix.BPF_RET | unix.BPF_K, K: take(v.incoming)},
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
}

func (r *ring) close() error {
	var err error
	if r.memory != nil {
		err = unix.Munmap(r.memory)
		r.memory = nil
	}
	return errors.Join(err, unix.Close(r.fd))
}

// Offsets within a block (struct tpacket_block_desc) and a frame (struct
// tpacket3_hdr, with a sockaddr_ll behind it), include/uapi/linux/if_packet.h.
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16

	frameNext    = 0
	frameSeconds = 4
	frameNanos   = 8
	frameSnapped = 12
	frameLength  = 16
	frameMAC     = 24
	frameType    = 48 + 10 // sll_pkttype
)

func (r *ring) blocks() int { return len(r.memory) / r.size }

// drain hands what is in the blocks that the kernel has let go to see, which may
// not keep it. It returns how many blocks that were.
func (r *ring) drain(see func(*sight)) (blocks int) {
	for ; ; blocks++ {
		block := r.memory[r.at*r.size : (r.at+1)*r.size]
		status := (*uint32)(unsafe.Pointer(&block[blockStatus]))
		if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
			return blocks
		}
		word := func(b []byte, at int) int { return int(binary.NativeEndian.Uint32(b[at:])) }
		next := word(block, blockFirst)
		for range word(block, blockPackets) {
			b := block[next:]
			mac := int(binary.NativeEndian.Uint16(b[frameMAC:]))
			see(&sight{
				stamp:    int64(word(b, frameSeconds))*1e9 + int64(word(b, frameNanos)),
				outgoing: b[frameType] == unix.PACKET_OUTGOING,
				host:     b[frameType] == unix.PACKET_HOST,
				length:   word(b, frameLength),
				before:   b[mac-emulator.OffloadSize : mac],
				frame:    b[mac : mac+word(b, frameSnapped)],
			})
			next += word(b, frameNext)
		}
		atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
		r.at = (r.at + 1) % r.blocks()
	}
}

// missed is how many frames found no room in the ring since the last call.
func (r *ring) missed() (int64, error) {
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt PACKET_STATISTICS", err)
	}
	return int64(s.Drops), nil
}
