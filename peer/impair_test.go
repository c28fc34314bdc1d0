package peer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"netcmp/netem/tc"
	"netcmp/transport"
)

// paths are a device's that is made up.
type paths struct {
	there atomic.Pointer[tc.Setup]
	made  atomic.Int64
	fail  error
}

func (p *paths) take(s tc.Setup, o tc.Options) (held, error) {
	switch {
	case p.fail != nil:
		return nil, p.fail
	case o.For <= 0:
		return nil, errors.New("without end")
	case !p.there.CompareAndSwap(nil, &s):
		return nil, tc.ErrApplied
	}
	p.made.Add(1)
	return p, nil
}

func (p *paths) Release() error {
	p.there.Store(nil)
	return nil
}

// The server makes the path of a session for its packets alone, and for as long as it
// lasts, however it ends.
func TestImpair(t *testing.T) {
	var device paths
	r := newRemote(t, ServerConfig{Path: ServerPath{Device: "eth7", take: device.take}})
	spec := Spec{Proto: "udp", Plan: plan(50, 500), Impair: &Impair{Up: "delay 10ms", Down: "loss 1%"}}
	out, err := Run(t.Context(), r.client, spec, func(Progress) {
		if s := device.there.Load(); s != nil && (s.Device != "eth7" || s.Filter.Port == 0 || s.In.String() != "delay 10ms" || s.Out.String() != "loss 1%") {
			t.Errorf("%+v", s)
		}
	})
	if err != nil || out.Error != "" || device.made.Load() != 1 {
		t.Fatalf("%v, %+v, %d paths", err, out, device.made.Load())
	}
	if !strings.Contains(strings.Join(out.Notes, "\n"), "TCP sender") {
		t.Errorf("notes %q", out.Notes)
	}
	r.settled(t, &device)

	// A second one waits for its turn, and harms nobody.
	holder := r.held(t, spec)
	if _, err := Run(t.Context(), r.client, spec, nil); err == nil || !strings.Contains(err.Error(), "another path just now") {
		t.Errorf("a second path: %v", err)
	}
	if device.there.Load() == nil {
		t.Error("the second took the first one's path away")
	}
	holder()
	r.settled(t, &device)

	device.fail = tc.ErrNoNetem
	if _, err := Run(t.Context(), r.client, spec, nil); !errors.Is(err, transport.ErrNotSupported) {
		t.Errorf("a kernel without netem: %v", err)
	}
	r.settled(t, &device)
}

// held opens a session that nobody uses; end ends it.
func (r *rig) held(t *testing.T, spec Spec) (end func()) {
	t.Helper()
	if err := r.channel().call(t.Context(), "POST", "/v1/sessions", spec.WithDefaults(), &created{}); err != nil {
		t.Fatal(err)
	}
	return func() {
		r.server.mu.Lock()
		var all []*session
		for _, x := range r.server.sessions {
			all = append(all, x)
		}
		r.server.mu.Unlock()
		for _, x := range all {
			x.close()
		}
	}
}

// settled waits until the server has no session, which then has no path either.
func (r *rig) settled(t *testing.T, p *paths) {
	t.Helper()
	eventually(t, "the sessions end", func() bool { return r.sessions() == 0 })
	if p.there.Load() != nil {
		t.Error("a path is left")
	}
}

// What a server is not allowed to do, and what nobody can do, is refused: a file of the
// server's is not even looked at.
func TestImpairRefuses(t *testing.T) {
	var device paths
	r := newRemote(t, ServerConfig{Path: ServerPath{Device: "eth7", take: device.take}})
	file := filepath.Join(t.TempDir(), "table")
	if err := os.WriteFile(file, []byte("1 2 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for up, says := range map[string]string{
		"":                                   "does nothing",
		"delay":                              "delay",
		"loss 300%":                          "300%",
		"delay 5ms 1ms distribution " + file: "a file is of the machine that names it",
		"trace " + file:                      "a file is of the machine that names it",
		"tr " + file:                         "tr",
		"rate 1mbit queue codel":             "emulator",
	} {
		err := r.channel().call(t.Context(), "POST", "/v1/sessions",
			Spec{Proto: "udp", Plan: plan(5, 500), Impair: &Impair{Up: up}}.WithDefaults(), &created{})
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", up, err, says)
		}
	}
	closed := newRemote(t, ServerConfig{})
	_, err := Run(t.Context(), closed.client, Spec{Proto: "udp", Plan: plan(5, 500), Impair: &Impair{Up: "delay 5ms"}}, nil)
	if !errors.Is(err, transport.ErrNotSupported) || !strings.Contains(err.Error(), "--allow-netem") {
		t.Errorf("a server that makes no paths: %v", err)
	}
	if device.made.Load() != 0 {
		t.Error("a path was made")
	}
}
