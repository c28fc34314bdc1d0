// Package peer is the two ends of a session: one sends numbered messages, the
// other receives and accounts for them, and both answer to one control channel
// that never crosses the path under test.
//
// The client's end drives the session over HTTP and JSON:
//
//	GET  /v1/clock                 what time it is at the server's end
//	POST /v1/sessions              what is to be done; the server opens a listener
//	GET  /v1/sessions/ID/watch     a line a quarter of a second: how it goes. The
//	                               session lasts as long as somebody watches
//	POST /v1/sessions/ID/visit     where a session is to be resumed: the client has
//	                               connected for a ticket alone; the server takes the connection
//	POST /v1/sessions/ID/expect    the client has closed that one; the next is measured
//	POST /v1/sessions/ID/accept    the client has connected; the server takes the connection
//	POST /v1/sessions/ID/start     messages are due from such and such an instant
//	POST /v1/sessions/ID/stop      no more messages, and no long wait for those under way
//	POST /v1/sessions/ID/settled   in the lab: the path to the server is empty
//	POST /v1/sessions/ID/finish    the client has sent its last; what became of all
//
// A connection is accepted before the start is fixed: with TCP the server has
// it a trip through the path after the client has, more if a segment is lost,
// and that time must not eat into the schedule. Where messages leave with the
// connection's first packets (0-RTT) there is no time for that: the server takes
// the connection when it comes, and is told of the start meanwhile.
//
// In the lab the channel is a socket pair, between machines a TCP connection;
// nothing else differs.
package peer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"netcmp/lateness"
	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/short"
	"netcmp/workload"
)

// Direction says who sends.
type Direction string

// The directions.
const (
	Up   Direction = "up"   // client to server
	Down Direction = "down" // server to client
	Both Direction = "both"
)

// Pattern says what an arrival leads to.
type Pattern string

// The patterns.
const (
	Stream          Pattern = "stream"           // nothing: messages flow one way
	RequestResponse Pattern = "request-response" // a reply of the same number and size; delay is the round trip
)

// Connection is how long a connection is used.
type Connection string

// Connections.
const (
	Long  Connection = "long"  // for all messages
	Short Connection = "short" // for one message, and its answer
)

// Spec is a session: what is sent over which transport. It is what the client
// asks of the server.
type Spec struct {
	Proto     string        `json:"proto"`
	Plan      workload.Plan `json:"plan"` // of each direction
	Direction Direction     `json:"direction"`
	Pattern   Pattern       `json:"pattern"`
	// Connection is short where each message has one of its own, which the client
	// makes when the message is due.
	Connection Connection      `json:"connection"`
	Deadlines  []time.Duration `json:"deadlines_ns"`
	Interval   time.Duration   `json:"interval_ns"`
	Messages   bool            `json:"messages"` // tell what became of each message
	// Quiet is how long a datagram transport may be silent before what is
	// missing counts as lost: longer than the path can hold a packet.
	Quiet time.Duration `json:"quiet_ns"`
	// Patience is how long the ends wait for a transport that makes no progress: to
	// connect, to accept a message once all are due, and to deliver what is missing.
	Patience time.Duration `json:"patience_ns"`

	// Resume has the connection resume a session that one before it began.
	Resume        bool   `json:"resume,omitempty"`
	Congestion    string `json:"congestion"`
	Nagle         bool   `json:"nagle"`
	NoBatch       bool   `json:"no_batch,omitempty"` // a system call a message
	SendBuffer    int    `json:"send_buffer"`
	ReceiveBuffer int    `json:"receive_buffer"`

	// Impair is the path that the server is to make; nil for none.
	Impair *Impair `json:"impair,omitempty"`
}

// Defaults of a session.
const (
	DefaultQuiet    = time.Second
	DefaultPatience = transport.DefaultStallTimeout
	MaxPatience     = transport.MaxStallTimeout
	maxDeadlines    = 32
	maxBuffer       = 1 << 30
)

// WithDefaults is s with its zero fields filled in.
func (s Spec) WithDefaults() Spec {
	s.Plan = s.Plan.WithDefaults()
	if s.Direction == "" {
		s.Direction = Up
	}
	if s.Pattern == "" {
		s.Pattern = Stream
	}
	if s.Connection == "" {
		s.Connection = Long
	}
	if s.Interval == 0 {
		s.Interval = time.Second
	}
	if s.Quiet == 0 {
		s.Quiet = DefaultQuiet
	}
	if s.Patience == 0 {
		s.Patience = DefaultPatience
	}
	return s
}

// Validate says what is wrong with a session that has its defaults, one line
// for each fault: what it is and what is allowed.
func (s Spec) Validate(transports []transport.Transport) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format, args...))
	}

	t, err := find(transports, s.Proto)
	if err != nil {
		faults = append(faults, err)
	}
	if err := s.Plan.Validate(); err != nil {
		faults = append(faults, err)
	} else if t != nil {
		if most := t.Properties().MaxMessage; most > 0 && s.Plan.Size > most {
			fault("size %d is more than a message of %s can hold: at most %d", s.Plan.Size, s.Proto, most)
		}
	}
	if t != nil && s.Resume && !t.Properties().Resumes {
		fault("%s has no sessions to resume: resume takes %s", s.Proto, strings.Join(names(transports, resumes), ", "))
	}
	if !slices.Contains([]Direction{Up, Down, Both}, s.Direction) {
		fault("direction %q is unknown; known: up, down, both", s.Direction)
	}
	if !slices.Contains([]Pattern{Stream, RequestResponse}, s.Pattern) {
		fault("pattern %q is unknown; known: stream, request-response", s.Pattern)
	}
	if s.Pattern == RequestResponse && s.Direction != Up {
		fault("request-response goes up: the client asks, the server answers; direction %q does not go with it", s.Direction)
	}
	faults = append(faults, s.validateConnection(t, transports)...)
	if s.Impair != nil {
		if _, err := s.Impair.setup("eth0", 1); err != nil {
			faults = append(faults, err)
		}
	}
	if len(s.Deadlines) > maxDeadlines {
		fault("%d deadlines are too many: at most %d", len(s.Deadlines), maxDeadlines)
	}
	if i := slices.IndexFunc(s.Deadlines, func(d time.Duration) bool { return d <= 0 || d > workload.MaxSpan }); i >= 0 {
		fault("deadline %v: must be above 0, at most 100 days", s.Deadlines[i])
	}
	for _, x := range []struct {
		name    string
		d, most time.Duration
		says    string
	}{
		{"interval", s.Interval, time.Hour, "1h"},
		{"quiet", s.Quiet, MaxPatience, "10 days"}, {"stall timeout", s.Patience, MaxPatience, "10 days"},
	} {
		if x.d < time.Millisecond || x.d > x.most {
			fault("%s %v is out of range: 1ms to %s", x.name, x.d, x.says)
		}
	}
	for _, x := range []struct {
		name  string
		bytes int
	}{{"send buffer", s.SendBuffer}, {"receive buffer", s.ReceiveBuffer}} {
		if x.bytes < 0 || x.bytes > maxBuffer {
			fault("%s %d is out of range: 0 (the default) to %d bytes", x.name, x.bytes, maxBuffer)
		}
	}
	return errors.Join(faults...)
}

// validateConnection says what is wrong with a session's connections. t is its
// transport; nil for none.
func (s Spec) validateConnection(t transport.Transport, transports []transport.Transport) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch {
	case !slices.Contains([]Connection{Long, Short}, s.Connection):
		fault("connection %q is unknown; known: long, short", s.Connection)
	case s.Connection == Long:
	case t != nil && !short.Fits(t.Properties()):
		fault("a message of %s has no connection of its own: connection short takes %s", s.Proto,
			strings.Join(names(transports, short.Fits), ", "))
	case s.Direction != Up:
		fault("connection short goes up: the client makes each connection; direction %q does not go with it", s.Direction)
	case s.Resume:
		fault("connection short does not resume sessions: resume is for one connection")
	}
	return faults
}

// names are those of the transports of a kind.
func names(transports []transport.Transport, is func(transport.Properties) bool) []string {
	var names []string
	for _, t := range transports {
		if is(t.Properties()) {
			names = append(names, t.Name())
		}
	}
	return names
}

// resumes says that a transport resumes sessions.
func resumes(p transport.Properties) bool { return p.Resumes }

// over is the session's transport, as it uses it.
func (s Spec) over(transports []transport.Transport) (transport.Transport, error) {
	t, err := find(transports, s.Proto)
	if err == nil && s.Connection == Short {
		t = short.New(t, s.Pattern == RequestResponse)
	}
	return t, err
}

// find gives the transport of that name.
func find(transports []transport.Transport, name string) (transport.Transport, error) {
	var known []string
	for _, t := range transports {
		if t.Name() == name {
			return t, nil
		}
		known = append(known, t.Name())
	}
	return nil, fmt.Errorf("protocol %q is unknown; known: %s", name, strings.Join(known, ", "))
}

// sends reports whether that end sends messages of the plan.
func (s Spec) sends(client bool) bool {
	return s.Direction == Both || (s.Direction == Up) == client
}

// early says that the client's messages leave with its first packets: where the
// server sends by itself, it cannot before it has the connection.
func (s Spec) early(p transport.Properties) bool {
	return s.Resume && p.EarlyData && s.Direction == Up
}

// sampled is how often the process of an end is watched (package lateness).
func (s Spec) sampled() time.Duration {
	if s.Plan.Saturate && s.Pattern != RequestResponse {
		return lateness.Coarse
	}
	return lateness.Period
}

// answerPatience is how long one who waits for each answer waits for one.
func (s Spec) answerPatience(p transport.Properties) time.Duration {
	if p.Reliable {
		return s.Patience
	}
	return s.Quiet
}

// config is what the session asks of its transport.
func (s Spec) config(session uint64) transport.Config {
	return transport.Config{
		Congestion: s.Congestion, Nagle: s.Nagle, NoBatch: s.NoBatch,
		SendBuffer: s.SendBuffer, ReceiveBuffer: s.ReceiveBuffer,
		Bulk: s.Plan.Saturate && s.Pattern != RequestResponse, Turns: s.Plan.Saturate && s.Pattern == RequestResponse,
		MaxMessage: max(s.Plan.Size, message.HeaderSize), Session: session, Resumable: s.Resume,
		StallTimeout: s.Patience,
	}
}
