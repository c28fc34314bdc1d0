package quic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/clock"
	"netcmp/result"
	"netcmp/transport"
)

// farewell is the application's error code of a connection that ends in order.
const farewell quicgo.ApplicationErrorCode = 0

// linger is how long Close waits for a peer that does not take what is left.
const linger = 3 * time.Second

// past is a deadline that has gone by.
var past = time.Unix(1, 0)

// link is what the connections of all ways have in common. Its methods may be
// called from any goroutine.
type link struct {
	session *quicgo.Conn
	host    *host
	counts  *counters // nil but for datagrams
	largest int
	// See transport.Stats; both are 0 at the end that accepted.
	connected int64
	secured   atomic.Int64
	rejected  atomic.Bool    // what was sent before the handshake was done is lost
	shaking   sync.WaitGroup // whoever waits for the handshake's end

	// ended ends with Close, before anything else does.
	ended   context.Context
	end     context.CancelFunc
	closed  atomic.Bool
	closing sync.Once

	sending   sync.Mutex // held by Send, and by Close to see it gone
	early     int        // bytes sent before the handshake was done; of the goroutine that sends
	receiving sync.Mutex // held by Receive, and by Close to see it gone

	counting sync.Mutex
	last     transport.Stats
	final    bool // last stays: the socket is gone
}

func newLink(session *quicgo.Conn, h *host, counts *counters, largest int) *link {
	l := &link{session: session, host: h, counts: counts, largest: largest}
	l.ended, l.end = context.WithCancel(context.Background())
	return l
}

// dialled begins a connection that this end has dialled, which could send from
// the instant connected on. done is called when its handshake is over.
func (l *link) dialled(connected int64, done func()) {
	l.connected = connected
	select {
	case <-l.session.HandshakeComplete():
		done()
		l.secured.Store(connected)
		// If what was to be early was refused before there was any, nothing is lost.
		_, _ = l.session.NextConnection(l.ended)
		return
	default:
	}
	l.shaking.Go(func() {
		defer done()
		select {
		case <-l.session.HandshakeComplete():
		case <-l.session.Context().Done():
			return
		}
		l.secured.Store(clock.Now())
		if !l.session.ConnectionState().Used0RTT {
			l.rejected.Store(true)
			_ = l.session.CloseWithError(farewell+2, "0-RTT rejected")
		}
	})
}

// errRejected is of a connection whose early data the listener did not take.
var errRejected = fmt.Errorf("%w: it did not take the early data (0-RTT rejected)", transport.ErrPeerGone)

// LocalAddr is this end's address.
func (l *link) LocalAddr() netip.AddrPort { return addrPort(l.session.LocalAddr()) }

// why translates an error of quic-go's.
func (l *link) why(err error) error {
	switch {
	case err == nil:
		return nil
	case l.closed.Load():
		return transport.ErrClosed
	case l.rejected.Load():
		return errRejected
	case errors.Is(err, quicgo.Err0RTTRejected):
		l.rejected.Store(true) // streams are told before the handshake is done
		return errRejected
	case errors.Is(err, io.EOF):
		return transport.ErrPeerGone
	}
	var (
		reset  *quicgo.StreamError
		ended  *quicgo.ApplicationError
		broken *quicgo.TransportError
		idle   *quicgo.IdleTimeoutError
	)
	// quic-go tells streams of a connection's end before it tells its context.
	if errors.As(err, &reset) || errors.As(err, &ended) || errors.As(err, &broken) || errors.As(err, &idle) ||
		l.session.Context().Err() != nil {
		return fmt.Errorf("%w: %w", transport.ErrPeerGone, err)
	}
	return err
}

// shut ends the connection: whoever sends or receives is woken and seen gone,
// rest gives the peer what it does not have yet, and then nothing is left.
func (l *link) shut(wake func(), rest func() error) (err error) {
	l.closing.Do(func() {
		l.closed.Store(true)
		l.end()
		wake()
		l.sending.Lock()
		l.sending.Unlock() //nolint:staticcheck // a barrier, not a critical section
		l.receiving.Lock()
		l.receiving.Unlock() //nolint:staticcheck // likewise
		err = rest()
		l.part()
		l.shaking.Wait()

		l.counting.Lock()
		defer l.counting.Unlock()
		l.refresh()
		l.final = true
		err = errors.Join(err, l.host.release())
	})
	return err
}

// part ends the connection in order. Before the handshake is done the peer would not be
// told that it was: in its packets an application's code may not stand (RFC 9000
// §10.2.3). It comes to its end with what is under way, or not at all.
func (l *link) part() {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-l.session.HandshakeComplete():
	case <-l.session.Context().Done():
	case <-timer.C:
	}
	_ = l.session.CloseWithError(farewell, "")
}

// await waits until the peer has ended the connection, as it does when it has
// everything, but not for long.
func (l *link) await() error {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.session.Context().Done():
	}
	err := context.Cause(l.session.Context())
	if ended := (*quicgo.ApplicationError)(nil); errors.As(err, &ended) && ended.ErrorCode == farewell {
		return nil
	}
	return fmt.Errorf("%w, and may not have everything: %w", transport.ErrPeerGone, err)
}

// Stats asks QUIC and the socket; after Close it gives what was last known.
func (l *link) Stats() transport.Stats {
	l.counting.Lock()
	defer l.counting.Unlock()
	if !l.final {
		l.refresh()
	}
	return l.last
}

func (l *link) refresh() {
	send, receive, drops := l.host.buffers()
	x := l.session.ConnectionStats()
	var is quicgo.ConnectionState
	select {
	case <-l.session.HandshakeComplete():
		is = l.session.ConnectionState()
	case <-l.session.Context().Done():
		is = l.session.ConnectionState()
	default: // quic-go's handshake writes what ConnectionState reads
	}
	s := transport.Stats{
		Congestion: congestion, SendBuffer: send, ReceiveBuffer: receive,
		Connected: l.connected, Secured: l.secured.Load(),
		QUIC: &result.QUIC{
			Version: is.Version.String(), SegmentationOffload: is.GSO,
			RTTNS: int64(x.SmoothedRTT), RTTVarNS: int64(x.MeanDeviation), MinRTTNS: int64(x.MinRTT),
			CongestionWindow: int64(x.CongestionWindow),
			PacketsSent:      int64(x.PacketsSent), BytesSent: int64(x.BytesSent),
			PacketsReceived: int64(x.PacketsReceived), BytesReceived: int64(x.BytesReceived),
			PacketsLost: int64(x.PacketsLost), BytesLost: int64(x.BytesLost),
		},
	}
	if s.Secured > 0 {
		s.Resumed, s.EarlyData = new(is.TLS.DidResume), new(is.Used0RTT)
	} else if l.rejected.Load() {
		s.EarlyData = new(false)
	}
	if l.counts == nil {
		s.Retransmitted = new(int64(x.PacketsLost))
	} else {
		s.Carriage = l.counts.carriage()
		s.QUIC.DatagramsSentPackets = &s.Carriage.PacketsSent
		s.QUIC.DatagramsReceiveDropped = &s.Carriage.Dropped
		s.Strays = new(int64(0)) // nobody else has the keys
		if drops != nil {
			s.ReceiverDropped, s.SocketDrops = new(*drops+s.Carriage.Dropped+s.Carriage.Discarded), *drops
		}
	}
	l.last = s
}
