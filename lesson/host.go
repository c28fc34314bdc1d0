package lesson

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/rpc"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/lateness"
)

// On each host of a lesson runs one program, which does with sockets what it is
// told, one system call at a time: the lesson's script stands in one place, and
// says what both hosts do.

const (
	hostRole = "lesson-host"
	lineFD   = 3
	service  = "Host"
)

// Roles are the parts that this program plays on a lab's hosts; hand them to
// lab.Dispatch.
func Roles() map[string]func() int {
	return map[string]func() int{hostRole: hostMain}
}

func hostMain() int {
	// The terminal's signals are for the owner, whose end is the lab's.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM)
	f := os.NewFile(lineFD, "owner")
	line, err := net.FileConn(f)
	f.Close()
	server := rpc.NewServer()
	if err == nil {
		err = server.RegisterName(service, &host{sockets: map[int]int{}, secure: newSecured(), lateness: lateness.Start(lateness.Period)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netcmp:", err)
		return 1
	}
	server.ServeConn(line)
	return 0
}

// Order is what a host is to do, as net/rpc carries it.
type Order struct {
	Proto  string // of a socket to be opened: "tcp" or "udp"
	Port   uint16 // that it is bound to; 0: the kernel's choice, when it connects
	Reuse  bool   // a port that a connection before has not quite left (SO_REUSEADDR)
	Family family // of IP
	TTL    int    // of what it sends, of IPv6 the hop limit; 0: the system's
	Node   int    // of the chain, that it is in; 0: the host's own
	Socket int    // that something is done with
	To     netip.AddrPort
	N      int // bytes; of Listen the backlog; of Speak and Hear messages of Size bytes
	Size   int
	Every  time.Duration // between two messages, or two looks
	Pieces int           // that a question is sent in; 0: one
	Answer int           // bytes of an answer
	Calls  int           // that are made or taken
	// Level and Option are a socket's option, which is set to N.
	Level, Option int
	Text          string        // that is waited for
	Args          []string      // of a program
	Keep          bool          // a connection, for more
	Patience      time.Duration // 0: patience
	// Certificate is what an encrypted transport's client is to trust (DER).
	Certificate []byte
	Since       int64  // an instant of clock.Now, of Late
	Resume      bool   // the session of a connection before
	Short       bool   // a connection for each message
	Setting     string // of the kernel's, as its file below /proc/sys
	Value       string // that it is to have
}

// Done is what came of it. Times are CLOCK_REALTIME, ns, as those of packets.
type Done struct {
	Socket       int // that was opened
	N            int // bytes
	Began, Ended int64
	TTL          int    // of the datagram that was received, as it came
	Errno        string // of the system call, by its name: "ECONNREFUSED"; "" if it did not fail
	Times        []int64
	States       []State
	Certificate  []byte // of a listener's
	Resumed      bool   // a connection has resumed the session of another
	Heard        []Request
	Text         string // what came of it, in words
	Value        string // of a setting, before it was changed
	Sockets      []Listed
	Late         time.Duration // that this machine ran the host's program, at the most
	CPU          time.Duration // that the host's program has used for it
	Memory       int64         // bytes
}

// patience bounds how long a host waits for anything.
const patience = 10 * time.Second

// host does as it is told. Each order has a goroutine of its own.
type host struct {
	mu      sync.Mutex
	last    int
	sockets map[int]int // descriptors, by the number that the owner knows
	watch   *watch
	nodes   []netns.NsHandle // of the chain, this host's own first
	secure  secured
	web     web
	talk    talk

	lateness *lateness.Watch
}

// Late says how late this machine ran the host's program since an instant.
func (h *host) Late(o Order, d *Done) error {
	if t := h.lateness.Tail(o.Since); t != nil {
		d.Late = time.Duration(t.Max)
	}
	return nil
}

func now() int64 {
	_, wall := clock.Both()
	return wall
}

// call makes a system call, and notes when and with what outcome.
func (d *Done) call(f func() error) error {
	d.Began = now()
	err := f()
	d.Ended = now()
	var errno syscall.Errno
	if errors.As(err, &errno) {
		d.Errno = unix.ErrnoName(errno)
		return nil
	}
	return err
}

func (h *host) add(fd int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.sockets[h.last] = fd
	return h.last
}

func (h *host) fd(o *Order) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fd, ok := h.sockets[o.Socket]
	if !ok {
		return 0, fmt.Errorf("there is no socket %d", o.Socket)
	}
	return fd, nil
}

// with calls f with the order's socket.
func (h *host) with(o *Order, d *Done, f func(fd int) error) error {
	fd, err := h.fd(o)
	if err != nil {
		return err
	}
	return d.call(func() error { return f(fd) })
}

// await waits until something can be done with a socket.
func await(fd int, events int16, o *Order) error {
	wait := o.Patience
	if wait == 0 {
		wait = patience
	}
	deadline := clock.Now() + int64(wait)
	for {
		left := max(deadline-clock.Now(), 0)
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(fds, int((left+int64(time.Millisecond)-1)/int64(time.Millisecond)))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n > 0:
			return nil
		case left == 0:
			return unix.EAGAIN // as a socket with SO_RCVTIMEO says it
		}
	}
}

// Open opens a socket, and binds it where it is told a port.
func (h *host) Open(o Order, d *Done) error {
	kind := unix.SOCK_STREAM
	if o.Proto == "udp" {
		kind = unix.SOCK_DGRAM
	}
	return d.call(func() error {
		domain := [...]int{unix.AF_INET, unix.AF_INET6}[o.Family]
		fd := -1
		err := h.at(o.Node, func() (err error) {
			fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			return err
		})
		if err != nil {
			return err
		}
		d.Socket = h.add(fd)
		level, tell, set := unix.IPPROTO_IP, unix.IP_RECVTTL, unix.IP_TTL
		if o.Family == v6 {
			level, tell, set = unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, unix.IPV6_UNICAST_HOPS
		}
		if err := unix.SetsockoptInt(fd, level, tell, 1); err != nil {
			return err
		}
		if o.TTL != 0 {
			if err := unix.SetsockoptInt(fd, level, set, o.TTL); err != nil {
				return err
			}
		}
		if o.Proto == "tcp" {
			// What is said is to leave when it is said (RFC 896 is another lesson).
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
				return err
			}
		}
		if o.Reuse {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
				return err
			}
		}
		if o.Port == 0 {
			return nil
		}
		return unix.Bind(fd, sockaddr(netip.AddrPortFrom(o.Family.anywhere(), o.Port)))
	})
}

// anywhere is every address of the host's.
func (f family) anywhere() netip.Addr {
	return [...]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[f]
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// Listen makes a socket one that others connect to.
func (h *host) Listen(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error { return unix.Listen(fd, o.N) })
}

// Connect connects a socket and waits until it is connected.
func (h *host) Connect(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error { return connect(fd, &o) })
}

func connect(fd int, o *Order) error {
	err := unix.Connect(fd, sockaddr(o.To))
	if !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	if err := await(fd, unix.POLLOUT, o); err != nil {
		return err
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = syscall.Errno(n)
	}
	return err
}

// Accept takes a connection from those who connect.
func (h *host) Accept(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error {
		if err := await(fd, unix.POLLIN, &o); err != nil {
			return err
		}
		peer, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == nil {
			d.Socket = h.add(peer)
		}
		return err
	})
}

// Send sends N bytes in one call.
func (h *host) Send(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) (err error) {
		d.N, err = unix.SendmsgN(fd, make([]byte, o.N), nil, nil, unix.MSG_NOSIGNAL)
		return err
	})
}

// Receive waits for something to read and reads it, at most N bytes. That there is
// nothing the kernel says itself (EAGAIN).
func (h *host) Receive(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error {
		if err := await(fd, unix.POLLIN, &o); err != nil && !errors.Is(err, unix.EAGAIN) {
			return err
		}
		beside := make([]byte, unix.CmsgSpace(4))
		n, size, _, _, err := unix.Recvmsg(fd, make([]byte, o.N), beside, 0)
		d.N = max(n, 0)
		if err != nil {
			return err
		}
		messages, err := unix.ParseSocketControlMessage(beside[:size])
		for _, m := range messages {
			ttl := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL
			limit := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
			if ttl || limit {
				d.TTL = int(binary.NativeEndian.Uint32(m.Data))
			}
		}
		return err
	})
}

// Shutdown says that nothing more will be sent; what comes is still read.
func (h *host) Shutdown(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// Close closes a socket.
func (h *host) Close(o Order, d *Done) error {
	return h.with(&o, d, unix.Close)
}

// Abort closes a socket at once, whatever is under way: SO_LINGER with no time
// (socket(7)).
func (h *host) Abort(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error {
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return err
		}
		return unix.Close(fd)
	})
}
