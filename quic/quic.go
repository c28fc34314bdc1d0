// Package quic moves messages over QUIC (RFC 9000), in three ways: all on one
// stream, each on a stream of its own, or each in a DATAGRAM frame (RFC 9221).
//
// The protocol itself is quic-go's. What this package owes is that nothing is
// lost in silence on the way through it: what quic-go's own queues throw away is
// counted, and a connection that is closed has first brought over what a
// reliable way had taken.
package quic

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/transport/socket"
)

// MaxMessage is the largest message on a stream, a bound on what one header can
// make the receiver set aside.
const MaxMessage = 16 << 20

// MaxDatagram is the largest message in a DATAGRAM frame. The frame has to fit
// into a packet, which is 1280 bytes long before the path's MTU is known.
const MaxDatagram = 1200

// congestion is the one congestion control that quic-go has.
const congestion = "reno"

func init() {
	// quic-go would tell the standard logger that the socket's buffer is small;
	// how large it is stands in the result.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
}

// Transport makes QUIC connections that carry messages in one way.
type Transport struct {
	name       string
	properties transport.Properties
	// carry makes a connection that carries messages in this way.
	carry func(*link) transport.Conn
	// config is what this way asks of quic-go, beside what all do.
	config quicgo.Config
}

// New gives the transport "quic": all messages of a sender on one stream.
func New() transport.Transport {
	return Transport{
		name:       "quic",
		properties: transport.Properties{Reliable: true, Ordered: true, Handshake: true, Encrypted: true, Resumes: true, EarlyData: true, MaxMessage: MaxMessage, Congestion: congestion},
		carry:      newStream, config: quicgo.Config{MaxIncomingUniStreams: 1},
	}
}

// NewStreams gives the transport "quic-streams": each message on a stream of
// its own, so that none waits for another that was lost (RFC 9000 §2).
func NewStreams() transport.Transport {
	return Transport{
		name:       "quic-streams",
		properties: transport.Properties{Reliable: true, Handshake: true, Encrypted: true, Resumes: true, EarlyData: true, MaxMessage: MaxMessage, Congestion: congestion},
		carry:      newStreams, config: quicgo.Config{MaxIncomingUniStreams: streamsMax},
	}
}

// NewDatagram gives the transport "quic-datagram": each message in a DATAGRAM
// frame, which is not sent again but waits for the congestion control.
func NewDatagram() transport.Transport {
	return Transport{
		name:       "quic-datagram",
		properties: transport.Properties{Handshake: true, Encrypted: true, Resumes: true, EarlyData: true, MaxMessage: MaxDatagram, Congestion: congestion},
		carry:      newDatagram, config: quicgo.Config{EnableDatagrams: true, MaxIncomingUniStreams: -1},
	}
}

// Name is "quic", "quic-streams" or "quic-datagram".
func (t Transport) Name() string { return t.name }

// Properties say what the way promises.
func (t Transport) Properties() transport.Properties { return t.properties }

// Flow control. A window must hold what a path can: 32 MiB are 1 Gbit/s at
// 250 ms. quic-go begins small and doubles a window that the path fills.
const (
	windowInitial = 1 << 20
	windowMax     = 32 << 20
)

// leastIdle is how long a connection may be idle at the least. A peer that died is known
// of by other ways; messages may be far apart.
const leastIdle = time.Hour

// settings are what quic-go is told, of a session with that StallTimeout: a listener lets
// a handshake take so long, and Dial waits no longer.
func (t Transport) settings(stall time.Duration) *quicgo.Config {
	c := t.config
	c.HandshakeIdleTimeout, c.MaxIdleTimeout = stall, max(leastIdle, 2*stall)
	c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow = windowInitial, windowMax
	c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow = windowInitial*3/2, windowMax*3/2
	c.MaxIncomingStreams = -1
	return &c
}

// check looks at what is asked for.
func (t Transport) check(addr netip.AddrPort, c transport.Config) (network string, largest int, err error) {
	if network, err = socket.Network("udp", addr); err != nil {
		return "", 0, err
	}
	if largest, err = t.properties.Largest(c); err != nil {
		return "", 0, err
	}
	if c.Congestion != "" && c.Congestion != congestion {
		err = fmt.Errorf("%w %q: %s has %s alone", transport.ErrUnknownCongestion, c.Congestion, t.name, congestion)
	}
	return network, largest, err
}

// Listen binds a socket, and shakes hands on it with whoever comes.
func (t Transport) Listen(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Listener, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	identity, certificate, err := secure.Server(c.Resumable)
	if err != nil {
		return nil, err
	}
	h, err := newHost(ctx, network, socket.Unmap(addr))
	if err != nil {
		return nil, err
	}
	l := &Listener{way: t, host: h, certificate: certificate, largest: largest, expected: c.Accepts(), door: secure.NewDoor[*quicgo.Conn](c.Accepts())}
	l.early.largest = largest
	config := t.settings(c.Stall())
	config.GetConfigForClient = guests(config, c.From)
	var tracers []tracer
	if t.config.EnableDatagrams {
		h.quic.ConnContext = withCounters(largest)
		h.quic.Tracer = recorder{&l.early}
		tracers = append(tracers, traceAccepted)
	}
	if err := h.traceTo(config, c.Traces, tracers); err != nil {
		_ = h.release()
		return nil, err
	}
	if l.quic, err = h.listen(identity, config, c.Resumable); err == nil {
		err = h.setBuffers(c)
	}
	if err != nil {
		_ = h.release()
		return nil, err
	}
	l.working.Go(l.run)
	return l, nil
}

// Dial shakes hands; it takes one round trip (RFC 9001 §4), after which the
// connection is there and encrypted. Where a session is resumed it does not wait
// for that: messages leave with the first packets, under keys of the session
// before (0-RTT, RFC 9001 §4.6).
func (t Transport) Dial(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Conn, error) {
	network, largest, err := t.check(addr, c)
	if err != nil {
		return nil, err
	}
	identity, err := secure.Client(c.Certificate, c.Sessions)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	addr = socket.Unmap(addr)
	from, err := t.localAddr(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	h, err := newHost(ctx, network, from)
	if err != nil {
		return nil, err
	}
	config := t.settings(c.Stall())
	var counts *counters
	var tracers []tracer
	if config.EnableDatagrams {
		counts = &counters{largest: largest}
		tracers = append(tracers, counts.trace)
	}
	logged, err := secure.KeyLog(identity, c.Traces.KeyLog)
	if err != nil {
		_ = h.release()
		return nil, err
	}
	if err := h.traceTo(config, c.Traces, tracers); err != nil {
		logged()
		_ = h.release()
		return nil, err
	}
	// Without a ticket DialEarly is Dial.
	session, err := h.quic.DialEarly(ctx, net.UDPAddrFromAddrPort(addr), identity, config)
	connected := clock.Now()
	if err == nil {
		err = h.setBuffers(c)
	}
	if err != nil {
		logged()
		_ = h.release()
		if e := ctx.Err(); e != nil {
			err = e
		}
		return nil, t.late(err, addr)
	}
	l := newLink(session, h, counts, largest)
	l.dialled(connected, logged)
	return t.carry(l), nil
}

func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return socket.Unmap(udp.AddrPort())
}

// shortest is what every message is as long as at the least.
const shortest = message.HeaderSize
