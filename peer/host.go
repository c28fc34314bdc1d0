package peer

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// counters are what an end's process and host have used and thrown away so
// far.
type counters struct {
	cpu int64 // user and system time of the process, ns
	// damaged are packets that the host threw away because a header or a
	// checksum was wrong; overflowed are UDP's that found no room in a socket.
	damaged    int64
	overflowed int64
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
	c.damaged, c.overflowed = discards(mib)
	c.damaged += deviceDiscards()
	return c
}

func (c counters) since(before counters) counters {
	return counters{cpu: c.cpu - before.cpu, damaged: c.damaged - before.damaged, overflowed: c.overflowed - before.overflowed}
}

// discards sums up what IP and UDP threw away as damaged, and what found no room.
// Errors of the IP header's checksum are among InHdrErrors, those of UDP's among
// InErrors.
func discards(mib map[string]int64) (damaged, overflowed int64) {
	// InErrors of UDP holds checksum errors, datagrams whose length is wrong,
	// and those that found no room, which are not damaged (RFC 4113).
	for _, v := range []string{"Udp", "Udp6"} {
		full := mib[v+"RcvbufErrors"] + mib[v+"MemErrors"]
		damaged += mib[v+"InErrors"] - full + mib[v+"NoPorts"]
		overflowed += full
	}
	// RFC 4293: wrong in the header, for another address, of an unknown
	// protocol, shorter than its header says. A packet for another address
	// that there is no route to counts as InNoRoutes alone.
	for _, v := range []string{
		"IpInHdrErrors", "IpInAddrErrors", "IpExtInNoRoutes", "IpInUnknownProtos", "IpExtInTruncatedPkts",
		"Ip6InHdrErrors", "Ip6InAddrErrors", "Ip6InNoRoutes", "Ip6InUnknownProtos", "Ip6InTruncatedPkts",
	} {
		damaged += mib[v]
	}
	return damaged, overflowed
}

// readMIB enters the kernel's counters into mib: of snmp and netstat, where a
// line of names is followed by a line of values, and of snmp6, a name and a
// value a line. What is neither is left out.
func readMIB(r io.Reader, mib map[string]int64) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	enter := func(name, value string) {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			mib[name] = n
		}
	}
	var names []string // of a group whose values are yet to come
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		prefix, grouped := strings.CutSuffix(fields[0], ":")
		switch {
		case !grouped:
			if len(fields) == 2 {
				enter(fields[0], fields[1])
			}
			names = nil
		case names != nil && names[0] == fields[0]:
			for i := 1; i < min(len(names), len(fields)); i++ {
				enter(prefix+names[i], fields[i])
			}
			names = nil
		default:
			names = fields
		}
	}
}

// deviceDiscards are frames that the host's devices delivered and nobody
// wanted: of an unknown protocol, or for another station. The loopback device
// has none that a path could have damaged.
func deviceDiscards() int64 {
	// The library's own LinkList does not read the last of the counters.
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	links, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return 0
	}
	var n int64
	for _, b := range links {
		if len(b) < unix.SizeofIfInfomsg || nl.DeserializeIfInfomsg(b).Flags&unix.IFF_LOOPBACK != 0 {
			continue
		}
		attrs, err := nl.ParseRouteAttr(b[unix.SizeofIfInfomsg:])
		if err != nil {
			continue
		}
		for _, a := range attrs {
			if a.Attr.Type == unix.IFLA_STATS64 {
				n += unwanted(a.Value)
			}
		}
	}
	return n
}

// Places in struct rtnl_link_stats64 (linux/if_link.h), an array of u64 in all
// but name. The kernel counts a frame in one of these two alone: rx_dropped
// has those without a handler for their protocol, rx_otherhost_dropped, there
// since Linux 5.19, those whose address is of another station.
const (
	rxDroppedAt          = 6 * 8
	rxOtherhostDroppedAt = 24 * 8
)

// unwanted reads a device's statistics.
func unwanted(stats []byte) int64 {
	var n uint64
	for _, at := range []int{rxDroppedAt, rxOtherhostDroppedAt} {
		if len(stats) >= at+8 {
			n += binary.NativeEndian.Uint64(stats[at:])
		}
	}
	return int64(n)
}
