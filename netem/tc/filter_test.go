package tc

import (
	"strings"
	"testing"
)

func TestParseFilter(t *testing.T) {
	for s, n := range map[string]int{ // how many tc filters it takes
		"dst 10.0.0.5 dport 5001":                2,
		"dst 10.0.0.5 proto udp dport 5001":      1,
		"src 10.0.0.0/8":                         1,
		"proto udp":                              2,
		"dport 53":                               4,
		"src 2001:db8::/32 dst 2001:db8::1":      1,
		"proto icmp":                             1,
		"proto icmpv6":                           1,
		"proto 47":                               2,
		"src 10.0.0.1 proto tcp sport 1 dport 2": 1,
		"proto udp port 7701":                    4,
		"port 7701":                              8,
	} {
		f, err := ParseFilter(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if f.String() != s || len(f.rules()) != n {
			t.Errorf("%q: %q, %d rules, want %d", s, f, len(f.rules()), n)
		}
	}
	for s, says := range map[string]string{
		"":                          "empty",
		"dst":                       "without a value",
		"dst 10.0.0.300":            "want an address",
		"dport 0":                   "want a port",
		"dport 70000":               "want a port",
		"proto 0":                   "want tcp",
		"to 10.0.0.1":               "unknown",
		"dport 1 dport 2":           "twice",
		"port 1 dport 2":            "either of the two",
		"proto icmp dport 1":        "ports are of TCP and UDP",
		"src 10.0.0.1 dst ::1":      "no packet",
		"dst 10.0.0.1 proto icmpv6": "no packet",
	} {
		if _, err := ParseFilter(s); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", s, err, says)
		}
	}
}

// FuzzParseFilter: what is read prints and reads back as itself.
func FuzzParseFilter(f *testing.F) {
	f.Add("dst 10.0.0.5 dport 5001")
	f.Add("src 2001:db8::/32 proto udp")
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseFilter(s)
		if err != nil {
			return
		}
		if y, err := ParseFilter(x.String()); err != nil || y != x {
			t.Errorf("%q: %q, %v", s, x, err)
		}
	})
}
