package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netcmp/report"
	"netcmp/result"
)

// between has the client's host of a lab run a script, and the server's host serve; the
// path is there for the control channel, too, as between two machines.
func between(t *testing.T, listen, script string, args ...string) {
	t.Helper()
	over(t, "--delay 20ms", "exec netcmp serve --listen "+listen, script, args...)
}

// over is between with a path and a server of its own; without a server the script
// starts one, by $NETCMP_IDENTITY.
func over(t *testing.T, lab, server, script string, args ...string) {
	t.Helper()
	if err := attempt(t, lab, server, script, args...); err != nil {
		t.Fatal(err)
	}
}

// attempt is over where the script may fail: the error is what was said.
func attempt(t *testing.T, lab, server, script string, args ...string) error {
	t.Helper()
	path := install(t)
	identity := filepath.Join(t.TempDir(), "identity.pem")
	code, fingerprint, errs := netcmp(t.Context(), "serve", "--identity", identity, "--print-fingerprint")
	if code != exitDone {
		t.Fatal(errs)
	}
	if server != "" {
		lab += ` --server-exec "$0"`
		server += " --identity " + identity + " --log-level warn"
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c",
		`netcmp lab exec ` + lab + ` -- sh "$@"`, server, "testdata/" + script}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+path, "NETCMP_TOKEN=sesame", "NETCMP_IDENTITY="+identity, "NETCMP_FINGERPRINT="+strings.TrimSpace(fingerprint))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitUnsupported {
		t.Skip(string(out))
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// Between two hosts all protocols give what they give in the lab, over IPv4 and IPv6,
// and through a translator of addresses. No other test runs beside it.
func TestBetweenHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute, of which others test every part")
	}
	const server, server6 = "198.18.0.2", "2001:2::2"
	for _, x := range []struct{ name, listen, connect, through string }{
		{"IPv4", server + ":7700", net.JoinHostPort(server, "7700"), ""},
		{"IPv6 only", "[::]:7700", net.JoinHostPort(server6, "7700"), "six.sh"},
		{"NAT", "[::]:7700", net.JoinHostPort(server, "7700"), "nat.sh"},
	} {
		t.Run(x.name, func(t *testing.T) {
			works(t)
			out := filepath.Join(t.TempDir(), "out.jsonl")
			if x.through != "" {
				if _, err := exec.LookPath("nft"); err != nil && x.name == "NAT" {
					t.Skip("nft is not installed")
				}
				between(t, x.listen, x.through, "sh", "testdata/runs.sh", x.connect, out)
			} else {
				between(t, x.listen, "runs.sh", x.connect, out)
			}
			saved, err := readFiles(out)
			if err != nil || len(saved.Documents) != 24 {
				t.Fatalf("%d documents, %v", len(saved.Documents), err)
			}
			for _, d := range saved.Documents {
				what := strings.Join([]string{d.Proto, d.Plan.Direction, d.Plan.Pattern}, " ")
				ways := []*result.Measured{&d.Measured}
				if d.Reverse != nil {
					ways = append(ways, d.Reverse)
				}
				for _, m := range ways {
					if *m.Delivery.Delivered != 100 || *m.Delivery.Lost != 0 || m.Order.Reordered != 0 && d.Proto != "quic-streams" {
						t.Errorf("%s: %d delivered, %d lost, %d reordered", what, *m.Delivery.Delivered, *m.Delivery.Lost, m.Order.Reordered)
					}
					least := int64(20 * time.Millisecond)
					if d.Plan.Pattern == "request-response" {
						least *= 2
					}
					if half, first := *m.Delay.P50NS, *m.Delay.MinNS; half < least || first > least+int64(5*time.Millisecond) {
						t.Errorf("%s: the quickest took %v, half %v", what, time.Duration(first), time.Duration(half))
					}
				}
				if d.Link != nil || d.Engine != "remote" || d.Cost.SenderCPUNS == nil || d.Instrument.PacingErrorNS == nil {
					t.Errorf("%s: %+v", what, d)
				}
			}
			shapes(t, saved.Documents)
		})
	}
}

// shapes holds the documents of two machines to the names that the lab's have.
func shapes(t *testing.T, remote []*result.Document) {
	t.Helper()
	code, out, errs := in(t, "run", "--proto", "tcp", "--clean", "--count", "10", "--direction", "both", "--json")
	if code != exitDone {
		t.Fatal(errs)
	}
	local, err := report.Read(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	want := namesOf(t, local.Documents[0])
	for _, d := range remote {
		got := namesOf(t, d)
		if d.Reverse == nil { // which only both directions have
			got = append(got, "reverse")
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: names %v, and in the lab %v", d.Proto, got, want)
		}
	}
}

// namesOf are the names of a document's own fields.
func namesOf(t *testing.T, d *result.Document) []string {
	t.Helper()
	line, err := report.Line(d)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(fields))
}

// One-way delay by an estimated clock is right within what is said of it, in every run:
// over a path that is the same both ways, over one that is not, and to a host whose
// clock is an hour ahead. No other test runs beside it.
func TestEstimatedClock(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute, of which others test every part")
	}
	const listen = " netcmp serve --listen 198.18.0.2:7700"
	for _, x := range []struct {
		name, lab, server string
		runs              int
		delay, most       time.Duration // most: that the estimate is off by
	}{
		{"symmetric", "--delay 20ms", "exec" + listen, 20, 20 * time.Millisecond, 5 * time.Millisecond},
		{"asymmetric", "--netem-up 'delay 35ms' --netem-down 'delay 5ms'", "exec" + listen, 6, 35 * time.Millisecond, 20 * time.Millisecond},
		{"an hour ahead", "--delay 20ms", "exec unshare --time --fork --kill-child --monotonic 3600" + listen, 6, 20 * time.Millisecond, 5 * time.Millisecond},
	} {
		t.Run(x.name, func(t *testing.T) {
			if strings.Contains(x.server, "unshare") {
				if out, err := exec.Command("unshare", "--user", "--map-root-user", "--time", "--fork", "--monotonic", "3600", "true").CombinedOutput(); err != nil {
					t.Skipf("no time namespaces: %s", out)
				}
			}
			out := filepath.Join(t.TempDir(), "out.jsonl")
			over(t, x.lab, x.server, "clock.sh", "198.18.0.2:7700", out, strconv.Itoa(x.runs))
			saved, err := readFiles(out)
			if err != nil || len(saved.Documents) != x.runs {
				t.Fatalf("%d documents, %v", len(saved.Documents), err)
			}
			var worst time.Duration
			for _, d := range saved.Documents {
				c := d.Instrument.Clock
				off := time.Duration(*d.Delay.P50NS) - x.delay
				worst = max(worst, off, -off)
				// Half of the messages take as long as the path, and what the machine adds.
				if doubt := time.Duration(*c.UncertaintyNS); off < -doubt || off > doubt+3*time.Millisecond || doubt <= 0 {
					t.Errorf("half within %v, stated ± %v", time.Duration(*d.Delay.P50NS), doubt)
				}
				if !strings.HasPrefix(c.Source, "estimated") || c.Samples < 8 {
					t.Errorf("%+v", c)
				}
			}
			t.Logf("%v off at the most; the last is stated ± %v", worst, time.Duration(*saved.Documents[x.runs-1].Instrument.Clock.UncertaintyNS))
			if worst > x.most {
				t.Errorf("%v off, want %v at the most", worst, x.most)
			}
		})
	}
}

// A monitor keeps a history, tells each probe in a line, and ends as its conditions have
// it.
func TestMonitor(t *testing.T) {
	addr, fingerprint := serving(t, "--open")
	out := filepath.Join(t.TempDir(), "history.jsonl")
	args := []string{"monitor", "--connect", addr, "--fingerprint", fingerprint, "--every", "1s", "--rounds", "2", "--count", "20", "--rate-messages", "200", "--protos", "tcp,udp,quic", "--out", out}
	code, told, errs := netcmp(t.Context(), append(args, "--expect", "delivery.ratio>=0.5")...)
	if code != exitDone || errs != "" || strings.Count(told, "20 of 20") != 6 {
		t.Errorf("exit code %d, %q\n%s", code, errs, told)
	}
	saved, err := readFiles(out)
	if err != nil || len(saved.Documents) != 6 {
		t.Errorf("%d documents, %v", len(saved.Documents), err)
	}
	code, _, errs = netcmp(t.Context(), append(args, "--expect", "delivery.ratio>=1.5")...)
	if code != exitExpect || strings.Count(errs, "alert: ") != 6 {
		t.Errorf("exit code %d, %q", code, errs)
	}
	// A server that is not there is an outcome, too.
	code, _, errs = netcmp(t.Context(), "monitor", "--connect", "127.0.0.1:1", "--protos", "udp", "--rounds", "1")
	if code != exitExpect || !strings.Contains(errs, "failed: ") {
		t.Errorf("exit code %d, %q", code, errs)
	}
}
