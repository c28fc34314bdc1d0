package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/result"
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

// A wall clock that somebody sets by an hour in the middle of a run changes no figure: in
// the lab, to a server, over what has certificates and tickets. Only what the packets
// tell, which they tell by that clock, is left out, and the report says so.
func TestClockStepped(t *testing.T) {
	if os.Getenv("NETCMP_SET_CLOCK") == "" {
		t.Skip("it sets the machine's clock: make test-vm")
	}
	step := func(by time.Duration) {
		now := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Error(err)
		}
	}
	addr, fingerprint := serving(t, "--open")
	connect := "--connect " + addr + " --fingerprint " + fingerprint
	const delay = 20 * time.Millisecond
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		for _, x := range []struct {
			args  string
			least time.Duration // of the delay
		}{
			{"--proto udp --clock estimate " + connect, 0},
			{"--proto tls " + connect, 0},
			{"--proto quic --resume " + connect, 0},
			{"--proto tcp --engine emulator --delay 20ms", delay},
		} {
			stepped := make(chan struct{})
			time.AfterFunc(1200*time.Millisecond, func() { defer close(stepped); step(by) })
			begun := time.Now()
			code, out, errs := netcmp(t.Context(), append(strings.Fields("run --count 100 --rate-messages 50 --json"), strings.Fields(x.args)...)...)
			<-stepped
			took := time.Since(begun)
			var d result.Document
			if err := json.Unmarshal([]byte(out), &d); code != exitDone || err != nil {
				t.Errorf("%s: exit code %d, %v, %s", x.args, code, err, errs)
				continue
			}
			if low, high := time.Duration(*d.Delay.MinNS), time.Duration(*d.Delay.MaxNS); low < x.least || high > x.least+2*time.Second || *d.Delivery.Delivered != 100 || took > time.Minute {
				t.Errorf("%s by %v: %d delivered, within %v to %v, in %v", x.args, by, *d.Delivery.Delivered, low, high, took)
			}
			if told := strings.Contains(strings.Join(d.Warnings, "\n"), "clock was set"); d.Link != nil && (!told || d.Anatomy != nil) {
				t.Errorf("%s: anatomy %v, %q", x.args, d.Anatomy, d.Warnings)
			}
		}
	}
}

// serve starts a server as a process of its own, which ends with the test; told is what it
// says.
func serve(t *testing.T, flags string) (server *exec.Cmd, addr, fingerprint string, told *lockedBuffer) {
	t.Helper()
	server = exec.CommandContext(t.Context(), "sh", "-c", "exec netcmp serve --open --log-level info "+flags)
	server.Env = append(os.Environ(), "PATH="+install(t))
	told = new(lockedBuffer)
	server.Stderr = told
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Wait() }()
	t.Cleanup(func() { _ = server.Process.Kill(); <-ended })
	for {
		if line, ok := strings.CutSuffix(told.String(), "\n"); ok {
			_, rest, _ := strings.Cut(line, "--connect ")
			if words := strings.Fields(rest); len(words) >= 3 {
				return server, words[0], words[2], told
			}
			t.Fatal(line)
		}
		select {
		case <-ended:
			t.Fatal(told.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// A server that is asked to end lets a session come to its end, and opens no other; asked
// once more, it ends at once.
func TestServerStops(t *testing.T) {
	session := func(addr, fingerprint string) (ended chan int) {
		ended = make(chan int, 1)
		go func() {
			code, _, _ := netcmp(t.Context(), "run", "--proto", "tcp", "--connect", addr, "--fingerprint", fingerprint, "--duration", "2s", "--rate-messages", "100", "--quiet")
			ended <- code
		}()
		return ended
	}
	says := func(told *lockedBuffer, words string) {
		t.Helper()
		for begun := time.Now(); !strings.Contains(told.String(), words); time.Sleep(time.Millisecond) {
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("it has not said %q but %q", words, told)
			}
		}
	}
	for _, signals := range []int{1, 2} {
		server, addr, fingerprint, told := serve(t, "--listen 127.0.0.1:0")
		ended := session(addr, fingerprint)
		says(told, "session started")
		_ = server.Process.Signal(syscall.SIGTERM)
		says(told, "stopping")
		want := exitDone
		if signals == 1 {
			code, _, errs := netcmp(t.Context(), "run", "--proto", "udp", "--connect", addr, "--fingerprint", fingerprint, "--count", "1")
			if code != exitFailed || !strings.Contains(errs, "stopping") {
				t.Errorf("another session: exit code %d, %q", code, errs)
			}
		} else {
			want = exitFailed
		}
		var code int
		for over := false; !over; {
			select {
			case code = <-ended:
				over = true
			case <-time.After(20 * time.Millisecond): // it may not have got used to the first one yet
				if signals == 2 {
					_ = server.Process.Signal(syscall.SIGTERM)
				}
			}
		}
		if code != want {
			t.Errorf("%d signals: the session has ended with %d", signals, code)
		}
	}
}

// Ten thousand connections that say nothing are held, a client beside them is served as
// ever, and they are sent away in time.
func TestIdleConnections(t *testing.T) {
	needs(t)
	const silent, most = 10_000, 20 << 10 // bytes of memory each
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < silent+500 {
		t.Skipf("%d files are all that this process may have, %v", limit.Max, err)
	}
	beginning <- struct{}{} // the others wait until the connections are there
	server, addr, fingerprint, _ := serve(t, "--listen 127.0.0.1:0 --client-limit 0")
	state := func() (files int, resident int) {
		all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", server.Process.Pid))
		var size int
		if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
			t.Fatal(err)
		}
		return len(all), resident * os.Getpagesize()
	}
	files, resident := state()
	begun := time.Now()
	held := make([]net.Conn, silent)
	for i := range held {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
		held[i] = c
	}
	code, _, errs := netcmp(t.Context(), "run", "--proto", "udp", "--connect", addr, "--fingerprint", fingerprint, "--count", "100", "--quiet", "--expect", "delivery.ratio>=1")
	if code != exitDone {
		t.Errorf("exit code %d, %s", code, errs)
	}
	many, memory := state()
	<-beginning
	t.Logf("%d files and %d bytes each, after %v", many-files, (memory-resident)/silent, time.Since(begun))
	if many < files+silent || memory-resident > silent*most {
		t.Errorf("%d files and %d bytes, without them %d and %d", many, memory, files, resident)
	}
	for i, c := range held {
		_ = c.SetReadDeadline(begun.Add(time.Minute))
		if n, err := c.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d: %d bytes, %v", i, n, err)
		}
	}
	for now, _ := state(); now > files+4; now, _ = state() {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%d files are left, of %d", now, many)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A server that is killed in the middle of a run ends it at once, with what was
// measured; the next one at its place serves.
func TestServerKilled(t *testing.T) {
	dir := t.TempDir()
	identity := " --identity " + filepath.Join(dir, "identity.pem")
	server, addr, fingerprint, _ := serve(t, "--listen 127.0.0.1:0"+identity)
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
	_, addr, _, _ = serve(t, "--listen "+addr+identity)
	code, _, errs = netcmp(t.Context(), "run", "--proto", "udp", "--connect", addr, "--fingerprint", fingerprint, "--count", "20", "--quiet")
	if code != exitDone {
		t.Errorf("exit code %d, %q", code, errs)
	}
}
