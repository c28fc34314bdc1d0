// Package transport is what every transport offers: connections that move
// batches of whole messages.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"netcmp/result"
)

// Errors that every transport gives alike.
var (
	// ErrClosed is given by a connection that this end has closed.
	ErrClosed = errors.New("transport: connection closed")
	// ErrPeerGone is given by a connection that the other end closed or reset.
	// A transport without a handshake never gives it: it cannot know.
	ErrPeerGone = errors.New("transport: the other end is gone")
	// ErrTooLarge is given for a message that the transport cannot carry, or
	// that is above the session's own maximum.
	ErrTooLarge = errors.New("transport: message too large")
	// ErrUnknownCongestion is given for a congestion control that is not there;
	// the message lists those that are.
	ErrUnknownCongestion = errors.New("transport: unknown congestion control")
	// ErrNotSupported is given for what this machine does not have or does not
	// allow; the message says what would mend it.
	ErrNotSupported = errors.New("transport: not supported here")
)

// Config is what a session asks of a transport. The zero value means the
// defaults.
type Config struct {
	Congestion    string // congestion control by name; "" is the system's
	Nagle         bool   // leave Nagle's algorithm on (off by default)
	SendBuffer    int    // bytes; 0 is the transport's default
	ReceiveBuffer int    // bytes; 0 is the transport's default
	Bulk          bool   // the sender has always more to send
	// Turns says that one message is under way at a time, there or back: what moves
	// messages by its own system calls then waits for the next one in the call that takes
	// it.
	Turns bool
	// NoBatch has a transport that could move several messages by one system call
	// move each by one of its own. Of a byte stream that is sending alone: a read
	// takes what is there.
	NoBatch     bool
	MaxMessage  int // the largest message of the session, bytes; 0 is the transport's
	Connections int // how many a listener takes, beside one for a ticket where it is Resumable; 0 is one
	// Certificate is the server's (DER): a client of an encrypted transport trusts
	// that one alone. Others leave it aside.
	Certificate []byte
	// Resumable has a listener give tickets, and take them. Sessions is where a
	// client keeps those that it gets, and finds those of connections before: it
	// then resumes their session. nil is nowhere. Only transports that Resume
	// look at either.
	Resumable bool
	Sessions  tls.ClientSessionCache
	Traces    Traces
	// StallTimeout is how long the session waits for a connection that makes no
	// progress; 0 is DefaultStallTimeout. A transport lets a handshake take that long,
	// and gives up no connection before.
	StallTimeout time.Duration
	// From is the one address that a listener shakes hands with, if it does so by
	// datagrams: whoever sends one under a false address could have more sent there than
	// he has sent himself. The zero value is any. Which connection is taken, Accept says.
	From    netip.Addr
	Session uint64 // the session that messages carry; a datagram of another one is not ours. 0: any is
}

// DefaultStallTimeout is Config.StallTimeout where the session gives none, and
// MaxStallTimeout the longest.
const (
	DefaultStallTimeout = 30 * time.Second
	MaxStallTimeout     = 10 * 24 * time.Hour
)

// Stall returns StallTimeout, or its default.
func (c Config) Stall() time.Duration {
	if c.StallTimeout == 0 {
		return DefaultStallTimeout
	}
	return c.StallTimeout
}

// Accepts is how many connections a listener takes before it refuses all others.
func (c Config) Accepts() int {
	n := max(c.Connections, 1)
	if c.Resumable {
		n++
	}
	return n
}

// Traces are files that an encrypted transport writes of this end, for those who
// look into its packets. The zero value writes none, and so do transports that
// have no such thing.
type Traces struct {
	QlogDir string // QUIC's events, a file for each connection (for qvis)
	KeyLog  string // the file that secrets are added to (for Wireshark)
}

// Properties say what a transport promises.
type Properties struct {
	Reliable   bool // what was sent arrives, or the connection fails
	Ordered    bool // messages arrive in the order of sending
	Handshake  bool // there is a connection to set up
	Encrypted  bool // the listener is Certified, and Config.Certificate must be its certificate
	Resumes    bool // a connection can resume the session of one before: see Config.Sessions
	PerMessage bool // each message has a connection of its own; Dial makes none yet
	EarlyData  bool // and its messages then leave with its first packets (0-RTT)
	MaxMessage int  // the largest message it carries, bytes
	// Congestion is the one congestion control that the transport brings along;
	// "" where it has the system's, or none.
	Congestion string
}

// Transport makes connections of one kind.
type Transport interface {
	// Name is the protocol's name: tcp, udp, …
	Name() string
	Properties() Properties
	// Listen opens a listener at addr; port 0 picks one.
	Listen(ctx context.Context, addr netip.AddrPort, c Config) (Listener, error)
	// Dial connects to a listener. It returns when messages may be sent, which
	// of a resumed connection with early data is at once.
	Dial(ctx context.Context, addr netip.AddrPort, c Config) (Conn, error)
}

// Listener waits for the one connection of a session.
type Listener interface {
	// Addr is where a client reaches the listener.
	Addr() netip.AddrPort
	// Accept waits for the connection. from is the client's address as the
	// session knows it: a transport without a handshake has no other way to
	// learn it; the others take only a connection from there when it is valid,
	// from any port of that address where from has none. What a listener
	// without a handshake received before Accept is not lost.
	Accept(ctx context.Context, from netip.AddrPort) (Conn, error)
	Close() error
}

// Certified is a Listener of an encrypted transport.
type Certified interface {
	// Certificate is what its clients have to trust (DER).
	Certificate() []byte
}

// Message is one received message.
type Message struct {
	Data []byte // header and payload; valid until the next Receive
	// At is when it came, in package clock's scale: the return of the read
	// that brought it.
	At int64
	// Stamped is when the kernel received it, on the same scale; 0: not known. At −
	// Stamped is then how late this process read it, which is not the path's.
	Stamped int64
}

// Conn moves whole messages. One goroutine may send while another receives.
type Conn interface {
	// Send hands messages over in order and blocks while the transport
	// cannot take them. It returns how many were taken whole, which is fewer
	// than all only with an error. It keeps nothing of the batch.
	Send(batch [][]byte) (int, error)
	// Receive waits for at least one message, fills batch from its start and
	// returns how many came. Damaged datagrams are handed on as they are: the
	// caller parses. On a stream a message that does not parse ends the
	// connection with message.ErrCorrupt.
	Receive(batch []Message) (int, error)
	// LocalAddr is this end's address.
	LocalAddr() netip.AddrPort
	// Stats reports the transport's own counters; it may be called at any
	// time, from any goroutine. After Close it gives the last known.
	Stats() Stats
	// Close ends the connection and wakes Send and Receive, which then give
	// ErrClosed. A reliable transport sees that what it took still reaches the
	// other end, for which Close may wait, within bounds: a round trip as a
	// rule, a few seconds at most.
	Close() error
}

// Stats is what a connection knows of itself.
type Stats struct {
	Congestion      string // as read back from the socket; "" where there is none
	ReceiverDropped *int64 // datagrams that the socket's own buffer or checksum refused; null where there is none
	// SocketDrops are of ReceiverDropped: what the socket itself counts (SO_MEMINFO).
	SocketDrops int64
	// TrainsDropped are of a receiver that takes trains of messages whole: those
	// that it dropped since the last message came, each of 1 to TrainMax messages,
	// which are not in ReceiverDropped.
	TrainsDropped int64
	Strays        *int64 // datagrams of strangers or of other sessions, thrown away; null where there are none
	// Refused counts the times that the path answered with an ICMP error, such
	// as that nobody listens at the port: what the socket told of, which is a
	// part of all. Null where that ends the connection.
	Refused *int64
	// Retransmitted counts segments; of QUIC packets that the sender took for
	// lost, whose contents it sent again. Null where nothing is sent again.
	Retransmitted *int64
	// Connected and Secured are instants in package clock's scale, at the end
	// that dialled: messages could be sent, and the handshake that encrypts was
	// done, which with early data is later. 0 where there is no such thing, or
	// not yet.
	Connected, Secured int64
	// Resumed says that the connection resumed the session of another, EarlyData
	// that the listener took what was sent before the handshake was done. Both
	// are told at the end that dialled, when it is done; null where there is no
	// such thing.
	Resumed, EarlyData *bool
	// SendCalls and ReceiveCalls are what this end's system calls cost. Null where the
	// transport does its work elsewhere, too: QUIC in goroutines of its own, TLS in
	// encryption.
	SendCalls, ReceiveCalls *CallCost

	SendBuffer    int // as the kernel set it, bytes
	ReceiveBuffer int
	TCPInfo       *result.TCPInfo
	QUIC          *result.QUIC
	// Carriage is of a transport without the promise to deliver that puts
	// messages into packets of its own; null for all others.
	Carriage *Carriage
	// Connections is of a transport with a connection a message; null for all others.
	Connections *Connections
}

// Connections counts connections that carried a message each.
type Connections struct {
	Opened int64
	Failed int64  // that could not be made, or broke with their message
	Error  string // why, of the first
	// From the beginning of each until it was Connected and Secured, at the end that
	// dialled; null where there is no such thing.
	ConnectNS, SecureNS *result.Quantiles
}

// TrainMax is how many messages a train has at the most.
const TrainMax = 64

// Carriage counts messages and the packets that carried them, of which one may
// carry several.
type Carriage struct {
	MessagesSent, PacketsSent         int64
	Unsent                            int64 // messages that this end took and then threw away
	MessagesReceived, PacketsReceived int64 // in packets that came, copies left out
	Unusable                          int64 // packets that came and could not be read
	Dropped                           int64 // of MessagesReceived: thrown away for want of room
	// Messages, counted by length, in packets that came and were thrown away
	// unread, for want of room or as copies of others that they were not
	// (TooLate, packets).
	Discarded, PacketsDiscarded, TooLate int64
}
