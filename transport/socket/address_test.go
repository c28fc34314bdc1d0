package socket_test

import (
	"net/netip"
	"testing"

	"netcmp/transport/socket"
)

func TestFrom(t *testing.T) {
	for _, c := range []struct {
		from, remote string
		want         bool
	}{
		{"", "192.0.2.1:5", true},
		{"192.0.2.1:5", "192.0.2.1:5", true},
		{"192.0.2.1:5", "[::ffff:192.0.2.1]:5", true},
		{"[::ffff:192.0.2.1]:5", "192.0.2.1:5", true},
		{"192.0.2.1:0", "192.0.2.1:5", true},
		{"192.0.2.1:5", "192.0.2.1:6", false},
		{"192.0.2.1:0", "192.0.2.2:5", false},
		{"[2001:2::1]:5", "[2001:2::1]:5", true},
		{"[2001:2::1]:5", "[2001:2::2]:5", false},
		{"[fe80::1]:5", "[fe80::1%eth0]:5", true},
		{"[fe80::1%eth1]:5", "[fe80::1%eth0]:5", false},
	} {
		var from netip.AddrPort
		if c.from != "" {
			from = netip.MustParseAddrPort(c.from)
		}
		if got := socket.From(from, netip.MustParseAddrPort(c.remote)); got != c.want {
			t.Errorf("From(%q, %s) = %v", c.from, c.remote, got)
		}
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:5":          "udp4",
		"[::ffff:192.0.2.1]:5": "udp4",
		"[2001:2::1]:5":        "udp6",
	} {
		if got, err := socket.Network("udp", netip.MustParseAddrPort(addr)); got != want || err != nil {
			t.Errorf("Network(%s) = %q, %v", addr, got, err)
		}
	}
	if _, err := socket.Network("udp", netip.AddrPort{}); err == nil {
		t.Error("no address was taken for one")
	}
}
