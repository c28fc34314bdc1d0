package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A path that is cut for a second holds a run up and no more; one that is cut for longer
// ends it, in bounded time, with what was measured until then, and the server keeps
// nothing of it.
func TestPathCut(t *testing.T) {
	needs(t, "curl")
	for _, x := range []struct {
		name, path, code string
		delivered        int64 // at the least
		back             int   // s from the start
	}{
		{"1 s", "--at 0s 'delay 10ms' --at 2s 'loss 100%' --at 3s 'delay 10ms loss 0%'", "0", 400, 3},
		{"10 s", "--at 0s 'delay 10ms' --at 3s 'loss 100%' --at 13s 'delay 10ms loss 0%'", "", 50, 13},
		{"60 s", "--at 0s 'delay 10ms' --at 3s 'loss 100%' --at 63s 'delay 10ms loss 0%'", "1", 50, 63},
	} {
		t.Run(x.name, func(t *testing.T) {
			waits(t)
			dir := t.TempDir()
			file := func(name string) string { return filepath.Join(dir, name) }
			over(t, x.path, "exec netcmp serve --listen 198.18.0.2:7700", "cut.sh", "198.18.0.2:7700", file("out.jsonl"), file("told"), file("metrics"), strconv.Itoa(x.back))
			var code string
			var took int
			told, _ := os.ReadFile(file("told"))
			if _, err := fmt.Sscan(string(told), &code, &took); err != nil || took > 40 {
				t.Errorf("the run has told %q", told)
			}
			saved, err := readFiles(file("out.jsonl"))
			if err != nil || len(saved.Documents) != 1 || code != cmp.Or(x.code, code) {
				t.Fatalf("exit code %s, %d documents, %v", code, len(saved.Documents), err)
			}
			d := saved.Documents[0]
			if *d.Delivery.Delivered < x.delivered || d.Interrupted != (code != "0") {
				t.Errorf("%d delivered, interrupted %v, %q", *d.Delivery.Delivered, d.Interrupted, d.Warnings)
			}
			free(t, file("metrics"))
		})
	}
}

// needs skips a test that takes half a minute or more where time is short, and has it wait
// beside others otherwise; and where a program is not there that its script calls.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("half a minute, of which others test every part")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	t.Parallel()
}

// free holds a server to having no session left, by the metrics that it has told.
func free(t *testing.T, metrics string) {
	t.Helper()
	b, err := os.ReadFile(metrics)
	if err != nil || !strings.Contains(string(b), "netcmp_sessions 0\n") {
		t.Errorf("the server has told %q, %v", b, err)
	}
}

// A client that goes without a word, its machine and all, leaves nothing at the server.
func TestClientGone(t *testing.T) {
	needs(t, "curl", "nft")
	for _, proto := range []string{"tcp", "udp", "quic"} {
		t.Run(proto, func(t *testing.T) {
			waits(t)
			metrics := filepath.Join(t.TempDir(), "metrics")
			over(t, "--delay 10ms", "exec netcmp serve --listen 198.18.0.2:7700", "gone.sh", "198.18.0.2:7700", metrics, proto)
			free(t, metrics)
			if b, _ := os.ReadFile(metrics); !strings.Contains(string(b), `netcmp_sessions_closed_total{proto="`+proto+`"`) {
				t.Errorf("no session was there: %q", b)
			}
		})
	}
}

// A data connection that dies without a word, while the control channel goes on, ends the
// run in bounded time, with what was measured until then.
func TestHalfOpen(t *testing.T) {
	needs(t, "nft")
	for _, proto := range []string{"tcp", "tls", "quic"} {
		t.Run(proto, func(t *testing.T) {
			waits(t)
			dir := t.TempDir()
			out, told := filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "code")
			begun := time.Now()
			over(t, "--delay 10ms", "exec netcmp serve --listen 198.18.0.2:7700 --data-ports 7701-7701", "half.sh", "198.18.0.2:7700", out, told, proto)
			if took := time.Since(begun); took > 90*time.Second {
				t.Errorf("it took %v", took)
			}
			saved, err := readFiles(out)
			if err != nil || len(saved.Documents) != 1 {
				t.Fatalf("%d documents, %v", len(saved.Documents), err)
			}
			if d := saved.Documents[0]; *d.Delivery.Delivered < 50 || *d.Delivery.Delivered > 350 || len(d.Warnings) == 0 {
				t.Errorf("%d delivered, %q", *d.Delivery.Delivered, d.Warnings)
			}
		})
	}
}

// Small packets and large ones carry all protocols, but for QUIC, which says what it
// needs; and UDP's messages take the packets that they have to.
func TestPacketSizes(t *testing.T) {
	needs(t)
	for _, x := range []struct {
		name, mtu, size, protos string
		each                    int // packets a message of UDP
	}{
		{"576", "576", "500", "tcp tls udp", 1},
		{"576, fragments", "576", "1400", "udp", 3},
		{"9000", "9000", "8900", "tcp tls udp quic quic-streams", 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			works(t)
			dir := t.TempDir()
			out, packets := filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "packets")
			protos := strings.Fields(x.protos)
			over(t, "--clean", "", "mtu.sh", append([]string{x.mtu, x.size, out, packets}, protos...)...)
			saved, err := readFiles(out)
			if err != nil || len(saved.Documents) != 2*len(protos) {
				t.Fatalf("%d documents, %v", len(saved.Documents), err)
			}
			for _, d := range saved.Documents {
				if *d.Delivery.Delivered != 200 {
					t.Errorf("%s %s: %d delivered", d.Proto, d.Plan.Direction, *d.Delivery.Delivered)
				}
			}
			told, _ := os.ReadFile(packets)
			// Beside them there are those of the control channel.
			if n, err := strconv.Atoi(strings.TrimSpace(string(told))); err != nil || n < 200*x.each || n > 200*x.each+100 {
				t.Errorf("%d packets of UDP, %v", n, err)
			}
		})
	}
	t.Run("QUIC", func(t *testing.T) {
		works(t)
		err := attempt(t, "--clean", "", "mtu.sh", "576", "100", filepath.Join(t.TempDir(), "out.jsonl"), os.DevNull, "quic")
		if err == nil || !strings.Contains(err.Error(), "needs packets of 1228 bytes") {
			t.Errorf("it says %v", err)
		}
	})
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
