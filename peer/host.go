package peer

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// counters are what an end's process and host have used and thrown away so
// far.
type counters struct {
	cpu int64 // user and system time of the process, ns
	// damaged are packets that the host threw away because a header or a
	// checksum was wrong; checksums are those of them that UDP also counts
	// as drops of the socket.
	damaged   int64
	checksums int64
}

// readCounters reads them. Only a host that is this run's alone (private), as
// the lab's are, tells anything by what it threw away.
func readCounters(private bool) counters {
	var c counters
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		c.cpu = u.Utime.Nano() + u.Stime.Nano()
	}
	if !private {
		return c
	}
	mib := map[string]int64{}
	for _, name := range []string{"snmp", "netstat", "snmp6"} {
		if f, err := os.Open("/proc/self/net/" + name); err == nil {
			readMIB(f, mib)
			f.Close()
		}
	}
	c.checksums = mib["UdpInCsumErrors"] + mib["Udp6InCsumErrors"]
	// InErrors of UDP holds checksum errors, datagrams whose length is wrong,
	// and those that found no room, which are not damaged (RFC 4113).
	for _, v := range []string{"Udp", "Udp6"} {
		c.damaged += mib[v+"InErrors"] - mib[v+"RcvbufErrors"] - mib[v+"MemErrors"] + mib[v+"NoPorts"]
	}
	// RFC 4293: wrong in the header, for another address, of an unknown
	// protocol, shorter than its header says.
	for _, v := range []string{
		"IpInHdrErrors", "IpInAddrErrors", "IpInUnknownProtos", "IpExtInTruncatedPkts",
		"Ip6InHdrErrors", "Ip6InAddrErrors", "Ip6InUnknownProtos", "Ip6InTruncatedPkts",
	} {
		c.damaged += mib[v]
	}
	c.damaged += deviceDiscards()
	return c
}

func (c counters) since(before counters) counters {
	return counters{cpu: c.cpu - before.cpu, damaged: c.damaged - before.damaged, checksums: c.checksums - before.checksums}
}

// readMIB enters the kernel's counters into mib: of snmp and netstat, where a
// line of names is followed by a line of values, and of snmp6, a name and a
// value a line.
func readMIB(r io.Reader, mib map[string]int64) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		names := strings.Fields(lines.Text())
		if len(names) == 0 {
			continue
		}
		prefix, grouped := strings.CutSuffix(names[0], ":")
		if !grouped {
			if len(names) == 2 {
				mib[names[0]], _ = strconv.ParseInt(names[1], 10, 64)
			}
			continue
		}
		if !lines.Scan() {
			return
		}
		values := strings.Fields(lines.Text())
		for i := 1; i < min(len(names), len(values)); i++ {
			mib[prefix+names[i]], _ = strconv.ParseInt(values[i], 10, 64)
		}
	}
}

// deviceDiscards are frames that the host's devices delivered and nobody
// wanted: of an unknown protocol, or for another station.
func deviceDiscards() int64 {
	links, err := netlink.LinkList()
	if err != nil {
		return 0
	}
	var n int64
	for _, l := range links {
		if s := l.Attrs().Statistics; s != nil && l.Attrs().Name != "lo" {
			n += int64(s.RxDropped)
		}
	}
	return n
}
