package peer

import (
	"errors"
	"net/netip"
	"time"

	"netcmp/ledger"
	"netcmp/result"
	"netcmp/transport"
)

// What the control channel carries, beside Spec. Times are of the server's
// clock unless they say otherwise.

// The header that both ends tell their version of this in: they must have the same.
const (
	VersionHeader  = "Netcmp-Control"
	ControlVersion = "3"
)

// maxBody bounds a request, maxAnswer an answer. The largest of these is a report:
// of result.MaxMessages messages two times of some 12 bytes each, and 65,536
// intervals of some 130 bytes.
const (
	maxBody   = 16 << 20
	maxAnswer = 64 << 20
)

type created struct {
	ID   string `json:"id"`
	Port uint16 `json:"port"`
	// Session is the number that every message of the session carries.
	Session uint64 `json:"session,string"`
	// Certificate is the server's (DER), of an encrypted transport.
	Certificate []byte `json:"certificate,omitempty"`
	// Notes are what a reader has to know of the path that the server has made.
	Notes []string `json:"notes,omitempty"`
}

// acceptOrder says where the client's connection comes from. Between machines the
// server goes by the address that the control channel comes from, and by no port: a
// translator of addresses may have changed it.
type acceptOrder struct {
	Client netip.AddrPort `json:"client"`
}

// accepted is the answer to it.
type accepted struct {
	AtNS int64 `json:"at_ns"` // when the server had the connection
}

type expectOrder struct {
	Early bool `json:"early"` // the server takes the connection when it comes, unasked
}

type startOrder struct {
	StartNS int64 `json:"start_ns"`
	// OffsetNS is the server's clock less the client's.
	OffsetNS int64 `json:"offset_ns"`
}

// offsetOrder tells how the server's clock stands to the client's by now.
type offsetOrder struct {
	OffsetNS int64 `json:"offset_ns"`
}

type stopOrder struct {
	WithinNS int64 `json:"within_ns"` // how long what is under way may still be waited for
}

type finishOrder struct {
	Sent *SendReport `json:"sent,omitempty"` // what the client sent
	// Failed is how many of these it knows not to have arrived: their connections
	// could not be made.
	Failed int64 `json:"failed,omitempty"`
	// PathTells says that the client tells when the path to the server is empty.
	PathTells bool `json:"path_tells,omitempty"`
}

// EndReport is what one end tells of a session.
type EndReport struct {
	Sent     *SendReport      `json:"sent,omitempty"`
	Received *result.Measured `json:"received,omitempty"`
	// FirstNS is the time from the first planned send to the first delivery.
	FirstNS *int64 `json:"first_ns,omitempty"`
	// ReceiverDropped are datagrams that reached the host and found the
	// socket's buffer full.
	ReceiverDropped *int64          `json:"receiver_dropped,omitempty"`
	CPUNS           int64           `json:"cpu_ns"`
	LateNS          *result.Tail    `json:"late_ns,omitempty"`      // how late the kernel ran this end's process
	ReadLateNS      *result.Tail    `json:"read_late_ns,omitempty"` // read − received by the kernel
	Stats           transport.Stats `json:"stats"`
	GaveUp          int64           `json:"gave_up"` // messages of a reliable transport that did not come in time
	Waited          time.Duration   `json:"waited_ns"`
	Foreign         int64           `json:"foreign"` // messages of another session or kind
	// Requests are the different ones that came to an end that only answers.
	Requests *int64 `json:"requests,omitempty"`
	// Discarded are damaged requests that came to an end that only answers:
	// they are in no account of its own.
	Discarded int64  `json:"discarded"`
	Records   string `json:"records,omitempty"` // what kept this end from keeping its records
	Error     string `json:"error,omitempty"`
}

// SendReport is what a sender tells of itself.
type SendReport struct {
	Scheduled         int64             `json:"scheduled"`
	Due               int64             `json:"due"` // planned messages that the user did not cut off
	Sent              int64             `json:"sent"`
	SpanNS            int64             `json:"span_ns"`      // length of the plan, until it was cut off; 0: not known
	PerInterval       []int64           `json:"per_interval"` // of Due, by planned time
	PacingErrorNS     *result.Quantiles `json:"pacing_error_ns"`
	PacingErrorMeanNS *int64            `json:"pacing_error_mean_ns"`
	PacingLateNS      *result.Tail      `json:"pacing_late_ns,omitempty"` // of PacingErrorNS, in full
	OverdueSends      int64             `json:"overdue_sends"`
	BlockedSends      int64             `json:"blocked_sends"`
	SpunNS            int64             `json:"spun_ns"` // processor time that went into being punctual
	Error             string            `json:"error,omitempty"`
}

// account returns the report as a ledger wants it.
func (s *SendReport) account(discarded int64) ledger.Sent {
	return ledger.Sent{
		Scheduled: s.Scheduled, Due: s.Due, Sent: s.Sent, Span: s.SpanNS,
		PerInterval: s.PerInterval, HostDiscarded: discarded,
	}
}

// raise makes the report of a sender that has not ended tell of at least n
// messages.
func (s *SendReport) raise(n int64) {
	s.Sent = max(s.Sent, n)
	s.Due = max(s.Due, s.Sent)
	s.Scheduled = max(s.Scheduled, s.Sent)
}

// watchLine is what a watcher reads.
type watchLine struct {
	Sent     int64           `json:"sent"`
	Progress ledger.Progress `json:"progress"`
	Report   *EndReport      `json:"report,omitempty"` // now and then
	Ended    string          `json:"ended,omitempty"`  // why the server ends the session; the last line then
}

// failure is the body of an answer that is not 2xx.
type failure struct {
	Error       string `json:"error"`
	Usage       bool   `json:"usage,omitempty"`       // what was asked is wrong, not what happened
	Unsupported bool   `json:"unsupported,omitempty"` // the server's machine does not have it or allow it
}

// ErrUsage is wrapped by the error of a session that asks for something that
// cannot be.
var ErrUsage = errors.New("wrong usage")

// refusal is an answer that is not 2xx, at the client's end.
type refusal struct {
	text string
	is   error // ErrUsage, transport.ErrNotSupported or nil
}

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return e.is }
