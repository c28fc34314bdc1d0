package peer

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"netcmp/workload"
)

// Each wrong field gives one line that says what is wrong and what is allowed.
func TestValidate(t *testing.T) {
	good := Spec{Proto: "udp"}.WithDefaults()
	if err := good.Validate(real()); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		spoil func(*Spec)
		want  string
	}{
		"proto":          {func(s *Spec) { s.Proto = "sctp" }, `protocol "sctp" is unknown; known: tcp, udp`},
		"no proto":       {func(s *Spec) { s.Proto = "" }, `protocol "" is unknown; known: tcp, udp`},
		"size":           {func(s *Spec) { s.Plan.Size = 65_508 }, "size 65508 is more than a message of udp can hold: at most 65507"},
		"small":          {func(s *Spec) { s.Plan.Size = 39 }, "size 39: must be at least 40 (the header)"},
		"count":          {func(s *Spec) { s.Plan.Count = -1 }, "count -1: must be 1 to 4294967296 messages"},
		"rate":           {func(s *Spec) { s.Plan.Rate = -1 }, "rate -1: must be above 0, at most 10000000 messages/s"},
		"arrival":        {func(s *Spec) { s.Plan.Arrival = "late" }, `arrival "late": must be one of constant, poisson, burst`},
		"direction":      {func(s *Spec) { s.Direction = "left" }, `direction "left" is unknown; known: up, down, both`},
		"pattern":        {func(s *Spec) { s.Pattern = "chess" }, `pattern "chess" is unknown; known: stream, request-response`},
		"both":           {func(s *Spec) { s.Pattern, s.Direction = RequestResponse, Both }, `request-response goes up: the client asks, the server answers; direction "both" does not go with it`},
		"deadlines":      {func(s *Spec) { s.Deadlines = make([]time.Duration, 33); s.Deadlines[0] = 1 }, "33 deadlines are too many: at most 32\ndeadline 0s: must be above 0, at most 100 days"},
		"deadline":       {func(s *Spec) { s.Deadlines = []time.Duration{1, -time.Second} }, "deadline -1s: must be above 0, at most 100 days"},
		"interval":       {func(s *Spec) { s.Interval = time.Microsecond }, "interval 1µs is out of range: 1ms to 1h"},
		"quiet":          {func(s *Spec) { s.Quiet = -1 }, "quiet -1ns is out of range: 1ms to 10 days"},
		"patience":       {func(s *Spec) { s.Patience = 241 * time.Hour }, "stall timeout 241h0m0s is out of range: 1ms to 10 days"},
		"send buffer":    {func(s *Spec) { s.SendBuffer = -1 }, "send buffer -1 is out of range: 0 (the default) to 1073741824 bytes"},
		"receive buffer": {func(s *Spec) { s.ReceiveBuffer = 1 << 31 }, "receive buffer 2147483648 is out of range: 0 (the default) to 1073741824 bytes"},
		"all at once":    {func(s *Spec) { s.Proto, s.Plan.Size, s.Quiet = "x", 1, 1 }, "protocol \"x\" is unknown; known: tcp, udp\nsize 1: must be at least 40 (the header)\nquiet 1ns is out of range: 1ms to 10 days"},
		"edges": {func(s *Spec) {
			s.Quiet, s.Patience, s.SendBuffer, s.Plan.Size = 240*time.Hour, time.Millisecond, 1<<30, 65_507
		}, ""},
		"a large message": {func(s *Spec) { s.Proto, s.Plan.Size = "tcp", 16<<20 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			x.spoil(&s)
			got := ""
			if err := s.Validate(real()); err != nil {
				got = err.Error()
			}
			if got != x.want {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}

func TestWithDefaults(t *testing.T) {
	want := Spec{
		Proto: "tcp", Plan: workload.Plan{}.WithDefaults(), Direction: Up, Pattern: Stream, Connection: Long,
		Interval: time.Second, Quiet: DefaultQuiet, Patience: DefaultPatience,
	}
	s := Spec{Proto: "tcp"}.WithDefaults()
	if !reflect.DeepEqual(s, want) || !reflect.DeepEqual(s.WithDefaults(), want) {
		t.Errorf("%+v, want %+v", s, want)
	}
}

// A session crosses the control channel whole.
func TestSpecJSON(t *testing.T) {
	want := Spec{
		Proto: "udp", Direction: Both, Pattern: Stream, Connection: Short, Deadlines: []time.Duration{1, 2},
		Plan:     workload.Plan{Count: 1, Duration: 2, Size: 3, Rate: 4.5, Saturate: true, Arrival: workload.Burst, Burst: 6, Seed: 1<<64 - 1},
		Interval: 3, Quiet: 4, Patience: 5, Congestion: "reno", Nagle: true, NoBatch: true, SendBuffer: 6, ReceiveBuffer: 7,
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Spec
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
