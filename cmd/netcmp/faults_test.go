package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A path that is cut for a second holds a run up and no more; one that is cut for longer
// ends it, in bounded time, with what was measured until then, and the server keeps
// nothing of it.
func TestPathCut(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute, of which others test every part")
	}
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	for _, x := range []struct {
		name, path, code string
		delivered        int64 // at the least
	}{
		{"a second", "--at 0s 'delay 10ms' --at 2s 'loss 100%' --at 3s 'delay 10ms loss 0%'", "0", 400},
		{"for good", "--at 0s 'delay 10ms' --at 3s 'loss 100%' --at 28s 'delay 10ms loss 0%'", "1", 50},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := func(name string) string { return filepath.Join(dir, name) }
			begun := time.Now()
			over(t, x.path, "exec netcmp serve --listen 198.18.0.2:7700", "cut.sh", "198.18.0.2:7700", file("out.jsonl"), file("code"), file("metrics"))
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			code, _ := os.ReadFile(file("code"))
			saved, err := readFiles(file("out.jsonl"))
			if err != nil || len(saved.Documents) != 1 || strings.TrimSpace(string(code)) != x.code {
				t.Fatalf("exit code %s, %d documents, %v", code, len(saved.Documents), err)
			}
			d := saved.Documents[0]
			if *d.Delivery.Delivered < x.delivered || d.Interrupted != (x.code != "0") {
				t.Errorf("%d delivered, interrupted %v, %q", *d.Delivery.Delivered, d.Interrupted, d.Warnings)
			}
			if metrics, _ := os.ReadFile(file("metrics")); !strings.Contains(string(metrics), "netcmp_sessions 0") {
				t.Errorf("the server says %q", metrics)
			}
		})
	}
}

// A server that is killed in the middle of a run ends it at once, with what was
// measured; the next one at its place serves.
func TestServerKilled(t *testing.T) {
	path := install(t)
	dir := t.TempDir()
	identity := filepath.Join(dir, "identity.pem")
	start := func(listen string) (cmd *exec.Cmd, addr, fingerprint string) {
		cmd = exec.CommandContext(t.Context(), "sh", "-c", "exec netcmp serve --open --identity "+identity+" --log-level disabled --listen "+listen) //nolint:gosec // the test's own
		cmd.Env = append(os.Environ(), "PATH="+path)
		var told lockedBuffer
		cmd.Stderr = &told
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for {
			if _, rest, ok := strings.Cut(told.String(), "--connect "); ok && strings.HasSuffix(rest, "\n") {
				words := strings.Fields(rest)
				return cmd, words[0], words[2]
			}
			if !bytes.Contains([]byte(told.String()), []byte("serving")) && cmd.ProcessState != nil {
				t.Fatal(told.String())
			}
			time.Sleep(time.Millisecond)
		}
	}
	server, addr, fingerprint := start("127.0.0.1:0")
	out := filepath.Join(dir, "out.jsonl")
	killed := make(chan struct{})
	time.AfterFunc(1500*time.Millisecond, func() {
		defer close(killed)
		_ = server.Process.Signal(syscall.SIGKILL)
	})
	begun := time.Now()
	code, _, errs := netcmp(t.Context(), "run", "--proto", "udp", "--connect", addr, "--fingerprint", fingerprint, "--duration", "30s", "--rate-messages", "100", "--quiet", "--out", out)
	<-killed
	if took := time.Since(begun); code != exitFailed || !strings.Contains(errs, "the server is gone") || took > 10*time.Second {
		t.Errorf("exit code %d after %v, %q", code, took, errs)
	}
	saved, err := readFiles(out)
	if err != nil || len(saved.Documents) != 1 || *saved.Documents[0].Delivery.Delivered == 0 {
		t.Errorf("%d documents, %v", len(saved.Documents), err)
	}
	_, addr, _ = start(addr)
	code, _, errs = netcmp(t.Context(), "run", "--proto", "udp", "--connect", addr, "--fingerprint", fingerprint, "--count", "20", "--quiet")
	if code != exitDone {
		t.Errorf("exit code %d, %q", code, errs)
	}
}
