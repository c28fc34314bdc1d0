package peer

import (
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// refusals are what a server says of whom it sends away: a line for each, and of a flood
// the first of every minute, which fill no disk. All of them are counted.
type refusals struct {
	few   zerolog.Logger
	log   zerolog.Logger
	count *counts
}

// refusalsAMinute is how many lines are said of them.
const refusalsAMinute = 20

func newRefusals(log zerolog.Logger, c *counts) refusals {
	return refusals{few: log.Sample(&zerolog.BurstSampler{Burst: refusalsAMinute, Period: time.Minute}), log: log, count: c}
}

// tell says that a client was sent away; why is a word of the metric.
func (r refusals) tell(client, why, words string) {
	r.count.refused(why)
	r.few.Warn().Str("client", client).Msg(words)
}

// Write is what net/http says of a connection: most often that somebody came who is no
// client of ours.
func (r refusals) Write(b []byte) (int, error) {
	text := strings.TrimSpace(string(b))
	rest, ok := strings.CutPrefix(text, "http: TLS handshake error from ")
	switch client, reason, _ := strings.Cut(rest, ": "); {
	case ok:
		r.tell(client, "handshake", "connection refused: "+handshakeWords(reason))
	case strings.HasPrefix(text, "http: panic"):
		r.log.Error().Msg(text)
	default:
		r.log.Debug().Msg(text)
	}
	return len(b), nil
}

// handshakeWords say what it means that a handshake ended so.
func handshakeWords(reason string) string {
	for _, x := range []struct{ part, words string }{
		{"HTTP request to an HTTPS server", "plain HTTP, and this port speaks HTTPS alone"},
		{"bad certificate", "the client does not know this server's certificate: is its --fingerprint another's?"},
		{"EOF", "it left before a word was said: a scan of ports, most likely"},
		{"connection reset", "it left before a word was said: a scan of ports, most likely"},
		{"i/o timeout", "it said nothing that begins a session, for too long"},
		{"first record does not look like a TLS handshake", "what it says is not TLS"},
	} {
		if strings.Contains(reason, x.part) {
			return x.words
		}
	}
	return reason
}
