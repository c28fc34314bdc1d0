package peer

import (
	"fmt"
	"time"

	"netcmp/clock"
	"netcmp/netem"
)

// longest is how long a session's messages are due for, at the least: 0 where the plan
// does not say.
func (s Spec) longest() time.Duration { return total(s.Plan) }

// check refuses a session that asks for more than the limits.
func (l Limits) check(s Spec) error {
	n := max(s.Plan.Expected(), 0)
	switch {
	case l.Duration > 0 && s.longest() > l.Duration:
		return fmt.Errorf("the messages are due for %v, and the server allows %v (serve --max-duration)", s.longest(), l.Duration)
	case l.Messages > 0 && n > l.Messages:
		return fmt.Errorf("%d messages are more than the server allows: %d (serve --max-messages)", n, l.Messages)
	case l.Rate > 0 && s.Plan.Saturate:
		return fmt.Errorf("saturation knows no rate, and the server allows %v of messages (serve --max-rate)", l.Rate)
	case l.Rate > 0 && s.Plan.Rate*float64(s.Plan.Size)*8 > float64(l.Rate):
		return fmt.Errorf("%v of messages is more than the server allows: %v (serve --max-rate)", netem.Rate(s.Plan.Rate*float64(s.Plan.Size)*8), l.Rate)
	case l.Bytes > 0 && n*int64(s.Plan.Size) > l.Bytes:
		return fmt.Errorf("%d bytes of messages are more than the server allows: %d (serve --max-bytes)", n*int64(s.Plan.Size), l.Bytes)
	}
	return nil
}

// lifeGrace is what a session may take beside its messages: to begin, and to wait for
// what is late.
const lifeGrace = 2 * time.Minute

// rateGrace is how much more than its rate a session may have moved: what fell due while
// something was held up comes at once.
const rateGrace = 2 * time.Second

// beyond says why a session has to end that has moved or lasted more than the limits
// allow, whatever it asked for; "" if it has not.
func (x *session) beyond(moved int64) string {
	l := x.server.config.Limits
	bytes, age := moved*int64(x.spec.Plan.Size), clock.Now()-x.opened
	switch {
	case l.Duration > 0 && age > int64(l.Duration+lifeGrace):
		return fmt.Sprintf("the session has lasted longer than the server allows, %v (serve --max-duration)", l.Duration)
	case l.Messages > 0 && moved > 2*l.Messages: // both ways
		return fmt.Sprintf("the session has moved more messages than the server allows, %d each way (serve --max-messages)", l.Messages)
	case l.Bytes > 0 && bytes > 2*l.Bytes:
		return fmt.Sprintf("the session has moved more bytes than the server allows, %d each way (serve --max-bytes)", l.Bytes)
	case l.Rate > 0 && float64(bytes)*8 > 2*float64(l.Rate)*(time.Duration(age)+rateGrace).Seconds():
		return fmt.Sprintf("the session moves more than the server allows, %v each way (serve --max-rate)", l.Rate)
	}
	return ""
}
