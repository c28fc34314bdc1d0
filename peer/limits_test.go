package peer

import (
	"strings"
	"testing"
	"time"

	"netcmp/clock"
	"netcmp/netem"
	"netcmp/workload"
)

// A session that has got past what it asked for, whatever that was, is cut when it has
// moved more than the limits allow, and not before.
func TestBeyond(t *testing.T) {
	const size = 1000
	for _, x := range []struct {
		limits Limits
		moved  int64 // messages, both ways together
		age    time.Duration
		want   string
	}{
		{Limits{}, 1 << 40, 1000 * time.Hour, ""},
		{Limits{Messages: 100}, 200, 0, ""},
		{Limits{Messages: 100}, 201, 0, "--max-messages"},
		{Limits{Bytes: 100 * size}, 200, 0, ""},
		{Limits{Bytes: 100 * size}, 201, 0, "--max-bytes"},
		{Limits{Duration: time.Hour}, 1, time.Hour + lifeGrace - time.Minute, ""},
		{Limits{Duration: time.Hour}, 1, time.Hour + lifeGrace + time.Second, "--max-duration"},
		// 800 kbit/s are 100 messages a second each way.
		{Limits{Rate: 800_000}, 2 * 100 * 10, 8 * time.Second, ""},
		{Limits{Rate: 800_000}, 2*100*10 + 100, 8 * time.Second, "--max-rate"},
	} {
		s := NewServer(ServerConfig{Limits: x.limits})
		session := &session{server: s, spec: Spec{Plan: workload.Plan{Size: size}}, opened: clock.Now() - int64(x.age)}
		if why := session.beyond(x.moved); (why == "") != (x.want == "") || !strings.Contains(why, x.want) {
			t.Errorf("%+v: %d messages in %v: %q, want %q", x.limits, x.moved, x.age, why, x.want)
		}
	}
}

// What a session asks for is held to the rate of its messages.
func TestRateLimit(t *testing.T) {
	l := Limits{Rate: netem.Rate(1_000_000)}
	for _, x := range []struct {
		plan workload.Plan
		ok   bool
	}{
		{workload.Plan{Rate: 125, Size: 1000, Count: 1}, true},
		{workload.Plan{Rate: 126, Size: 1000, Count: 1}, false},
		{workload.Plan{Size: 1000, Saturate: true, Count: 1}, false},
	} {
		if err := l.check(Spec{Plan: x.plan}); (err == nil) != x.ok {
			t.Errorf("%+v: %v", x.plan, err)
		}
	}
}
