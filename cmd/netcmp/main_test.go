package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netcmp/capture"
	"netcmp/doctor"
	"netcmp/experiment"
	"netcmp/lab"
	"netcmp/lesson"
	"netcmp/netem/tc"
	"netcmp/result"
)

func TestMain(m *testing.M) {
	roles := experiment.Roles()
	maps.Copy(roles, doctor.Roles())
	maps.Copy(roles, lesson.Roles())
	roles[guardRole] = tc.GuardMain
	roles["netcmp"] = func() int { main(); return 0 } // the program itself, as a process
	lab.Dispatch(roles)
	// How many are at work at once, works says.
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// working and beginning are for the parallel tests that use the machine; the others wait.
var working, beginning = make(chan struct{}, 2), make(chan struct{}, 1)

// works has a test run beside others, when it is its turn.
func works(t *testing.T) {
	t.Helper()
	t.Parallel()
	working <- struct{}{}
	t.Cleanup(func() { <-working })
}

// waits has a test run beside others that does little but wait, once it has begun.
func waits(t *testing.T) {
	t.Helper()
	t.Parallel()
	beginning <- struct{}{}
	time.AfterFunc(1500*time.Millisecond, func() { <-beginning })
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
		{"run --proto carrier-pigeon", "tcp, tls, udp, quic, quic-streams, quic-datagram"},
		{"run", "proto"},
		{"compare --protos tcp", "two protocols"},
		{"compare --protos tcp,carrier-pigeon", "carrier-pigeon"},
		{"compare --protos tcp,,udp", "protocol"},
		{"compare --repeat 0", "1 to 1000"},
		{"compare --format stone", "text, json, markdown, csv"},
		{"compare --size 1300 --protos udp,quic-datagram", "1200"},
		{"compare --expect delivery.ratio>=1", "begin with the protocol"},
		{"compare --expect udp:delivery.ratio", "delivery.ratio"},
		{"compare --expect pigeon:delivery.ratio>=1", "known: tcp, udp, quic"},
		{"compare --expect udp:delay_p98_ns<=1s", "metrics: delivery_ratio, reordered_ratio, delay_p50_ns"},
		{"compare --expect udp:held_ratio<pigeon:held_ratio", "known: tcp, udp, quic"},
		{"run --proto tcp --qlog x", "quic-datagram"},
		{"run --proto udp --keylog x", "tls"},
		{"compare --protos udp,tcp --qlog x", "quic-datagram"},
		{"run --proto tcp --resume", "quic-datagram"},
		{"run --proto udp --resume", "tls"},
		{"compare --protos udp,tcp --resume", "quic-streams"},
		{"run --proto tls --anatomy", "encrypted"},
		{"run --proto udp --anatomy --engine none", "no lab"},
		{"run --proto udp --anatomy --pattern request-response", "round trip"},
		{"run --proto udp --pcap x --connect 192.0.2.7:7700", "no lab"},
		{"run --proto udp --pcap=", "empty"},
		{"run --proto udp --pcap x --pcap-at moon", "known: client, server, path-client, path-server or all"},
		{"run --proto udp --pcap x --pcap-at=", "known: client, server, path-client, path-server or all"},
		{"run --proto udp --pcap-at client", "add --pcap FILE"},
		{"lab exec --pcap x --pcap-at moon -- true", "known: client, server, path-client, path-server or all"},
		{"lab exec --pcap-at all -- true", "add --pcap FILE"},
		{"lesson empty-send --pcap x --pcap-at moon", "known: client, server, path-client, path-server or all"},
		{"lesson --pcap-at all empty-send", "add --pcap FILE"},
		{"report", "give the names of files"},
		{"report --format stone x", "text, json, markdown, csv"},
		{"compare tcp udp", "takes no arguments"},
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
		{"run --proto udp --arrival sometimes", "constant, poisson, burst"},
		{"run --proto udp --direction sideways", "up, down, both"},
		{"run --proto udp --pattern stripes", "stream, request-response"},
		{"run --proto udp --pattern request-response --direction down", "up"},
		{"run --proto udp --engine steam", "auto, emulator, kernel, none"},
		{"run --proto udp --engine none --loss 1%", "--engine none"},
		{"run --proto udp --seed twelve", "twelve"},
		{"run --proto udp --seed -1", "-1"},
		{"run --proto udp --deadline soon", "soon"},
		{"run --proto udp --deadline -5", "-5"},
		{"run --proto udp --deadline 2401h", "100 days"},
		{"run --proto udp --duration soon", "want one as 500ms, 5s or 2h"},
		{"run --proto udp --duration -5", "-5s"},
		{"run --proto udp --duration 1e300", "1e300"},
		{"run --proto udp --stall-timeout 0", "1ms to 240h"},
		{"compare --stall-timeout 241h", "1ms to 240h"},
		{"run --proto udp --deadline 0s", "0s"},
		{"run --proto udp --netem delay --loss 1%", "--loss"},
		{"run --proto udp --clean --loss 1%", "--clean"},
		{"run --proto udp --jitter 5ms", "--delay"},
		{"run --proto udp --reorder 5%", "delay"},
		{"run --proto udp --limit 0", "limit"},
		{"run --proto udp --rate 0", "rate"},
		{"run --proto udp --delay 900000s", "delay"},
		{"run --proto udp --fate chance", "packet or time"},
		{"run --proto udp --profile 9g", "dsl"},
		{"run --proto udp --profile dsl --loss 1%", "--loss"},
		{"run --proto udp --timeline /nowhere/at/all", "/nowhere/at/all"},
		{"run --proto udp --trace-up /nowhere/at/all", "/nowhere/at/all"},
		{"run --proto udp --at 5s", "5s"},
		{"run --proto udp --at soon loss", "soon"},
		{"run --proto udp --engine none --at 5s limit", "limit"},
		{"netem fly", "profiles"},
		{"netem apply --loss 1%", "--dev"},
		{"netem apply --dev eth0", "--loss"},
		{"netem apply eth0 --loss 1%", "--dev eth0"},
		{"netem apply --dev eth0 --loss 120%", "120%"},
		{"netem apply --dev eth0 --netem delay --loss 1%", "--loss"},
		{"netem apply --dev eth0 --loss 1% --for 1ms", "1s"},
		{"netem apply --dev eth0 --loss 1% --filter colour", "src, dst"},
		{"netem script --dev eth0;reboot --loss 1%", "eth0;reboot"},
		{"netem script --dev eth0 --loss 1% --ingress delay", "delay"},
		{"netem show", "--dev"},
		{"netem clear eth0", "--dev eth0"},
		{"run --proto udp --expect delivery.rato>0", "delivery.ratio"},
		{"run --proto udp --expect nonsense", "nonsense"},
		{"run --proto udp --saturate --rate-messages 5", "--rate-messages"},
		{"run --proto tcp --congestion warp", "cubic"},
		{"run --proto udp --send-buffer -1", "-1"},
		{"run --proto udp extra", "extra"},
		{"run --proto udp --profile-cpu=", "empty"},
		{"lesson ttl --lang de", "en, zh"},
		{"monitor", "--connect"},
		{"monitor --connect localhost:1 --every 1ms", "1s to 24h"},
		{"monitor --connect localhost:1 --protos tcp,warp", "warp"},
		{"monitor --connect localhost:1 --expect nonsense", "nonsense"},
		{"run --proto udp --clock ntp", "--connect"},
		{"run --proto udp --clock sun --connect localhost:1", "auto, estimate"},
		{"compare --protos tls,quic --anatomy", "encrypted"},
		{"run --proto udp --connection short", "no connection of its own"},
		{"run --proto tcp --connection middling", "long, short"},
		{"run --proto tcp --connection short --direction both", "goes up"},
		{"run --proto tcp --connection short --anatomy", "connection long"},
		{"run --proto tls --connection short --resume", "does not resume"},
		{"find-rate", "proto"},
		{"find-rate --proto udp --rate-messages 5", "looks for the rate itself"},
		{"find-rate --proto udp --count 5", "looks for the rate itself"},
		{"find-rate --proto udp --loss-limit 3", "0.1%"},
		{"find-rate --proto udp --loss-limit 100%", "below 100%"},
		{"find-rate --proto udp --duration 1ms", "100ms to 1h"},
		{"find-rate --proto udp --size 39", "40"},
		{"find-rate --proto udp extra", "extra"},
		{"run --proto udp --connect nowhere", "HOST:PORT"},
		{"run --proto udp --no-such-flag", "no-such-flag"},
		{"fly", "run"},
		{"lab fly", "exec"},
		{"lab exec", "PROGRAM"},
		{"lab exec --loss 200% -- true", "200%"},
		{"lab exec --engine none -- true", "--engine none"},
		{"lab exec -- no-such-program-anywhere", "no-such-program-anywhere"},
		{"serve --listen 0.0.0.0:0", "--token"},
		{"serve --open --token x", "--open"},
		{"serve --data-ports 10-5", "7701-7710"},
		{"serve --data-ports 70000-70001", "7701-7710"},
		{"serve --token-file nosuch", "nosuch"},
		{"serve --max-messages -1", "-1"},
		{"serve --tls-cert x", "--tls-key"},
		{"serve --print-fingerprint", "--identity"},
		{"serve --listen here", "IP:PORT"},
		{"serve --log-level loud", "loud"},
		{"serve --idle-timeout -1s", "0 is never"},
		{"serve --idle-timeout soon", "soon"},
		{"serve --client-limit -1", "0 is any number"},
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

// serving starts a server, and gives what a client needs to reach it.
func serving(t *testing.T, args ...string) (addr, fingerprint string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var told lockedBuffer
	ended := make(chan int)
	go func() {
		ended <- run(ctx, append([]string{"netcmp", "serve", "--listen", "127.0.0.1:0", "--log-level", "disabled"}, args...), nil, &told, &told)
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitInterrupted {
			t.Errorf("serve ended with %d", code)
		}
	})
	for fingerprint == "" {
		if _, rest, ok := strings.Cut(told.String(), "--connect "); ok && strings.HasSuffix(rest, "\n") {
			words := strings.Fields(rest)
			addr, fingerprint = words[0], words[2]
		}
		time.Sleep(time.Millisecond)
	}
	return addr, fingerprint
}

// serve and --connect are the lab's own two ends, between machines.
func TestServeAndConnect(t *testing.T) {
	addr, fingerprint := serving(t, "--token", "sesame")
	connect := []string{"--connect", addr, "--fingerprint", fingerprint, "--token", "sesame", "--json"}
	for _, proto := range []string{"tcp", "tls", "udp", "quic", "quic-streams", "quic-datagram"} {
		for _, more := range [][]string{nil, {"--direction", "down"}, {"--pattern", "request-response"}, {"--connection", "short"}} {
			if more != nil && (testing.Short() || more[1] == "short" && (proto == "udp" || proto == "quic-datagram")) {
				continue
			}
			code, out, err := netcmp(t.Context(), slices.Concat([]string{"run", "--proto", proto, "--count", "100"}, connect, more)...)
			var d result.Document
			if jsonErr := json.Unmarshal([]byte(out), &d); code != 0 || jsonErr != nil {
				t.Fatalf("%s %v: exit code %d, %v, %s", proto, more, code, jsonErr, err)
			}
			if again := d.Plan.Command; !strings.Contains(again, fingerprint) || strings.Contains(again, "sesame") {
				t.Errorf("to do it again: %s", again)
			}
			if *d.Delivery.Delivered != 100 || d.Link != nil || d.Engine != "remote" {
				t.Errorf("%s %v: delivered %d, link %v, engine %s", proto, more, *d.Delivery.Delivered, d.Link, d.Engine)
			}
		}
	}
}

// Who is not let in is told why, and so is who meets somebody else.
func TestConnectRefused(t *testing.T) {
	addr, fingerprint := serving(t, "--token", "sesame", "--max-messages", "1000", "--max-duration", "10s", "--max-bytes", "100000", "--max-rate", "400kbit")
	other := "sha256:" + strings.Repeat("A", 43)
	for _, x := range []struct {
		args string
		code int
		says []string
	}{
		{"--fingerprint " + fingerprint + " --token wrong", exitFailed, []string{"token"}},
		{"--fingerprint " + fingerprint, exitFailed, []string{"token"}},
		{"--token sesame", exitFailed, []string{"nobody vouches", "--fingerprint " + fingerprint}},
		{"--token sesame --fingerprint " + other, exitFailed, []string{"not the server that was meant", fingerprint, other}},
		{"--token sesame --fingerprint sha256:short", exitUsage, []string{"43 letters"}},
		{"--token sesame --fingerprint " + fingerprint + " --count 1001", exitUsage, []string{"1000", "--max-messages"}},
		{"--token sesame --fingerprint " + fingerprint + " --duration 11s --count 5 --rate-messages 0.1", exitUsage, []string{"10s", "--max-duration"}},
		{"--token sesame --fingerprint " + fingerprint + " --size 100 --count 1000 --rate-messages 501", exitUsage, []string{"400800bit", "400kbit", "--max-rate"}},
		{"--token sesame --fingerprint " + fingerprint + " --size 100 --saturate --count 500", exitUsage, []string{"400kbit", "--max-rate"}},
		{"--token sesame --fingerprint " + fingerprint + " --size 1000 --count 101 --rate-messages 50", exitUsage, []string{"100000", "--max-bytes"}},
	} {
		code, _, errs := netcmp(t.Context(), append(strings.Fields("run --proto udp --connect "+addr), strings.Fields(x.args)...)...)
		if code != x.code || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", x.args, code, errs)
		}
		for _, s := range x.says {
			if !strings.Contains(errs, s) {
				t.Errorf("%s: %q does not say %q", x.args, errs, s)
			}
		}
	}
	// Whoever speaks no TLS is told so by either end.
	resp, err := http.Get("http://" + addr + "/v1/clock")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "HTTPS") {
		t.Errorf("plain HTTP: %s, %q", resp.Status, body)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	code, _, errs := netcmp(t.Context(), "run", "--proto", "udp", "--connect", strings.TrimPrefix(plain.URL, "http://"), "--fingerprint", fingerprint)
	if code != exitFailed || !strings.Contains(errs, "does not speak TLS") || strings.Count(errs, "\n") != 1 {
		t.Errorf("a plain server: exit code %d, %q", code, errs)
	}
}

// An identity is made once and stays, for its owner alone to read.
func TestServeIdentity(t *testing.T) {
	name := filepath.Join(t.TempDir(), "identity.pem")
	var prints [2]string
	for i := range prints {
		code, out, errs := netcmp(t.Context(), "serve", "--identity", name, "--print-fingerprint")
		if code != exitDone || !strings.HasPrefix(out, "sha256:") || errs != "" {
			t.Fatal(code, out, errs)
		}
		prints[i] = strings.TrimSpace(out)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 || prints[0] != prints[1] {
		t.Errorf("%v, %v, %v", info.Mode(), err, prints)
	}
	if _, fingerprint := serving(t, "--identity", name); fingerprint != prints[0] {
		t.Errorf("serves as %s, printed %s", fingerprint, prints[0])
	}
}

// A blackout of a fifth of the run takes a fifth of the letters, the same ones
// each time, and the call resumes after it.
func TestBlackout(t *testing.T) {
	for _, proto := range []string{"udp", "tcp"} {
		code, out, err := in(t, "run", "--proto", proto, "--delay", "5ms", "--at", "200ms", "loss 100%", "--at", "400ms", "loss 0%",
			"--count", "1000", "--rate-messages", "1000", "--json")
		var d result.Document
		if jsonErr := json.Unmarshal([]byte(out), &d); code != 0 || jsonErr != nil {
			t.Fatalf("%s: exit code %d, %v, %s", proto, code, jsonErr, err)
		}
		if len(d.Plan.Timeline) != 2 || d.Plan.Timeline[0].NetemUp != "delay 5ms loss 100%" {
			t.Errorf("%s: the plan's timeline is %+v", proto, d.Plan.Timeline)
		}
		if proto == "tcp" {
			if *d.Delivery.Delivered != 1000 || *d.Stall.LongestSilenceNS < int64(150*time.Millisecond) {
				t.Errorf("tcp: delivered %d, longest silence %d ns", *d.Delivery.Delivered, *d.Stall.LongestSilenceNS)
			}
			continue
		}
		// The edges are the machine's: a message may come a moment late.
		if len(d.Loss.Numbers) != 1 || *d.Account.Unexplained != 0 || *d.Delivery.Lost < 140 || *d.Delivery.Lost > 260 {
			t.Errorf("udp: lost %d, as %v; unexplained %d", *d.Delivery.Lost, d.Loss.Numbers, *d.Account.Unexplained)
		}
	}
}

// The listing has every profile with its source, and each makes a path.
func TestProfiles(t *testing.T) {
	code, out, err := netcmp(t.Context(), "netem", "profiles")
	if code != 0 || err != "" {
		t.Fatalf("exit code %d, %s", code, err)
	}
	for i, name := range []string{"dsl", "cable", "wifi-good", "wifi-bad", "3g", "4g", "5g", "geo-satellite", "leo-satellite", "transatlantic", "lossy", "datacenter"} {
		if !strings.Contains(out, name+": ") {
			t.Errorf("%s is not listed", name)
		}
		if testing.Short() && i > 1 {
			continue // under the race detector the path is the same program for all
		}
		if code, _, err := in(t, "run", "--proto", "udp", "--profile", name, "--count", "20", "--rate-messages", "200", "--quiet", "--expect", "account.unexplained==0"); code != 0 {
			t.Errorf("%s: exit code %d, %s", name, code, err)
		}
	}
}

// A packet-delivery trace is the link's capacity: one packet of 1500 bytes a
// line.
func TestTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two-a-millisecond")
	if err := os.WriteFile(file, []byte("1\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, err := in(t, "run", "--proto", "udp", "--trace-up", file, "--size", "1400", "--count", "2000", "--rate-messages", "4000", "--json")
	var d result.Document
	if jsonErr := json.Unmarshal([]byte(out), &d); code != 0 || jsonErr != nil {
		t.Fatalf("exit code %d, %v, %s", code, jsonErr, err)
	}
	// Offered 4 a millisecond, carried 2: half the time's worth stands in the queue.
	if rate := *d.Speed.MessagesPS; rate < 1500 || rate > 2300 || *d.Account.Unexplained != 0 || d.Link.Up.QueueDelayNS == nil {
		t.Errorf("%v messages/s, %+v", rate, d.Link.Up)
	}
}

// The script of a setup is a golden file, and a shell takes it.
func TestScript(t *testing.T) {
	args := []string{"netem", "script", "--dev", "eth0", "--netem", "delay 20ms 5ms loss gemodel 1% 10%",
		"--ingress", "delay 20ms", "--filter", "dst 10.0.0.5 dport 5001"}
	code, out, err := netcmp(t.Context(), args...)
	if code != 0 || err != "" {
		t.Fatalf("exit code %d, %s", code, err)
	}
	golden := filepath.Join("testdata", "script.golden.sh")
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, readErr := os.ReadFile(golden)
	if readErr != nil || out != string(want) {
		t.Errorf("%v; the script is now\n%s", readErr, out)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-n")
	sh.Stdin = strings.NewReader(out)
	if said, err := sh.CombinedOutput(); err != nil {
		t.Errorf("%v, %s", err, said)
	}
}

// A device that is not there, one that has nothing, and a machine that cannot:
// a line each, and the right exit code.
func TestDeviceRefusals(t *testing.T) {
	for _, x := range []struct {
		args string
		code int
		want string
	}{
		{"netem apply --dev nowhere0 --loss 1%", exitFailed, "nowhere0"},
		{"netem show --dev nowhere0", exitFailed, "nowhere0"},
		{"netem clear --dev nowhere0", exitFailed, "nowhere0"},
	} {
		code, out, err := netcmp(t.Context(), strings.Fields(x.args)...)
		if code != x.code || out != "" || strings.Count(err, "\n") != 1 || !strings.Contains(err, x.want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", x.args, code, out, err)
		}
	}
	if os.Geteuid() != 0 {
		code, _, err := netcmp(t.Context(), "netem", "apply", "--dev", "lo", "--loss", "1%")
		if code != exitUnsupported || !strings.Contains(err, "root") {
			t.Errorf("not root: exit code %d, %q", code, err)
		}
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

// A program's packets are kept as pcapng, which begins with its own mark: in one file
// those of one device, and with --pcap-at all a file of each.
func TestLabExecKeepsPackets(t *testing.T) {
	for _, x := range []struct {
		at    []string
		files map[string]string // to their device
	}{
		{nil, map[string]string{"lab.pcapng": "client:eth0"}},
		{[]string{"--pcap-at", "path-server"}, map[string]string{"lab.pcapng": "path:server"}},
		{[]string{"--pcap-at", "all"}, map[string]string{
			"lab-client.pcapng": "client:eth0", "lab-server.pcapng": "server:eth0",
			"lab-path-client.pcapng": "path:client", "lab-path-server.pcapng": "path:server",
		}},
	} {
		dir := t.TempDir()
		args := append([]string{"lab", "exec", "--clean", "--pcap", filepath.Join(dir, "lab.pcapng")}, x.at...)
		code, _, stderr := in(t, append(args, "--", "sh", "-c", "exit 7")...)
		if code != 7 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != len(x.files) {
			t.Errorf("%v: %d files, %v", x.at, len(files), err)
		}
		for name, device := range x.files {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
				t.Errorf("%s: %d bytes, %v", name, len(b), err)
			}
			for _, p := range capture.Points() {
				if bytes.Contains(b, []byte(p.Device)) != (p.Device == device) {
					t.Errorf("%s is to have the packets of %s, and not those of %s", name, device, p.Device)
				}
			}
		}
	}
}

// Frames that are too long for the path are told as such, and not as too fast.
func TestLabTellsFramesThatAreTooLong(t *testing.T) {
	for _, tool := range []string{"bash", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	const send = "for i in 1 2 3; do head -c %d /dev/zero > /dev/udp/198.18.0.2/9; done"
	for name, x := range map[string]struct{ program, server string }{
		"the host's":  {"ip link set eth0 mtu 9000; " + fmt.Sprintf(send, 4000), ""},
		"the other's": {"sleep 1; " + fmt.Sprintf(send, 1400), "ip link set eth0 mtu 1200; sleep 3"},
	} {
		args := []string{"lab", "exec", "--clean"}
		if x.server != "" {
			args = append(args, "--server-exec", x.server)
		}
		code, _, errs := in(t, append(args, "--", "bash", "-c", x.program)...)
		if code == exitUnsupported {
			t.Skip(errs)
		}
		if code != exitDone || !strings.Contains(errs, "3 frames were longer than the MTU") || strings.Contains(errs, "overrun") {
			t.Errorf("%s MTU: exit code %d, %s", name, code, errs)
		}
	}
}
