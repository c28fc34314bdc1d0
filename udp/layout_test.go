package udp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"netcmp/message"
)

// The session lies where foreign looks for it.
func TestSessionAt(t *testing.T) {
	const session = 0x0123_4567_89ab_cdef
	b := make([]byte, 100)
	message.Seal(b, message.Header{Session: session, Number: 5})
	if got := binary.BigEndian.Uint64(b[sessionAt:]); got != session {
		t.Errorf("found %#x at %d", got, sessionAt)
	}
	r := receiver{session: session}
	if r.foreign(b) {
		t.Error("a message of the session is taken for a foreign one")
	}
	r.session++
	if !r.foreign(b) {
		t.Error("a message of another session is taken for ours")
	}
	b[sessionAt]++
	if r.foreign(b) {
		t.Error("a damaged message is taken for a foreign one")
	}
}

func TestPeer(t *testing.T) {
	v4 := func(family uint16, port uint16, addr [4]byte) *name {
		n := new(name)
		binary.NativeEndian.PutUint16(n[0:], family)
		binary.BigEndian.PutUint16(n[2:], port)
		copy(n[4:], addr[:])
		return n
	}
	p := newPeer(netip.MustParseAddrPort("192.0.2.1:7000"))
	for _, c := range []struct {
		name *name
		want bool
	}{
		{v4(unix.AF_INET, 7000, [4]byte{192, 0, 2, 1}), true},
		{v4(unix.AF_INET6, 7000, [4]byte{192, 0, 2, 1}), false},
		{v4(unix.AF_INET, 7001, [4]byte{192, 0, 2, 1}), false},
		{v4(unix.AF_INET, 7000, [4]byte{192, 0, 2, 2}), false},
	} {
		if got := p.is(c.name); got != c.want {
			t.Errorf("%x: %v", c.name[:8], got)
		}
	}
	v6 := func(port uint16, addr string, flow uint32) *name {
		n := new(name)
		binary.NativeEndian.PutUint16(n[0:], unix.AF_INET6)
		binary.BigEndian.PutUint16(n[2:], port)
		binary.BigEndian.PutUint32(n[4:], flow)
		a := netip.MustParseAddr(addr).As16()
		copy(n[8:], a[:])
		return n
	}
	p = newPeer(netip.MustParseAddrPort("[2001:2::1]:7000"))
	for _, c := range []struct {
		name *name
		want bool
	}{
		{v6(7000, "2001:2::1", 0), true},
		{v6(7000, "2001:2::1", 99), true},
		{v6(7001, "2001:2::1", 0), false},
		{v6(7000, "2001:2::2", 0), false},
	} {
		if got := p.is(c.name); got != c.want {
			t.Errorf("%x: %v", c.name[:], got)
		}
	}
}
