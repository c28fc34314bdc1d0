package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netcmp/doctor"
	"netcmp/experiment"
	"netcmp/lab"
	"netcmp/result"
)

func TestMain(m *testing.M) {
	roles := experiment.Roles()
	maps.Copy(roles, doctor.Roles())
	roles["netcmp"] = func() int { main(); return 0 } // the program itself, as a process
	lab.Dispatch(roles)
	goleak.VerifyTestMain(m)
}

// netcmp runs the program in this process.
func netcmp(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, append([]string{"netcmp"}, args...), nil, &out, &err)
	return code, out.String(), err.String()
}

// in runs the program in a lab's stead, or skips where there is no lab.
func in(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	code, stdout, stderr = netcmp(t.Context(), args...)
	if code == exitUnsupported {
		t.Skip(stderr)
	}
	return code, stdout, stderr
}

// Each wrong input gets one line that says what is wrong and what is allowed,
// and exit code 2.
func TestWrongInput(t *testing.T) {
	for _, x := range []struct {
		args string
		want string // in the line
	}{
		{"run --proto udp --loss 120%", "120%"},
		{"run --proto udp --loss -1%", "-1%"},
		{"run --proto udp --loss many", "many"},
		{"run --proto carrier-pigeon", "tcp, udp"},
		{"run", "proto"},
		{"run --proto udp --delay 20parsecs", "20parsecs"},
		{"run --proto udp --rate 10furlongs", "10furlongs"},
		{"run --proto udp --size 39", "40"},
		{"run --proto udp --size 70000", "65507"},
		{"run --proto udp --size many", "many"},
		{"run --proto udp --count 0", "at least 1"},
		{"run --proto udp --count -5", "at least 1"},
		{"run --proto udp --rate-messages 0", "0"},
		{"run --proto udp --rate-messages -3", "-3"},
		{"run --proto udp --duration -1s", "-1s"},
		{"run --proto udp --duration 5", "5"},
		{"run --proto udp --arrival sometimes", "constant, poisson, burst"},
		{"run --proto udp --direction sideways", "up, down, both"},
		{"run --proto udp --pattern stripes", "stream, request-response"},
		{"run --proto udp --pattern request-response --direction down", "up"},
		{"run --proto udp --engine steam", "auto, emulator, none"},
		{"run --proto udp --engine none --loss 1%", "--engine none"},
		{"run --proto udp --seed twelve", "twelve"},
		{"run --proto udp --seed -1", "-1"},
		{"run --proto udp --deadline soon", "soon"},
		{"run --proto udp --deadline 0s", "0s"},
		{"run --proto udp --netem delay --loss 1%", "--loss"},
		{"run --proto udp --clean --loss 1%", "--clean"},
		{"run --proto udp --jitter 5ms", "--delay"},
		{"run --proto udp --reorder 5%", "delay"},
		{"run --proto udp --limit 0", "limit"},
		{"run --proto udp --expect delivery.rato>0", "delivery.ratio"},
		{"run --proto udp --expect nonsense", "nonsense"},
		{"run --proto udp --saturate --rate-messages 5", "--rate-messages"},
		{"run --proto tcp --congestion warp", "cubic"},
		{"run --proto udp --send-buffer -1", "-1"},
		{"run --proto udp extra", "extra"},
		{"run --proto udp --connect nowhere", "HOST:PORT"},
		{"run --proto udp --no-such-flag", "no-such-flag"},
		{"fly", "run"},
		{"lab fly", "exec"},
		{"lab exec", "PROGRAM"},
		{"lab exec --loss 200% -- true", "200%"},
		{"lab exec --engine none -- true", "--engine none"},
		{"lab exec -- no-such-program-anywhere", "no-such-program-anywhere"},
		{"serve --listen 0.0.0.0:0", "--token"},
		{"serve --listen here", "IP:PORT"},
		{"serve --log-level loud", "loud"},
		{"doctor me", "me"},
	} {
		t.Run(x.args, func(t *testing.T) {
			code, out, err := netcmp(t.Context(), strings.Fields(x.args)...)
			if code != exitUsage {
				t.Errorf("exit code %d", code)
			}
			if out != "" || strings.Count(err, "\n") != 1 || !strings.Contains(err, x.want) || strings.Contains(err, "\n\n") {
				t.Errorf("stdout %q, stderr %q, want one line with %q", out, err, x.want)
			}
		})
	}
}

func TestJSONIsOneDocumentAndNothingElse(t *testing.T) {
	code, out, err := in(t, "run", "--proto", "udp", "--count", "200", "--seed", "3", "--json")
	if code != 0 || err != "" {
		t.Fatalf("exit code %d, stderr %q", code, err)
	}
	var d result.Document
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != result.Schema || d.Seed != 3 || d.Plan.NetemUp != "delay 20ms loss 2%" || !d.Plan.PathDefault {
		t.Errorf("schema %q, seed %d, path %q", d.Schema, d.Seed, d.Plan.NetemUp)
	}
	// What the document says of how to make it again makes it again.
	_, out, _ = in(t, append(words(d.Plan.Command), "--json")...)
	var again result.Document
	if err := json.Unmarshal([]byte(out), &again); err != nil {
		t.Fatal(err)
	}
	if again.Delivery.Sent != d.Delivery.Sent || *again.Delivery.Lost != *d.Delivery.Lost {
		t.Errorf("again: %+v, first %+v", again.Delivery, d.Delivery)
	}
}

// words are those of a command line without quotes, its program left out.
func words(command string) []string { return strings.Fields(command)[1:] }

func TestTextTellsWhatHappened(t *testing.T) {
	for proto, want := range map[string]string{"tcp": "a phone call", "udp": "a letter"} {
		code, out, _ := in(t, "run", "--proto", proto, "--count", "500", "--loss", "5%", "--delay", "5ms", "--seed", "1")
		if code != 0 || !strings.Contains(out, want) || !strings.Contains(out, "again") || !strings.Contains(out, "seed 1") {
			t.Errorf("%s: exit code %d\n%s", proto, code, out)
		}
	}
	if code, out, err := in(t, "run", "--proto", "udp", "--count", "50", "--quiet"); code != 0 || out+err != "" {
		t.Errorf("--quiet: exit code %d, %q, %q", code, out, err)
	}
}

func TestExpectDecidesTheExitCode(t *testing.T) {
	args := []string{"run", "--proto", "udp", "--count", "300", "--loss", "50%", "--quiet"}
	if code, _, err := in(t, append(args, "--expect", "delivery.ratio>=0.2", "--expect", "account.unexplained==0")...); code != 0 {
		t.Errorf("expectations that hold: exit code %d, %s", code, err)
	}
	code, _, err := in(t, append(args, "--expect", "delivery.ratio>=0.2", "--expect", "delivery.ratio>=0.99")...)
	if code != exitExpect || !strings.Contains(err, "0.99") {
		t.Errorf("one that does not: exit code %d, %q", code, err)
	}
}

func TestOutAppendsALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.jsonl")
	for n := 1; n <= 2; n++ {
		if code, _, err := in(t, "run", "--proto", "udp", "--count", "50", "--quiet", "--out", file); code != 0 {
			t.Fatalf("exit code %d: %s", code, err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(b, []byte("\n")); got != n {
			t.Errorf("%d lines after %d runs", got, n)
		}
	}
	if code, _, err := netcmp(t.Context(), "run", "--proto", "udp", "--out", "/nowhere/at/all"); code != exitFailed || strings.Count(err, "\n") != 1 {
		t.Errorf("a folder that is not there: exit code %d, %q", code, err)
	}
}

// A disk that is full is told, and what was measured is shown all the same.
func TestFullDiskLosesNothing(t *testing.T) {
	code, out, err := in(t, "run", "--proto", "udp", "--count", "50", "--quiet", "--out", "/dev/full")
	if code != exitFailed || !strings.Contains(err, "/dev/full") || !strings.Contains(out, "delivery") {
		t.Errorf("exit code %d, stderr %q, stdout %q", code, err, out)
	}
}

func TestInterruptReportsWhatThereIs(t *testing.T) {
	ctx, interrupt := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer interrupt()
	code, out, err := netcmp(ctx, "run", "--proto", "udp", "--count", "100000", "--delay", "5ms")
	if code == exitUnsupported {
		t.Skip(err)
	}
	if code != exitInterrupted || !strings.Contains(out, "interrupted") {
		t.Errorf("exit code %d\n%s%s", code, out, err)
	}
}

func TestLabExecTakesOverTheExitCode(t *testing.T) {
	if code, _, err := in(t, "lab", "exec", "--clean", "--", "sh", "-c", "exit 9"); code != 9 {
		t.Errorf("exit code %d: %s", code, err)
	}
	if code, _, err := in(t, "lab", "exec", "--clean", "--server-exec", "exit 3", "--", "true"); code != exitFailed || !strings.Contains(err, "exit status 3") {
		t.Errorf("a server's program that fails: exit code %d: %s", code, err)
	}
}

// serve and --connect are the lab's own two ends, between machines.
func TestServeAndConnect(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var told lockedBuffer
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"netcmp", "serve", "--listen", "127.0.0.1:0", "--token", "sesame", "--log-level", "disabled"}, nil, &told, &told)
	}()
	defer func() {
		stop()
		if code := <-ended; code != exitInterrupted {
			t.Errorf("serve ended with %d", code)
		}
	}()
	var addr string
	for addr == "" {
		if _, rest, ok := strings.Cut(told.String(), "serving on "); ok {
			addr, _, _ = strings.Cut(rest, ";")
		}
		time.Sleep(time.Millisecond)
	}
	for _, proto := range []string{"tcp", "udp"} {
		code, out, err := netcmp(t.Context(), "run", "--proto", proto, "--count", "200", "--connect", addr, "--token", "sesame", "--json")
		var d result.Document
		if jsonErr := json.Unmarshal([]byte(out), &d); code != 0 || jsonErr != nil {
			t.Fatalf("%s: exit code %d, %v, %s", proto, code, jsonErr, err)
		}
		if *d.Delivery.Delivered != 200 || d.Link != nil || d.Engine != "remote" {
			t.Errorf("%s: delivered %d, link %v, engine %s", proto, *d.Delivery.Delivered, d.Link, d.Engine)
		}
	}
	if code, _, err := netcmp(t.Context(), "run", "--proto", "udp", "--connect", addr, "--token", "wrong"); code != exitFailed || !strings.Contains(err, "token") {
		t.Errorf("a wrong token: exit code %d, %q", code, err)
	}
}

func TestDoctor(t *testing.T) {
	code, out, err := netcmp(t.Context(), "doctor")
	if code != 0 && code != exitUnsupported || !strings.Contains(out, "lab") {
		t.Errorf("exit code %d\n%s%s", code, out, err)
	}
}

func TestManualPage(t *testing.T) {
	if code, out, err := netcmp(t.Context(), "man"); code != 0 || !strings.HasPrefix(out, ".") || !strings.Contains(out, "loss") {
		t.Errorf("exit code %d, %.80q, %s", code, out, err)
	}
}
