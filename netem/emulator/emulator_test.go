package emulator

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/netem"
)

// A device without a kernel behind it: its ring is memory that the test fills,
// and what it sends comes out of a socket pair.
type fakeDevice struct {
	*Device
	at   int // the slot to be filled next
	wire int // the other end
}

func newFakeDevice(t *testing.T) *fakeDevice {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(pair[1]) })
	ring, err := unix.Mmap(-1, 0, blockSize*blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeDevice{Device: &Device{fd: pair[0], ring: ring, slot: frameSize}, wire: pair[1]}
}

// slotHeader is struct tpacket2_hdr byte by byte, as linux/if_packet.h has it.
func slotHeader(status, length, snapped uint32, mac, net uint16, sec, nsec uint32) []byte {
	var h []byte
	for _, v := range []uint32{status, length, snapped} {
		h = binary.NativeEndian.AppendUint32(h, v)
	}
	h = binary.NativeEndian.AppendUint16(h, mac)
	h = binary.NativeEndian.AppendUint16(h, net)
	h = binary.NativeEndian.AppendUint32(h, sec)
	h = binary.NativeEndian.AppendUint32(h, nsec)
	return append(h, make([]byte, 8)...)
}

// arrive puts a frame into the ring as the kernel would.
func (d *fakeDevice) arrive(sec, nsec uint32, off offload, frame []byte) {
	const mac = 80
	per := blockSize / frameSize
	slot := d.ring[d.at/per*blockSize+d.at%per*frameSize:]
	off.put(slot[mac-offloadSize:])
	copy(slot[mac:], frame)
	copy(slot, slotHeader(unix.TP_STATUS_USER|unix.TP_STATUS_CSUMNOTREADY, uint32(len(frame)), uint32(len(frame)), mac, mac+14, sec, nsec))
	d.at = (d.at + 1) % (blocks * per)
}

func (d *fakeDevice) sent(t *testing.T) (head, frame []byte) {
	b := make([]byte, 2*frameSize)
	n, err := unix.Read(d.wire, b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:offloadSize], b[offloadSize:n]
}

// TestRing: frames come out of the ring as they went in, round and round.
func TestRing(t *testing.T) {
	if unsafe.Sizeof(tpacket2Header{}) != uintptr(len(slotHeader(0, 0, 0, 0, 0, 0, 0))) {
		t.Fatal("the kernel's header is of another size")
	}
	d := newFakeDevice(t)
	defer d.Close()
	f := &flow{size: 1448, payload: make([]byte, 60000)}
	off, frame := f.frame(0, f.count(), false)
	for n := range 3*d.frames() + 7 {
		if _, _, _, ok := d.receive(); ok || d.ready() {
			t.Fatalf("frame %d is there before it comes", n)
		}
		frame[len(frame)-1] = byte(n)
		d.arrive(uint32(n), 5, off, frame)
		wall, gotOff, got, ok := d.receive()
		if !ok || !d.ready() || wall != int64(n)*1e9+5 || gotOff != off || !bytes.Equal(got, frame) {
			t.Fatalf("frame %d: %d bytes at %d, %+v, %v", n, len(got), wall, gotOff, ok)
		}
		d.release()
	}
}

// TestSend: one message of head and payload; nothing is no payload.
func TestSend(t *testing.T) {
	d := newFakeDevice(t)
	defer d.Close()
	head := append(make([]byte, offloadSize), 1, 2, 3)
	for _, payload := range [][]byte{{4, 5}, nil} {
		if err := d.send(head, payload); err != nil {
			t.Fatal(err)
		}
		if _, got := d.sent(t); !bytes.Equal(got, append([]byte{1, 2, 3}, payload...)) {
			t.Errorf("%v", got)
		}
	}
	_ = unix.Close(d.wire)
	if err := d.send(head, nil); err == nil {
		t.Error("no error where nobody takes it")
	}
}

// TestEmulator carries frames both ways, tells of it, and ends.
func TestEmulator(t *testing.T) {
	client, server := newFakeDevice(t), newFakeDevice(t)
	e, err := New(client.Device, server.Device, Config{Path: netem.Path{Down: impairment(t, "loss 100%")}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	off, frame := numbered(9)
	for range 3 {
		client.arrive(0, 0, off, frame)
	}
	server.arrive(0, 0, off, frame)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()

	// Run answers between two rounds; the second answer follows a whole one.
	link, err := e.Link(ctx)
	if err == nil {
		link, err = e.Link(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	if u := link.Up; u.Packets != 27 || u.Delivered != 27 || u.Refused != 0 || u.InFlight != 0 {
		t.Errorf("up: %+v", u)
	}
	if d := link.Down; d.Packets != 9 || d.Lost != 9 || d.Delivered != 0 {
		t.Errorf("down: %+v", d)
	}
	for range 3 {
		if head, got := server.sent(t); parseOffload(head) != off || !bytes.Equal(got, frame) {
			t.Errorf("%+v, %d bytes", parseOffload(head), len(got))
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// What is asked of it now does not touch files that are no longer its own.
	e.call()
	if _, err := e.Link(t.Context()); err == nil {
		t.Error("an ended emulator answers")
	}
}

// TestCallCanBeTakenBack: who sees that it was called finds the eventfd written
// to. One that is written to afterwards would keep Run from sleeping.
func TestCallCanBeTakenBack(t *testing.T) {
	e, err := New(newFakeDevice(t).Device, newFakeDevice(t).Device, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	}()
	calls, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for range calls {
			e.call()
		}
	}()
	var b [8]byte
	for range 2000 {
		calls <- struct{}{}
		for !e.called.Swap(false) {
		}
		if _, err := unix.Read(e.wake, b[:]); err != nil {
			t.Errorf("called, and the eventfd: %v", err)
			break
		}
	}
	close(calls)
	<-done
}
