package lesson

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netcmp/lab"
)

// State is a socket's state from some instant between two looks on, as the kernel
// names it. Times are the wall clock's.
type State struct {
	Host  string `json:"host"`
	Local uint16 `json:"local_port"`
	Peer  uint16 `json:"peer_port"` // 0: of a listening socket
	State string `json:"state"`
	After int64  `json:"after_ns"` // when the last look began that did not see it
	Since int64  `json:"since_ns"` // when the first look ended that saw it
	// With are the packets that came and went at the host meanwhile.
	With []string `json:"with"`
}

// states are the kernel's numbers (include/net/tcp_states.h).
var states = map[uint8]string{
	netlink.TCP_ESTABLISHED: "ESTABLISHED", netlink.TCP_SYN_SENT: "SYN_SENT", netlink.TCP_SYN_RECV: "SYN_RECV",
	netlink.TCP_FIN_WAIT1: "FIN_WAIT1", netlink.TCP_FIN_WAIT2: "FIN_WAIT2", netlink.TCP_TIME_WAIT: "TIME_WAIT",
	netlink.TCP_CLOSE: "CLOSE", netlink.TCP_CLOSE_WAIT: "CLOSE_WAIT", netlink.TCP_LAST_ACK: "LAST_ACK",
	netlink.TCP_LISTEN: "LISTEN", netlink.TCP_CLOSING: "CLOSING", netlink.TCP_NEW_SYN_REC: "NEW_SYN_RECV",
}

// gone is what is said of a socket that the kernel does not list any more.
const gone = "no socket"

// lookEvery is the time from one look at the sockets to the next, where every state
// is to be seen.
const lookEvery = time.Millisecond

// watch looks at a host's TCP sockets (sock_diag(7)). A goroutine of its own owns
// everything but stop and ended.
type watch struct {
	stop  chan struct{}
	ended chan struct{}
	seen  []State
	err   error
}

func (w *watch) run(h *netlink.Handle, every time.Duration) {
	defer close(w.ended)
	defer h.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	type ends struct{ local, peer uint16 }
	known := map[ends]string{}
	before := now()
	for over := false; !over && w.err == nil; {
		select {
		case <-w.stop:
			over = true // after a last look
		case <-tick.C:
		}
		began := now()
		sockets, err := h.SocketDiagTCP(unix.AF_INET)
		ended := now()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		w.err = err
		listed := map[ends]string{}
		for _, s := range sockets {
			name, ok := states[s.State]
			if !ok {
				w.err = fmt.Errorf("the kernel's TCP state %d has no name", s.State)
			}
			listed[ends{s.ID.SourcePort, s.ID.DestinationPort}] = name
		}
		for e := range known {
			if _, ok := listed[e]; !ok && err == nil {
				listed[e] = gone
			}
		}
		for e, name := range listed {
			if known[e] != name {
				known[e] = name
				w.seen = append(w.seen, State{Local: e.local, Peer: e.peer, State: name, After: before, Since: ended})
			}
		}
		before = began
	}
}

// Watch begins to look at the states of the host's sockets, once Every so often; 0 is
// lookEvery.
func (h *host) Watch(o Order, _ *Done) error {
	handle, err := netlink.NewHandle(unix.NETLINK_INET_DIAG)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watch = &watch{stop: make(chan struct{}), ended: make(chan struct{})}
	go h.watch.run(handle, cmp.Or(o.Every, lookEvery))
	return nil
}

// Watched ends that, and tells the states that were seen.
func (h *host) Watched(_ Order, d *Done) error {
	h.mu.Lock()
	w := h.watch
	h.mu.Unlock()
	close(w.stop)
	<-w.ended
	d.States = w.seen
	return w.err
}

// course is what became of a host's sockets, the listening ones left out.
func course(all []State, h lab.Host) string { return courseTo(all, h, 0) }

// courseTo is that of the connections with a port of the server's; 0: with any.
func courseTo(all []State, h lab.Host, port uint16) string {
	var names []string
	for _, s := range all {
		if s.Host == h.String() && s.Peer != 0 && (port == 0 || s.servers() == port) {
			names = append(names, s.State)
		}
	}
	return strings.Join(names, ", ")
}

// servers is the port at the server's end; 0 of a listening socket.
func (s *State) servers() uint16 {
	switch {
	case s.Peer == 0:
		return 0
	case s.Host == lab.Server.String():
		return s.Local
	}
	return s.Peer
}

// Listed is a socket as it is at an instant.
type Listed struct {
	Local, Peer uint16
	State       string
	Left        time.Duration // until the kernel's timer of a TIME_WAIT is due; 0: no such timer
	Queued      int           // bytes that were not sent, not confirmed, or not read
}

// timeWaitTimer is idiag_timer's word for it (inet_twsk_diag_fill, net/ipv4/inet_diag.c).
const timeWaitTimer = 3

// List tells of the host's TCP sockets.
func (h *host) List(_ Order, d *Done) error {
	handle, err := netlink.NewHandle(unix.NETLINK_INET_DIAG)
	if err != nil {
		return err
	}
	defer handle.Close()
	return d.call(func() error {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			sockets, err := handle.SocketDiagTCP(family)
			if err != nil {
				return err
			}
			for _, s := range sockets {
				x := Listed{
					Local: s.ID.SourcePort, Peer: s.ID.DestinationPort, State: states[s.State],
					Queued: int(s.RQueue) + int(s.WQueue),
				}
				if s.Timer == timeWaitTimer {
					x.Left = time.Duration(s.Expires) * time.Millisecond
				}
				d.Sockets = append(d.Sockets, x)
			}
		}
		return nil
	})
}

// countIn counts the sockets of connections with a port of the server's that are in a
// state.
func countIn(all []Listed, port uint16, state string) (n int) {
	for _, s := range all {
		if (s.Local == port || s.Peer == port) && s.State == state {
			n++
		}
	}
	return n
}

// timers are what the kernel's timers of sockets in TIME_WAIT still have to run.
func timers(all []Listed) (left []time.Duration) {
	for _, s := range all {
		if s.State == timeWaitState && s.Left > 0 {
			left = append(left, s.Left)
		}
	}
	return left
}

// blink is how far a packet's stamp at the device may be from the change of state
// that goes with it: a socket changes before its packet has got as far as that.
const blink = time.Millisecond

// accompany says of each change of a state which packets came and went with it.
func (x *crossed) accompany(all []State) {
	for i := range all {
		s := &all[i]
		s.With = []string{}
		client := s.Host == lab.Client.String()
		for j := range x.all {
			c := &x.all[j]
			p := c.Packet()
			if p.TCP == nil {
				continue
			}
			local, peer := p.Src.Port(), p.Dst.Port()
			at, verb := sent(c), "sent"
			if c.Up != client {
				local, peer = peer, local
				at, verb = arrived(c), "came"
			}
			if local == s.Local && peer == s.Peer && at > s.After-int64(blink) && at < s.Since+int64(blink) {
				s.With = append(s.With, p.TCP.Flags.String()+" "+verb)
			}
		}
	}
}
