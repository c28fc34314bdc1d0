package experiment

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"netcmp/netem"
	"netcmp/peer"
	"netcmp/workload"
)

// The ends wait for longer than the path can hold a message, with two more waits of a
// retransmission timer that has backed off.
func TestStallTimeoutFollowsFromThePath(t *testing.T) {
	gap := filepath.Join(t.TempDir(), "gap.trace")
	// A packet a millisecond for a second, then none for 10 minutes.
	var text strings.Builder
	for ms := range 1000 {
		fmt.Fprintln(&text, ms)
	}
	fmt.Fprintln(&text, 600_000)
	if err := os.WriteFile(gap, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		path, changes string
		least, most   time.Duration
	}{
		{"", "", 30 * time.Second, 30 * time.Second},
		{"delay 20ms loss 2%", "", 30 * time.Second, 30 * time.Second},
		{"loss 100%", "", 30 * time.Second, 30 * time.Second}, // dead, not slow
		{"", "1s loss 100%", 30 * time.Second, 30 * time.Second},
		{"", "1s loss 100%\n36s none", 35*time.Second + 105*time.Second, 160 * time.Second},
		{"", "1s loss 100%\n601s none", 14 * time.Minute, 16 * time.Minute},
		{"delay 60s", "", 6 * time.Minute, 7 * time.Minute},
		{"rate 100kbit", "", 240 * time.Second, 300 * time.Second}, // 1000 packets each way
		{"trace " + gap, "", 44 * time.Minute, 70 * time.Minute},   // a large message waits for two gaps
		{"rate 8bit", "", peer.MaxPatience, peer.MaxPatience},
	} {
		p, err := parsePath(x.path)
		if err != nil {
			t.Fatal(err)
		}
		changes, err := p.Timeline(strings.Split(x.changes, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := stallTimeout(Config{Path: p, Changes: changes}); got < x.least || got > x.most {
			t.Errorf("%q, %q: %v, want %v to %v", x.path, x.changes, got, x.least, x.most)
		}
	}
}

// reliable are the protocols that wait for what is missing.
func reliable() (names []string) {
	for _, x := range Transports() {
		if x.Properties().Reliable {
			names = append(names, x.Name())
		}
	}
	return names
}

// Each protocol outlasts a blackout that is shorter than the stall timeout, and gives up
// in one that is longer, with a word.
func TestStallTimeout(t *testing.T) {
	plan := workload.Plan{Count: 20, Size: 100, Rate: 100}
	change := func(after time.Duration, spec string) netem.Change {
		p, err := parsePath(spec)
		if err != nil {
			t.Fatal(err)
		}
		return netem.Change{At: after, Path: p}
	}
	for _, proto := range reliable() {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			c := config(t, proto, "delay 2ms", plan)
			c.Engine, c.Spec.Patience = Emulator, 5*time.Second
			c.Changes = []netem.Change{change(100*time.Millisecond, "loss 100%"), change(400*time.Millisecond, "delay 2ms")}
			if d := try(t, c); *d.Delivery.Delivered != plan.Count || len(d.Warnings) > 0 {
				t.Errorf("a blackout of 0.3 s: %d of %d delivered, %q", *d.Delivery.Delivered, plan.Count, d.Warnings)
			}
			c.Spec.Patience = 500 * time.Millisecond
			c.Changes[1].At = time.Hour
			begun := time.Now()
			d, err := Run(t.Context(), c)
			if d == nil {
				t.Fatal(err)
			}
			told := fmt.Sprint(d.Warnings, err)
			if n := *d.Delivery.Delivered; n == 0 || n == plan.Count || !strings.Contains(told, "--stall-timeout") {
				t.Errorf("a dead path: %d of %d delivered, %s", n, plan.Count, told)
			}
			// Closing waits for 3 s, at either end.
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("a dead path: the run took %v", took)
			}
		})
	}
}

// A run that sends nothing is an error of one line, and no document; one whose messages
// are all lost is a result.
func TestNothingMeasured(t *testing.T) {
	for _, x := range Transports() {
		for name, spec := range map[string]peer.Spec{
			"up": {}, "down": {Direction: peer.Down}, "both": {Direction: peer.Both},
			"request-response": {Pattern: peer.RequestResponse}, "short": {Connection: peer.Short},
		} {
			if spec.Connection == peer.Short && !slices.Contains(reliable(), x.Name()) {
				continue
			}
			for _, count := range []int64{0, 100} {
				spec.Proto, spec.Plan = x.Name(), workload.Plan{Saturate: true, Duration: time.Microsecond, Count: count}
				d, err := Run(t.Context(), Config{Spec: spec, Engine: None})
				if d != nil || err == nil || !strings.HasPrefix(err.Error(), "nothing was measured: no message was sent within --duration 1µs; give") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s, %s, count %d: %v, document %v", x.Name(), name, count, err, d != nil)
				}
			}
		}
	}
	c := config(t, "udp", "loss 100%", workload.Plan{Count: 10, Rate: 1000})
	if d := try(t, c); d.Delivery.Sent != 10 || *d.Delivery.Delivered != 0 {
		t.Errorf("%d of %d came over a path that loses all", *d.Delivery.Delivered, d.Delivery.Sent)
	}
}
