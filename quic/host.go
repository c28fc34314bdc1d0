package quic

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/transport"
	"netcmp/transport/socket"
)

// host is a UDP socket and the QUIC on it, which a listener shares with the
// connections that it accepted. The last that lets go closes both.
type host struct {
	udp  *net.UDPConn
	quic *quicgo.Transport

	mu    sync.Mutex
	users int

	tracing sync.WaitGroup // files that are being written
}

// newHost binds a socket; it has one user.
func newHost(ctx context.Context, network string, addr netip.AddrPort) (*host, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	udp := pc.(*net.UDPConn)
	return &host{udp: udp, quic: &quicgo.Transport{Conn: udp}, users: 1}, nil
}

// acceptor is a listener of quic-go's: one that gives connections away when their
// handshake is done, or before.
type acceptor interface {
	Accept(ctx context.Context) (*quicgo.Conn, error)
	Close() error
}

// listen shakes hands with whoever comes. Early, a connection is there before its
// handshake is done, and what a client sent with its first packets is taken.
func (h *host) listen(identity *tls.Config, config *quicgo.Config, early bool) (acceptor, error) {
	if early {
		config.Allow0RTT = true
		return h.quic.ListenEarly(identity, config)
	}
	return h.quic.Listen(identity, config)
}

// setBuffers makes the socket's buffers as large as asked for. quic-go has set
// them, too, by now, and what was not asked for is as it wants it (7 MiB).
func (h *host) setBuffers(c transport.Config) error {
	return h.control(func(fd int) error { return socket.SetBuffers(fd, c.SendBuffer, c.ReceiveBuffer) })
}

func (h *host) control(f func(fd int) error) error {
	raw, err := h.udp.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// buffers reads the sizes of the socket's buffers and how many datagrams it has
// dropped.
func (h *host) buffers() (send, receive int, drops *int64) {
	_ = h.control(func(fd int) error {
		send, receive = socket.Buffers(fd)
		if n, ok := socket.Drops(fd); ok {
			drops = new(int64(n))
		}
		return nil
	})
	return send, receive, drops
}

// use is one user more; false if there is none left to share with.
func (h *host) use() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users == 0 {
		return false
	}
	h.users++
	return true
}

// release is one user less.
func (h *host) release() error {
	h.mu.Lock()
	h.users--
	last := h.users == 0
	h.mu.Unlock()
	if !last {
		return nil
	}
	err := h.quic.Close()
	if e := h.udp.Close(); err == nil {
		err = e
	}
	h.tracing.Wait()
	return err
}
