package peer

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/transport"
)

// fake is a transport in memory. What becomes of each message is the test's
// to say.
type fake struct {
	properties transport.Properties
	// fate says what the path does to a message; nil delivers all.
	fate func(h message.Header) fate
	// taking is called before a message is taken; its error is Send's. nil
	// takes all.
	taking func(h message.Header) error
	// ahead is how far the server's clock seems ahead of the client's.
	ahead int64
	stats transport.Stats

	mu        sync.Mutex
	port      uint16
	listeners map[uint16]*fakeListener
}

// fate is what becomes of a message. Its zero value is: delivered.
type fate struct {
	lost, damaged bool
	copies        int           // beside the first
	delay         time.Duration // of all copies
}

// errHeld makes a Send wait until the connection is closed.
var errHeld = errors.New("held")

// heldFrom takes the messages before the n-th, and none from it on.
func heldFrom(n uint64) func(message.Header) error {
	return func(h message.Header) error {
		if h.Number >= n {
			return errHeld
		}
		return nil
	}
}

func datagrams() *fake { return &fake{properties: transport.Properties{MaxMessage: 1 << 16}} }

func stream() *fake {
	return &fake{properties: transport.Properties{Reliable: true, Ordered: true, Handshake: true, MaxMessage: 1 << 20}}
}

func (f *fake) Name() string                     { return "fake" }
func (f *fake) Properties() transport.Properties { return f.properties }

func (f *fake) Listen(_ context.Context, addr netip.AddrPort, _ transport.Config) (transport.Listener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners == nil {
		f.listeners = map[uint16]*fakeListener{}
	}
	f.port++
	l := &fakeListener{
		fake: f, addr: netip.AddrPortFrom(addr.Addr(), f.port),
		conns: make(chan *fakeConn, 1), closed: make(chan struct{}),
	}
	f.listeners[f.port] = l
	return l, nil
}

func (f *fake) Dial(_ context.Context, addr netip.AddrPort, _ transport.Config) (transport.Conn, error) {
	f.mu.Lock()
	l := f.listeners[addr.Port()]
	f.mu.Unlock()
	if l == nil {
		return nil, errors.New("fake: nobody listens")
	}
	client, server := f.pair()
	l.conns <- server
	return client, nil
}

// pair is a connection's two ends.
func (f *fake) pair() (client, server *fakeConn) {
	client = &fakeConn{fake: f, client: true, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	server = &fakeConn{fake: f, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	client.peer, server.peer = server, client
	return client, server
}

type fakeListener struct {
	fake   *fake
	addr   netip.AddrPort
	conns  chan *fakeConn
	once   sync.Once
	closed chan struct{}
}

func (l *fakeListener) Addr() netip.AddrPort { return l.addr }

func (l *fakeListener) Accept(ctx context.Context, _ netip.AddrPort) (transport.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, transport.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *fakeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

type fakeConn struct {
	fake   *fake
	client bool
	peer   *fakeConn
	once   sync.Once
	closed chan struct{}
	wake   chan struct{}

	mu    sync.Mutex
	inbox []transport.Message
	err   error // what Receive gives when the inbox is empty
}

func (c *fakeConn) Send(batch [][]byte) (int, error) {
	for i, b := range batch {
		select {
		case <-c.closed:
			return i, transport.ErrClosed
		default:
		}
		h, err := message.Parse(b)
		if err != nil {
			return i, err
		}
		if c.fake.taking != nil {
			if err := c.fake.taking(h); errors.Is(err, errHeld) {
				<-c.closed
				return i, transport.ErrClosed
			} else if err != nil {
				return i, err
			}
		}
		c.carry(h, b)
	}
	return len(batch), nil
}

func (c *fakeConn) carry(h message.Header, b []byte) {
	var f fate
	if c.fake.fate != nil {
		f = c.fake.fate(h)
	}
	if f.lost {
		return
	}
	data := append([]byte(nil), b...)
	if f.damaged {
		data[len(data)-1] ^= 1
	}
	for range 1 + f.copies {
		own := append([]byte(nil), data...) // the receiver may write over it
		if f.delay > 0 {
			time.AfterFunc(f.delay, func() { c.peer.arrive(own) })
		} else {
			c.peer.arrive(own)
		}
	}
}

func (c *fakeConn) arrive(data []byte) {
	at := clock.Now()
	if !c.client {
		at += c.fake.ahead
	}
	c.mu.Lock()
	c.inbox = append(c.inbox, transport.Message{Data: data, At: at})
	c.mu.Unlock()
	c.poke()
}

// fail makes Receive give err when all that came was received.
func (c *fakeConn) fail(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.poke()
}

func (c *fakeConn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *fakeConn) Receive(batch []transport.Message) (int, error) {
	for {
		select {
		case <-c.closed:
			return 0, transport.ErrClosed
		default:
		}
		c.mu.Lock()
		n := copy(batch, c.inbox)
		c.inbox = c.inbox[n:]
		err := c.err
		c.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		select {
		case <-c.wake:
		case <-c.closed:
		}
	}
}

func (c *fakeConn) LocalAddr() netip.AddrPort { return netip.AddrPortFrom(loopback, 9) }

func (c *fakeConn) Stats() transport.Stats {
	s := c.fake.stats
	s.SendBuffer, s.ReceiveBuffer = 1, 1
	return s
}

func (c *fakeConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		if c.fake.properties.Handshake {
			c.peer.fail(transport.ErrPeerGone)
		}
	})
	return nil
}
