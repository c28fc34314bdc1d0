package report

import "netcmp/result"

// A nature is what a protocol makes of messages, in the words of the post and
// the telephone.
type nature struct {
	words    string // of one message or connection: "a letter"
	subject  string // begins the sentence: "Letters"
	reliable bool   // what the path loses is sent again
}

var natures = map[string]nature{
	"udp":           {"a letter", "Letters", false},
	"quic-datagram": {"letters in sealed envelopes", "Letters", false},
	"tcp":           {"a phone call", "Call", true},
	"tls":           {"a phone call, scrambled", "Call", true},
	"quic":          {"a phone call, scrambled", "Call", true},
	"quic-streams":  {"a phone call for each message, scrambled", "Calls", true},
}

// shortCalls are the natures of those that have a connection for each message.
var shortCalls = map[string]nature{
	"tcp":          {"a phone call for each message", "Calls", true},
	"tls":          {"a phone call for each message, scrambled", "Calls", true},
	"quic":         {"a phone call for each message, scrambled", "Calls", true},
	"quic-streams": {"a phone call for each message, scrambled", "Calls", true},
}

// natureOf knows the protocols of today. Of a document from another time it
// says what can be seen: an account of each message belongs to datagrams.
func natureOf(d *result.Document) nature {
	known := natures
	if d.Plan.Connection == shortConnection {
		known = shortCalls
	}
	if n, ok := known[d.Proto]; ok {
		return n
	}
	a := d.Account
	return nature{subject: "Messages", reliable: a == nil || a.ReceiverDropped == nil && a.Unexplained == nil}
}

// Reliable reports whether the transport of a run retransmits what the path loses.
func Reliable(d *result.Document) bool { return natureOf(d).reliable }

const (
	up   = "up"
	down = "down"
	both = "both"

	shortConnection = "short"
)

// direction is the way the messages of the document's own Measured went.
func direction(d *result.Document) string {
	if d.Plan.Direction == down {
		return down
	}
	return up
}

func requestResponse(d *result.Document) bool { return d.Plan.Pattern == "request-response" }

// linkOf is the ground truth of one direction, or nil.
func linkOf(d *result.Document, dir string) *result.LinkDirection {
	switch {
	case d.Link == nil:
		return nil
	case dir == down:
		return &d.Link.Down
	default:
		return &d.Link.Up
	}
}

// lostOf is how many messages that were sent are missing, if that is known.
func lostOf(m *result.Measured) *int64 {
	if m.Delivery.Lost == nil && m.Delivery.Delivered != nil {
		return new(m.Delivery.Sent - *m.Delivery.Delivered)
	}
	return m.Delivery.Lost
}

// missingOf returns how many messages that were due did not arrive, if that is known.
func missingOf(m *result.Measured) *int64 {
	if m.Delivery.Delivered == nil {
		return m.Delivery.Lost
	}
	return new(m.Delivery.Planned() - *m.Delivery.Delivered)
}

// positive reads a count that may not have been made.
func positive(n *int64) bool { return n != nil && *n > 0 }
