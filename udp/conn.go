package udp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// How many messages one system call hands over, and how many datagrams one takes,
// at most.
const (
	sendMax    = 256
	receiveMax = 64
)

// Conn is a connected socket. The goroutine that sends owns the sender, the
// one that receives the receiver; Stats and Close may come from any.
type Conn struct {
	socket  io.Closer
	raw     syscall.RawConn
	local   netip.AddrPort
	largest int
	most    int // messages that one system call hands over

	sender   sender
	receiver receiver

	closed  atomic.Bool
	strays  atomic.Int64
	refused atomic.Int64

	counting sync.Mutex
	last     transport.Stats
	final    bool // last stays: the socket is gone
}

func newConn(udp *net.UDPConn, remote netip.AddrPort, config transport.Config, largest int) (*Conn, error) {
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &Conn{
		socket: udp, raw: raw, largest: largest,
		receiver: receiver{peer: newPeer(remote), session: config.Session, largest: largest, turns: config.Turns},
		most:     sendMax,
	}
	if c.receiver.most = receiveMax; config.NoBatch {
		c.most, c.receiver.most = 1, 1
	}
	// Connecting a socket that was bound to all addresses has given it one.
	if e := raw.Control(func(fd uintptr) {
		var sa unix.Sockaddr
		if sa, err = unix.Getsockname(int(fd)); err == nil {
			c.local = concrete(sa, addrPort(udp.LocalAddr()))
		}
		if config.Bulk && !config.NoBatch && remote.Addr().IsLoopback() && ask(int(fd)) {
			c.receiver.whole = new(wholeTrains)
		}
		if !config.Bulk { // of what comes as fast as it can, the delay is that of its own queues
			c.receiver.stamps = askStamps(int(fd))
		}
	}); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	if config.Turns {
		f, err := socket.Turns(udp)
		if err != nil {
			return nil, err
		}
		if c.raw, err = f.SyscallConn(); err != nil {
			_ = f.Close()
			return nil, err
		}
		c.socket = f
	}
	c.sender.init(config.Turns)
	c.Stats()
	return c, nil
}

// concrete is the address sa, with the zone that bound knows by name.
func concrete(sa unix.Sockaddr, bound netip.AddrPort) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			zone := bound.Addr().Zone()
			if zone == "" {
				if device, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
					zone = device.Name
				}
			}
			addr = addr.WithZone(zone)
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	default:
		return bound
	}
}

// LocalAddr is this end's address.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// Close closes the socket. What was sent is on its way already; what was not
// yet received is lost.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.counting.Lock()
	defer c.counting.Unlock()
	c.refresh()
	c.final = true
	return c.socket.Close()
}

// why translates the error of waiting for the socket.
func (c *Conn) why(err error) error {
	if c.closed.Load() || errors.Is(err, net.ErrClosed) {
		return transport.ErrClosed
	}
	return err
}

// fromPath tells the errors that an ICMP message leaves behind on a connected
// socket (icmp_err_convert in net/ipv4/icmp.c, tab_unreach in net/ipv6). The
// kernel hands one to the next call, whatever that is, and forgets it.
func fromPath(err syscall.Errno) bool {
	switch err {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET,
		unix.ENOPROTOOPT, unix.EPROTO, unix.EACCES, unix.EOPNOTSUPP:
		return true
	}
	return false
}
