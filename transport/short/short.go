// Package short carries each message over a connection of its own, of any transport
// that has connections: a call for every sentence. What that costs is set-up, each
// time, and it is in each message's delay.
package short

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// Transport is another one, a connection a message.
type Transport struct {
	transport.Transport
	answered bool
}

// New makes a transport of one that has connections and is reliable. answered says
// that each message is answered, over its connection.
func New(t transport.Transport, answered bool) Transport {
	return Transport{Transport: t, answered: answered}
}

// Fits says whether a transport of these properties can be New's.
func Fits(p transport.Properties) bool { return p.Handshake && p.Reliable }

// Properties are those of the transport below, but that connections overtake each
// other.
func (t Transport) Properties() transport.Properties {
	p := t.Transport.Properties()
	p.Ordered, p.PerMessage = false, true
	return p
}

// Listen opens a listener that takes any number of connections.
func (t Transport) Listen(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Listener, error) {
	c.Connections = math.MaxInt32
	l, err := t.Transport.Listen(ctx, addr, c)
	if err != nil {
		return nil, err
	}
	mine := listener{Listener: l}
	if x, ok := l.(transport.Certified); ok {
		return certified{mine, x}, nil
	}
	return mine, nil
}

type listener struct{ transport.Listener }

type certified struct {
	listener
	transport.Certified
}

// Accept gives, at once, what takes all connections from from.
func (l listener) Accept(ctx context.Context, from netip.AddrPort) (transport.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newServer(l.Listener, from), nil
}

// Dial gives, at once, what connects anew for each message.
func (t Transport) Dial(ctx context.Context, addr netip.AddrPort, c transport.Config) (transport.Conn, error) {
	// A connected socket knows from where it would be; nothing is sent.
	probe, err := (&net.Dialer{}).DialContext(ctx, "udp", addr.String())
	if err != nil {
		return nil, err
	}
	local := netip.AddrPortFrom(probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), 0)
	if err := probe.Close(); err != nil {
		return nil, err
	}
	most := atOnce
	if c.Bulk {
		most = atOnceBulk
	}
	return newClient(local, t.answered, most, func(ctx context.Context) (transport.Conn, error) {
		ctx, enough := context.WithTimeout(ctx, c.Stall())
		defer enough()
		return t.Transport.Dial(ctx, addr, c)
	}), nil
}

// arrival is a message that has come.
type arrival struct {
	data []byte
	at   int64
}

// inbox is where the messages of all connections come together.
type inbox struct {
	arrivals chan arrival
	closed   <-chan struct{}
}

// inboxMax is how many messages wait to be received; who has more waits with them.
const inboxMax = 1024

func newInbox(closed <-chan struct{}) inbox {
	return inbox{arrivals: make(chan arrival, inboxMax), closed: closed}
}

// put adds what a connection's Receive gave, and says false when nobody wants it.
func (b inbox) put(m transport.Message) bool {
	select {
	case b.arrivals <- arrival{append([]byte(nil), m.Data...), m.At}:
		return true
	case <-b.closed:
		return false
	}
}

// take fills batch from its start with what is there, at least one.
func (b inbox) take(batch []transport.Message, failed <-chan struct{}, why func() error) (n int, err error) {
	for ; n < len(batch); n++ {
		if n > 0 && len(b.arrivals) == 0 {
			break
		}
		select {
		case a := <-b.arrivals:
			batch[n] = transport.Message{Data: a.data, At: a.at}
		case <-b.closed:
			return n, transport.ErrClosed
		case <-failed:
			if len(b.arrivals) == 0 {
				return n, why()
			}
			n--
		}
	}
	return n, nil
}

// failure is the first error of a connection's, of which others will be more.
type failure struct {
	once   sync.Once
	failed chan struct{} // closed with it
	err    error
}

func newFailure() failure { return failure{failed: make(chan struct{})} }

func (f *failure) fail(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.failed)
	})
}

// why is the failure; nil before.
func (f *failure) why() error {
	select {
	case <-f.failed:
		return f.err
	default:
		return nil
	}
}

// explain adds to an error what it means for somebody who connects often.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: the client has no port left: each connection that it ends engages one for a minute (net.ipv4.ip_local_port_range, TIME_WAIT)", err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w: more connections at once than this process may have files (ulimit -n)", err)
	}
	return err
}
