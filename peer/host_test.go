package peer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tables are the kernel's, as host.go reads them.
var tables = []string{"snmp", "netstat", "snmp6"}

func TestReadMIB(t *testing.T) {
	mib := map[string]int64{}
	for _, name := range tables {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		readMIB(bytes.NewReader(b), mib)
	}
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(mib)) {
		fmt.Fprintln(&got, name, mib[name])
	}
	golden := filepath.Join("testdata", "mib.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%s\nwant %s", got.String(), golden)
	}
}

func TestReadMIBOddities(t *testing.T) {
	for name, x := range map[string]struct {
		text string
		want map[string]int64
	}{
		"empty":              {"", map[string]int64{}},
		"names alone":        {"Ip: A B\n", map[string]int64{}},
		"a value too few":    {"Ip: A B\nIp: 1\n", map[string]int64{"IpA": 1}},
		"a value too many":   {"Ip: A\nIp: 1 2\n", map[string]int64{"IpA": 1}},
		"another's values":   {"Ip: A\nUdp: A\nUdp: 2\n", map[string]int64{"UdpA": 2}},
		"a line between":     {"Ip: A\nIp6A 3\nIp: 1\n", map[string]int64{"Ip6A": 3}},
		"an empty line":      {"Ip: A\n\nIp: 1\n", map[string]int64{"IpA": 1}},
		"no number":          {"Ip: A B\nIp: x -1\nIp6A y\n", map[string]int64{"IpB": -1}},
		"more than a number": {"Ip6A 1 2\nIp6B 18446744073709551615\n", map[string]int64{}},
		"no end of line":     {"Ip6A\t 4", map[string]int64{"Ip6A": 4}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]int64{}
			readMIB(strings.NewReader(x.text), got)
			if !maps.Equal(got, x.want) {
				t.Errorf("%v, want %v", got, x.want)
			}
		})
	}
}

func FuzzReadMIB(f *testing.F) {
	for _, name := range tables {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("Ip:\nIp:\n: :\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mib := map[string]int64{}
		readMIB(bytes.NewReader(text), mib)
		// Every counter has a name and a value of its own in the text.
		if words := len(bytes.Fields(text)); 2*len(mib) > words {
			t.Errorf("%d counters out of %d words", len(mib), words)
		}
		again := map[string]int64{}
		readMIB(bytes.NewReader(text), again)
		if !maps.Equal(mib, again) {
			t.Errorf("%v, and then %v", mib, again)
		}
	})
}

// Every counter adds to the sums what its comment says.
func TestDiscards(t *testing.T) {
	for name, x := range map[string]struct {
		mib                 map[string]int64
		damaged, overflowed int64
	}{
		"nothing":                 {nil, 0, 0},
		"UDP overflowed":          {map[string]int64{"UdpInErrors": 5, "UdpInCsumErrors": 5}, 5, 0},
		"UDP overflowed and more": {map[string]int64{"Udp6InErrors": 7, "Udp6InCsumErrors": 5}, 7, 0},
		"a full buffer":           {map[string]int64{"UdpInErrors": 9, "UdpRcvbufErrors": 9, "Udp6InErrors": 3, "Udp6RcvbufErrors": 3}, 0, 12},
		"no memory":               {map[string]int64{"UdpInErrors": 9, "UdpMemErrors": 9, "Udp6InErrors": 4, "Udp6MemErrors": 4}, 0, 13},
		"a damaged port":          {map[string]int64{"UdpNoPorts": 2, "Udp6NoPorts": 1}, 3, 0},
		"a damaged IP header":     {map[string]int64{"IpInHdrErrors": 4, "IpExtInCsumErrors": 4, "Ip6InHdrErrors": 1}, 5, 0},
		"a damaged address":       {map[string]int64{"IpInAddrErrors": 1, "IpExtInNoRoutes": 2, "Ip6InAddrErrors": 4, "Ip6InNoRoutes": 8}, 15, 0},
		"a damaged protocol":      {map[string]int64{"IpInUnknownProtos": 1, "Ip6InUnknownProtos": 2}, 3, 0},
		"a damaged length":        {map[string]int64{"IpExtInTruncatedPkts": 1, "Ip6InTruncatedPkts": 2}, 3, 0},
		"what is no damage":       {map[string]int64{"IpInDiscards": 1, "IpReasmFails": 1, "Ip6InDiscards": 1, "UdpInDatagrams": 1, "TcpInErrs": 1, "IpOutNoRoutes": 1}, 0, 0},
		"everything at one time":  {map[string]int64{"UdpInErrors": 10, "UdpRcvbufErrors": 3, "UdpMemErrors": 1, "UdpInCsumErrors": 6, "UdpNoPorts": 2, "IpInHdrErrors": 1}, 9, 4},
		"of TCP the kernel's own": {map[string]int64{"TcpInCsumErrors": 7}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if damaged, overflowed := discards(x.mib); damaged != x.damaged || overflowed != x.overflowed {
				t.Errorf("damaged %d, overflowed %d, want %d, %d", damaged, overflowed, x.damaged, x.overflowed)
			}
		})
	}
}

// The two counters of a device, by their places in rtnl_link_stats64; an older
// kernel's structure is shorter.
func TestUnwanted(t *testing.T) {
	stats := make([]byte, 25*8)
	for i := range 25 {
		binary.NativeEndian.PutUint64(stats[i*8:], 1<<i)
	}
	for _, x := range []struct {
		size int
		want int64
	}{{0, 0}, {6 * 8, 0}, {7 * 8, 1 << 6}, {24 * 8, 1 << 6}, {24*8 + 7, 1 << 6}, {25 * 8, 1<<6 + 1<<24}} {
		if got := unwanted(stats[:x.size]); got != x.want {
			t.Errorf("%d bytes: %b, want %b", x.size, got, x.want)
		}
	}
}

func TestReadCounters(t *testing.T) {
	before := readCounters(true)
	after := readCounters(true)
	used := after.since(before)
	if before.cpu <= 0 || used.cpu < 0 || used.damaged < 0 || used.overflowed < 0 {
		t.Errorf("%+v, then %+v", before, after)
	}
	if c := readCounters(false); c.damaged != 0 || c.overflowed != 0 || c.cpu <= 0 {
		t.Errorf("a host that others use tells %+v", c)
	}
}
