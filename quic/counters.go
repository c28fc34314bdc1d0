package quic

import (
	"context"
	"sync"
	"sync/atomic"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
	"github.com/quic-go/quic-go/quicvarint"

	"netcmp/transport"
)

// counters counts the DATAGRAM frames of a connection, which quic-go tells of to
// a recorder of its events alone.
type counters struct {
	largest int // the session's messages are all of this size, or nearly

	sentFrames, sentPackets         atomic.Int64
	receivedFrames, receivedPackets atomic.Int64
	unusable                        atomic.Int64
	unsent, dropped                 atomic.Int64
	// Packets that this end threw away unread, and how many messages were in
	// them by their length.
	discarded, discardedPackets atomic.Int64
	tooLate                     atomic.Int64 // of those packets: taken for copies
	// early counts what the listener threw away of this connection before there
	// was one; nil for none.
	early *counters

	mu   sync.Mutex
	seen bits // packet numbers that came
}

// bits is a set of small numbers.
type bits []uint64

func (b *bits) add(n int64) {
	for int(n/64) >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bits) has(n int64) bool { return int(n/64) < len(b) && b[n/64]&(1<<(n%64)) != 0 }

// trace makes counters the recorder of one connection.
func (c *counters) trace(context.Context, bool, quicgo.ConnectionID) qlogwriter.Trace {
	return recorder{c}
}

// recorder is counters as quic-go sees it.
type recorder struct{ *counters }

// AddProducer gives the recorder itself: it is safe for all.
func (r recorder) AddProducer() qlogwriter.Recorder { return r }

// Close has nothing to do.
func (recorder) Close() error { return nil }

// RecordEvent counts.
func (r recorder) RecordEvent(e qlogwriter.Event) {
	switch e := e.(type) {
	case qlog.PacketSent:
		count(e.Frames, &r.sentFrames, &r.sentPackets)
	case qlog.PacketReceived:
		count(e.Frames, &r.receivedFrames, &r.receivedPackets)
		if carries(e.Header.PacketType) {
			r.mu.Lock()
			r.seen.add(int64(e.Header.PacketNumber))
			r.mu.Unlock()
		}
	case qlog.PacketDropped:
		r.packetDropped(e)
	case qlog.DatagramDropped:
		if e.Direction == qlog.DirectionReceiving {
			r.dropped.Add(1)
		} else {
			r.unsent.Add(1)
		}
	}
}

// carries says that packets of a type carry messages. Both count with the same
// numbers (RFC 9000 §12.3).
func carries(t qlog.PacketType) bool { return t == qlog.PacketType1RTT || t == qlog.PacketType0RTT }

// packetDropped tells a copy from a packet that came so late that quic-go no
// longer knows whether it is one (RFC 9000 §12.3), damage from want of room.
func (r recorder) packetDropped(e qlog.PacketDropped) {
	switch e.Trigger {
	case qlog.PacketDropDuplicate:
		r.mu.Lock()
		copied := !carries(e.Header.PacketType) || r.seen.has(int64(e.Header.PacketNumber))
		if !copied {
			r.seen.add(int64(e.Header.PacketNumber))
		}
		r.mu.Unlock()
		if copied {
			return
		}
		r.tooLate.Add(1)
	case qlog.PacketDropDOSPrevention: // its queue of packets is full
	case qlog.PacketDropKeysUnavailable: // it is of a handshake that is over
		if e.Header.PacketType != qlog.PacketType0RTT {
			return
		}
	default:
		r.unusable.Add(1)
		return
	}
	if n := messagesIn(e.Raw.Length, r.largest, e.Header.PacketType == qlog.PacketType0RTT); n > 0 {
		r.discarded.Add(n)
		r.discardedPackets.Add(1)
	}
}

// messagesIn is how many messages of a size fit into a packet so long that holds
// nothing else of that size. A short header has at least a byte, the four of the
// connection ID that quic-go gives itself and one of the packet number, and the
// seal has 16 (RFC 9000 §17.3, RFC 9001 §5.3). A long one (§17.2.3) has the
// version, two connection IDs with their lengths, and the packet's length, too.
// A DATAGRAM frame has its type and, unless it is the packet's last, its length
// (RFC 9221 §4).
func messagesIn(packet, size int, long bool) int64 {
	least := 1 + 4 + 1 + 16
	if long {
		least += 4 + 1 + 1 + 4 + 2
	}
	header := 1 + quicvarint.Len(uint64(size))
	return int64(max(packet-least-1+header, 0) / (size + header))
}

func count(frames []qlog.Frame, messages, packets *atomic.Int64) {
	n := int64(0)
	for _, f := range frames {
		if _, ok := f.Frame.(*qlog.DatagramFrame); ok {
			n++
		}
	}
	if n > 0 {
		messages.Add(n)
		packets.Add(1)
	}
}

// carriage is what was counted so far.
func (c *counters) carriage() *transport.Carriage {
	x := &transport.Carriage{
		MessagesSent: c.sentFrames.Load(), PacketsSent: c.sentPackets.Load(), Unsent: c.unsent.Load(),
		MessagesReceived: c.receivedFrames.Load(), PacketsReceived: c.receivedPackets.Load(),
		Unusable: c.unusable.Load(), Dropped: c.dropped.Load(),
		Discarded: c.discarded.Load(), PacketsDiscarded: c.discardedPackets.Load(), TooLate: c.tooLate.Load(),
	}
	if c.early != nil {
		x.Discarded += c.early.discarded.Load()
		x.PacketsDiscarded += c.early.discardedPackets.Load()
	}
	return x
}

// countersKey is where the context of an accepted connection has its counters.
type countersKey struct{}

// withCounters gives each connection that comes its own (quicgo.Transport's
// ConnContext).
func withCounters(largest int) func(context.Context, *quicgo.ClientInfo) (context.Context, error) {
	return func(ctx context.Context, _ *quicgo.ClientInfo) (context.Context, error) {
		return context.WithValue(ctx, countersKey{}, &counters{largest: largest}), nil
	}
}

// countersOf are those of a connection's context; nil where there are none.
func countersOf(ctx context.Context) *counters {
	c, _ := ctx.Value(countersKey{}).(*counters)
	return c
}

// traceAccepted makes a recorder of them.
func traceAccepted(ctx context.Context, client bool, id quicgo.ConnectionID) qlogwriter.Trace {
	if c := countersOf(ctx); c != nil {
		return c.trace(ctx, client, id)
	}
	return nil
}
