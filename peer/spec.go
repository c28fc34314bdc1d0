// Package peer is the two ends of a session: one sends numbered messages, the
// other receives and accounts for them, and both answer to one control channel
// that never crosses the path under test.
//
// The client's end drives the session over HTTP and JSON:
//
//	POST /v1/sessions              what is to be done; the server opens a listener
//	GET  /v1/sessions/ID/watch     a line a quarter of a second: how it goes. The
//	                               session lasts as long as somebody watches
//	POST /v1/sessions/ID/start     the connection is there; messages are due from then on
//	POST /v1/sessions/ID/finish    the client has sent its last; what became of all
//
// In the lab the channel is a socket pair, between machines a TCP connection;
// nothing else differs.
package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netcmp/message"
	"netcmp/transport"
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

// Spec is a session: what is sent over which transport. It is what the client
// asks of the server.
type Spec struct {
	Proto     string          `json:"proto"`
	Plan      workload.Plan   `json:"plan"` // of each direction
	Direction Direction       `json:"direction"`
	Pattern   Pattern         `json:"pattern"`
	Deadlines []time.Duration `json:"deadlines_ns"`
	Interval  time.Duration   `json:"interval_ns"`
	// Quiet is how long a datagram transport may be silent before what is
	// missing counts as lost: longer than the path can hold a packet.
	Quiet time.Duration `json:"quiet_ns"`
	// Patience is how long a reliable transport may be silent before the run
	// gives up on what is missing.
	Patience time.Duration `json:"patience_ns"`

	Congestion    string `json:"congestion"`
	Nagle         bool   `json:"nagle"`
	SendBuffer    int    `json:"send_buffer"`
	ReceiveBuffer int    `json:"receive_buffer"`
}

// Defaults of a session.
const (
	DefaultQuiet    = time.Second
	DefaultPatience = 30 * time.Second
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

// Validate says what is wrong with a session that has its defaults.
func (s Spec) Validate(transports []transport.Transport) error {
	t, err := find(transports, s.Proto)
	if err != nil {
		return err
	}
	if err := s.Plan.Validate(); err != nil {
		return err
	}
	if most := t.Properties().MaxMessage; most > 0 && s.Plan.Size > most {
		return fmt.Errorf("size %d is more than a message of %s can hold: at most %d", s.Plan.Size, s.Proto, most)
	}
	if !slices.Contains([]Direction{Up, Down, Both}, s.Direction) {
		return fmt.Errorf("direction %q is unknown; known: up, down, both", s.Direction)
	}
	if !slices.Contains([]Pattern{Stream, RequestResponse}, s.Pattern) {
		return fmt.Errorf("pattern %q is unknown; known: stream, request-response", s.Pattern)
	}
	if s.Pattern == RequestResponse && s.Direction != Up {
		return errors.New("request-response goes up: the client asks, the server answers")
	}
	if len(s.Deadlines) > maxDeadlines {
		return fmt.Errorf("%d deadlines are too many: at most %d", len(s.Deadlines), maxDeadlines)
	}
	for _, d := range s.Deadlines {
		if d <= 0 {
			return fmt.Errorf("deadline %v is not positive", d)
		}
	}
	for name, d := range map[string]time.Duration{"interval": s.Interval, "quiet": s.Quiet, "patience": s.Patience} {
		if d < time.Millisecond || d > time.Hour {
			return fmt.Errorf("%s %v is out of range: 1ms to 1h", name, d)
		}
	}
	for name, b := range map[string]int{"send buffer": s.SendBuffer, "receive buffer": s.ReceiveBuffer} {
		if b < 0 || b > maxBuffer {
			return fmt.Errorf("%s %d is out of range: 0 (the default) to %d bytes", name, b, maxBuffer)
		}
	}
	return nil
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

func (s Spec) sends(client bool) bool {
	return s.Direction == Both || (s.Direction == Up) == client
}

func (s Spec) config(session uint64) transport.Config {
	return transport.Config{
		Congestion: s.Congestion, Nagle: s.Nagle,
		SendBuffer: s.SendBuffer, ReceiveBuffer: s.ReceiveBuffer,
		MaxMessage: max(s.Plan.Size, message.HeaderSize), Session: session,
	}
}

// addrPort is a network address in JSON; the zero one is "".
type addrPort = netip.AddrPort
