package experiment

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"netcmp/workload"
)

// Each end writes profiles of itself, and they tell of its work.
func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	c := config(t, "udp", "", workload.Plan{Saturate: true, Duration: 300 * time.Millisecond, Size: 64})
	c.Engine = None
	c.Profile = Profiles{CPU: filepath.Join(dir, "cpu.pprof"), Memory: filepath.Join(dir, "memory")}
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for name, tells := range map[string]string{
		"cpu-client.pprof": "peer.(*sender).run", "cpu-server.pprof": "peer.(*receiver).run",
		"memory-client": "peer.(*sender).run", "memory-server": "peer.(*receiver).run",
	} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(name, err)
		}
		if text, err := io.ReadAll(z); err != nil || !bytes.Contains(text, []byte(tells)) {
			t.Errorf("%s does not tell of %s: %d bytes, %v", name, tells, len(text), err)
		}
	}
}

// A profile that cannot be written is an error that names it, and no run.
func TestProfileRefused(t *testing.T) {
	c := config(t, "udp", "", workload.Plan{Count: 10})
	c.Engine = None
	c.Profile.CPU = filepath.Join(t.TempDir(), "none", "cpu")
	d, err := Run(t.Context(), c)
	if d != nil || err == nil || !bytes.Contains([]byte(err.Error()), []byte("cpu-client")) {
		t.Errorf("%v, %v", d, err)
	}
}
