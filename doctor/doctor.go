// Package doctor finds out what this machine can do, by trying it, and says how
// to mend what it cannot.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/lab"
	"netcmp/netem"
	"netcmp/netem/tc"
	"netcmp/pacer"
	"netcmp/result"
)

// State is how a thing stands.
type State string

// The states.
const (
	Good    State = "good"
	Limited State = "limited" // netcmp works, less well
	Missing State = "missing" // a part of netcmp does not work
)

// Check is one thing that was tried.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"` // what to do, if it is not good
	Needs bool   `json:"needed"`         // without it netcmp run has only --engine none
}

// Roles are the parts that this program plays on a lab's host; hand them to
// lab.Dispatch.
func Roles() map[string]func() int {
	return map[string]func() int{"netem-probe": probeNetem, "path-probe": probePath}
}

// Examine tries everything; it takes about a second.
func Examine(ctx context.Context) []Check {
	checks := []Check{machine()}
	l, err := lab.Start(ctx, lab.Config{})
	checks = append(checks, namespaces(err))
	if err == nil {
		defer l.Close()
		checks = append(checks, path(ctx), kernelNetem(ctx, l))
	}
	return append(checks, tun(), timers(), clockSource(), buffers(), offloads(), congestion())
}

func machine() Check {
	c := Check{Name: "machine", State: Good}
	var u unix.Utsname
	_ = unix.Uname(&u)
	c.Found = fmt.Sprintf("%s %s, %s, %d CPUs", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), runtime.GOARCH, runtime.NumCPU())
	if runtime.NumCPU() < 2 {
		c.State, c.Mend = Limited, "sender, path and receiver share one CPU: expect delay errors; use two or more"
	}
	return c
}

func namespaces(err error) Check {
	c := Check{Name: "lab", State: Good, Needs: true}
	switch u := (*lab.UnsupportedError)(nil); {
	case err == nil && os.Geteuid() == 0:
		c.Found = "two hosts and a path, as root"
	case err == nil:
		c.Found = "two hosts and a path, in a user namespace: no root needed"
	case errors.As(err, &u):
		c.State, c.Found, c.Mend = Missing, u.Missing, u.Mend
	default:
		c.State, c.Found, c.Mend = Missing, err.Error(), "use --engine none, which measures over loopback"
	}
	return c
}

// delayed is the delay that path measures.
const delayed = 5 * time.Millisecond

// path measures a round trip through the emulator: a TCP connection to a
// closed port is refused after one.
func path(ctx context.Context) Check {
	c := Check{Name: "path", State: Good, Needs: true}
	i := netem.Impairment{Delay: delayed}
	l, err := lab.Start(ctx, lab.Config{Path: netem.Path{Up: i, Down: i}})
	if err != nil {
		c.State, c.Found = Missing, err.Error()
		return c
	}
	defer l.Close()
	p, err := l.Run(ctx, lab.Client, lab.Self("path-probe"))
	var link result.Link
	if err == nil {
		p.Wait()
		link, _, err = l.Link(ctx, 0)
	}
	switch {
	case err != nil:
		c.State, c.Found = Missing, err.Error()
	case link.Up.Delivered == 0 || link.Down.Delivered == 0:
		c.State, c.Found = Missing, "packets do not come through"
		c.Mend = "a firewall may look at the lab's packets (nftables, a security module); or use --engine none"
	default:
		late := time.Duration(max(link.Up.DelayErrorNS.P50, link.Down.DelayErrorNS.P50))
		c.Found = fmt.Sprintf("the emulator carries packets; a delay of %v is %v too long (p50)", delayed, late)
	}
	return c
}

// probePath runs on a lab's client: it exchanges a few packets with the server.
func probePath() int {
	for range 20 {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(lab.Server.Addr().String(), "9"), time.Second)
		if err == nil {
			c.Close()
		}
	}
	return 0
}

// probeNetem runs on a lab's host: it puts netem on its device.
func probeNetem() int {
	link, err := net.InterfaceByName("eth0")
	if err == nil {
		err = tc.Install(link.Index, netem.Impairment{Delay: time.Microsecond})
	}
	if err != nil {
		return 1
	}
	return 0
}

func kernelNetem(ctx context.Context, l *lab.Lab) Check {
	c := Check{Name: "sch_netem", State: Good, Found: "the kernel has netem"}
	p, err := l.Run(ctx, lab.Client, lab.Self("netem-probe"))
	if err != nil || p.Wait().Code != 0 {
		c.State, c.Found = Limited, "the kernel has no netem"
		c.Mend = "not needed for runs: the emulator does the same; for --engine kernel and netem apply: modprobe sch_netem, or a kernel with CONFIG_NET_SCH_NETEM"
	}
	return c
}

func tun() Check {
	c := Check{Name: "tun", State: Good, Found: "/dev/net/tun opens"}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		c.Found = "/dev/net/tun does not open; not needed: the path runs on packet sockets"
		return c
	}
	f.Close()
	c.Found += "; not needed: the path runs on packet sockets"
	return c
}

// timers measures how late waits of a millisecond end.
func timers() Check {
	const n = 200
	w := pacer.New()
	defer w.Close()
	late := make([]int64, n)
	next := clock.Now()
	for i := range late {
		next += int64(time.Millisecond)
		late[i] = w.Until(next, nil, nil) - next
	}
	slices.Sort(late)
	p50, p99 := time.Duration(late[n/2]), time.Duration(late[n*99/100])
	c := Check{Name: "timers", State: Good, Found: fmt.Sprintf("a wait of 1 ms ends late by %v (p50), %v (p99)", p50, p99)}
	if p50 > 20*time.Microsecond {
		c.State, c.Mend = Limited, "something else keeps the CPUs busy, or they are shared: end it, or measure on an idle machine"
	}
	return c
}

func clockSource() Check {
	c := Check{Name: "clock", State: Good, Found: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")}
	begun := clock.Now()
	const n = 10000
	for range n {
		clock.Now()
	}
	took := (clock.Now() - begun) / n
	c.Found = fmt.Sprintf("%s, %d ns a reading", c.Found, took)
	if took > 500 {
		c.State, c.Mend = Limited, "reading the clock takes a system call: prefer the clock source tsc or kvm-clock"
	}
	return c
}

const wantedBuffer = 4 << 20

func buffers() Check {
	c := Check{Name: "buffers", State: Good}
	receive, send := read("/proc/sys/net/core/rmem_max"), read("/proc/sys/net/core/wmem_max")
	c.Found = fmt.Sprintf("net.core.rmem_max %s, wmem_max %s", receive, send)
	var n int
	if _, err := fmt.Sscan(receive, &n); err == nil && n < wantedBuffer {
		c.State = Limited
		c.Mend = fmt.Sprintf("bursts over UDP may overflow the receiver's socket: sysctl -w net.core.rmem_max=%d", wantedBuffer)
	}
	return c
}

// offloads sends a train of messages over loopback, to a socket that gets it in
// pieces and to one that gets it whole.
func offloads() Check {
	c := Check{Name: "udp offload", State: Good}
	has := func(whole bool) string {
		if trainComes(whole) {
			return "yes"
		}
		c.State, c.Mend = Limited, "many small messages over UDP take a system call for a batch, and the way through the kernel each; Linux 4.18 has UDP_SEGMENT, 5.0 UDP_GRO"
		return "no"
	}
	c.Found = fmt.Sprintf("segmentation (UDP_SEGMENT) %s, coalescing (UDP_GRO) %s", has(false), has(true))
	return c
}

// trainComes sends three messages as one datagram that the kernel is to cut, and says
// whether they come as they should: each by itself, or, whole, all at once.
func trainComes(whole bool) bool {
	const messages, size = 3, 100
	from, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(from)
	to, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(to)
	if whole && unix.SetsockoptInt(to, unix.SOL_UDP, unix.UDP_GRO, 1) != nil {
		return false
	}
	patience := unix.NsecToTimeval(int64(time.Second))
	err = errors.Join(
		unix.Bind(to, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.SetsockoptTimeval(to, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, size),
	)
	if err != nil {
		return false
	}
	addr, err := unix.Getsockname(to)
	if err != nil || unix.Sendto(from, make([]byte, messages*size), 0, addr) != nil {
		return false
	}
	want := size
	if whole {
		want *= messages
	}
	n, _, err := unix.Recvfrom(to, make([]byte, 2*messages*size), 0)
	return err == nil && n == want
}

func congestion() Check {
	available := read("/proc/sys/net/ipv4/tcp_available_congestion_control")
	c := Check{Name: "congestion", State: Good, Found: fmt.Sprintf("%s (default %s)", available, read("/proc/sys/net/ipv4/tcp_congestion_control"))}
	if !slices.Contains(strings.Fields(available), "cubic") {
		c.State, c.Mend = Limited, "cubic, the usual one, is not there: modprobe tcp_cubic"
	}
	return c
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
