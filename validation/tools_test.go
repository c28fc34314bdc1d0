package validation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netcmp/result"
)

// packages are the tools that netcmp is measured against, all of them Debian's, and
// how each tells its version.
var packages = []struct {
	name    string
	version []string
}{
	{"iperf3", []string{"--version"}},
	{"sockperf", []string{"--version"}},
	{"irtt", []string{"version"}},
}

// versionOf finds the first version number in what a tool tells of itself.
var versionOf = regexp.MustCompile(`[0-9]+\.[0-9]+[-.0-9a-z]*`)

// toolVersions tells which version of each tool is here. One that is not is an
// error that says what to install.
func toolVersions() (versions []string, err error) {
	for _, p := range packages {
		out, failed := exec.Command(p.name, p.version...).CombinedOutput()
		if errors.Is(failed, exec.ErrNotFound) {
			err = errors.Join(err, fmt.Errorf("%s is not installed: apt-get install %s", p.name, p.name))
			continue
		}
		versions = append(versions, p.name+" "+string(versionOf.Find(out)))
	}
	return versions, err
}

// toolPatience bounds one run of a tool: some seconds, of a search for a rate a
// minute.
const toolPatience = 3 * time.Minute

// figures are what one run of a tool shows, by name:
//
//	rate   messages delivered a second
//	sent   messages handed over a second
//	bits   bytes delivered, bit/s
//	p50, p99   of a ping-pong, ns: half a round trip
//	error  mean lateness of a timer of 1 ms, ns
//	missed   share of the sends that were a whole interval late, or left out
//	cpu    processor time of all the tool's processes, ns a message delivered
type figures map[string]float64

// finished is what is left of a program: what it wrote, and the processor time that
// it and its children took.
type finished struct {
	output []byte
	cpu    time.Duration
}

// running is a started program.
type running struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	cancel context.CancelFunc
}

func launch(t *testing.T, words ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolPatience)
	r := &running{cmd: exec.CommandContext(ctx, words[0], words[1:]...), cancel: cancel}
	r.cmd.Stdout, r.cmd.Stderr = &r.output, &r.output
	if err := r.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	return r
}

// wait waits for the program's end, which has to be a good one.
func (r *running) wait(t *testing.T) finished {
	t.Helper()
	defer r.cancel()
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", r.cmd, err, r.output.Bytes())
	}
	s := r.cmd.ProcessState
	return finished{r.output.Bytes(), s.UserTime() + s.SystemTime()}
}

// stop ends a server that goes on until it is told. However it takes that, it has
// said what it had to say.
func (r *running) stop(t *testing.T) finished {
	t.Helper()
	defer r.cancel()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := r.cmd.Wait(); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	s := r.cmd.ProcessState
	return finished{r.output.Bytes(), s.UserTime() + s.SystemTime()}
}

// freePort is one that nobody has bound, by TCP or by UDP.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// listening waits until somebody has bound the port: a server does not tell when it
// is ready, but the kernel knows (proc_net_tcp, state 0A; of UDP it is bound).
func listening(t *testing.T, network, port string) {
	t.Helper()
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	bound := regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+: [0-9A-F]+:%04X `, n))
	if network == "tcp" {
		bound = regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+: [0-9A-F]+:%04X [0-9A-F]+:0000 0A `, n))
	}
	for end := time.Now().Add(toolPatience); ; time.Sleep(5 * time.Millisecond) {
		for _, family := range []string{"", "6"} {
			if b, err := os.ReadFile("/proc/net/" + network + family); err == nil && bound.Match(b) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("nobody listens at the %s port %s", network, port)
		}
	}
}

// number finds the one number that the pattern's group stands for.
func number(t *testing.T, text []byte, pattern string) float64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		t.Fatalf("there is no %s in:\n%s", pattern, text)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// contender is one way to do a piece of work.
type contender struct {
	name    string
	command string // as the page shows it
	once    func(t *testing.T) figures
}

// runSeconds is how long each run lasts.
const runSeconds = 2

// netcmpBinary builds the program once.
var netcmpBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "netcmp")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../cmd/netcmp").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return dir + "/netcmp", err
})

// runNetcmp runs a command of netcmp's that prints JSON.
func runNetcmp(t *testing.T, words ...string) finished {
	t.Helper()
	binary, err := netcmpBinary()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, append([]string{binary}, words...)...).wait(t)
}

// netcmp is a run over loopback. Every message of it has to be accounted for.
func netcmp(arguments string) contender {
	command := "netcmp run --engine none " + arguments
	return contender{"netcmp", command, func(t *testing.T) figures {
		end := runNetcmp(t, append(strings.Fields(command)[1:], "--json")...)
		var d result.Document
		if err := json.Unmarshal(end.output, &d); err != nil {
			t.Fatalf("%v\n%s", err, end.output)
		}
		delivered := *d.Delivery.Delivered
		lost := d.Delivery.Sent - delivered
		if a := d.Account; d.Proto == "udp" {
			if a == nil || a.Unexplained == nil || *a.Unexplained != 0 {
				t.Errorf("%s: the account does not close: %+v", command, a)
			}
		} else if lost != 0 {
			t.Errorf("%s: %d messages are missing", command, lost)
		}
		f := figures{
			"rate": *d.Speed.MessagesPS, "bits": *d.Speed.GoodputBPS,
			"sent": float64(d.Delivery.Sent) / (float64(*d.Speed.DurationNS) / 1e9),
			"cpu":  float64(end.cpu.Nanoseconds()) / float64(delivered),
		}
		if d.Plan.Pattern == "request-response" {
			f["p50"], f["p99"] = float64(*d.Delay.P50NS)/2, float64(*d.Delay.P99NS)/2
		}
		if d.Instrument.PacingErrorMeanNS != nil {
			f["error"] = float64(*d.Instrument.PacingErrorMeanNS)
			f["missed"] = float64(d.Instrument.OverdueSends+d.Instrument.MissedSends) / float64(d.Delivery.Scheduled)
		}
		return f
	}}
}

// iperf3 is a run of it; size is that of a message.
func iperf3(arguments string, size int) contender {
	command := fmt.Sprintf("iperf3 -c 127.0.0.1 -t %d -l %d %s", runSeconds, size, arguments)
	return contender{"iperf3", strings.TrimSpace(command), func(t *testing.T) figures {
		port := freePort(t)
		server := launch(t, "iperf3", "-s", "-1", "-p", port)
		listening(t, "tcp", port)
		client := launch(t, append(strings.Fields(command), "-p", port, "--json")...).wait(t)
		served := server.wait(t)
		var got struct {
			End struct {
				Sum struct {
					Packets float64
					Lost    float64 `json:"lost_packets"`
					Seconds float64
				}
				Received struct {
					Bytes, Seconds float64
				} `json:"sum_received"`
			}
		}
		if err := json.Unmarshal(client.output, &got); err != nil {
			t.Fatalf("%v\n%s", err, client.output)
		}
		f := figures{}
		delivered := got.End.Received.Bytes / float64(size)
		f["bits"] = 8 * got.End.Received.Bytes / got.End.Received.Seconds
		f["rate"] = delivered / got.End.Received.Seconds
		if strings.Contains(arguments, "-u") {
			f["sent"] = got.End.Sum.Packets / got.End.Sum.Seconds
			delivered = got.End.Sum.Packets - got.End.Sum.Lost
			f["rate"] = delivered / got.End.Sum.Seconds
		}
		f["cpu"] = float64((client.cpu + served.cpu).Nanoseconds()) / delivered
		return f
	}}
}

// sockperf is a run of it with messages of 64 bytes.
func sockperf(pattern, network string) contender {
	flag := ""
	if network == "tcp" {
		flag = " --tcp"
	}
	command := fmt.Sprintf("sockperf %s%s -i 127.0.0.1 -m 64 -t %d", pattern, flag, runSeconds)
	return contender{"sockperf", command, func(t *testing.T) figures {
		port := freePort(t)
		listen := []string{"sockperf", "sr", "-i", "127.0.0.1", "-p", port}
		if network == "tcp" {
			listen = append(listen, "--tcp")
		}
		server := launch(t, listen...)
		listening(t, network, port)
		client := launch(t, append(strings.Fields(command), "-p", port)...).wait(t)
		served := server.stop(t)
		delivered := number(t, served.output, `Total (\d+) messages received and handled`)
		cpu := float64((client.cpu + served.cpu).Nanoseconds()) / delivered
		if pattern == "pp" {
			us := func(percentile string) float64 {
				return 1e3 * number(t, client.output, `percentile `+percentile+`\.000 = *([0-9.]+)`)
			}
			// Both ways of each exchange are delivered messages.
			return figures{"p50": us("50"), "p99": us("99"), "cpu": cpu}
		}
		took := number(t, client.output, `messages sent in ([0-9.]+) sec`)
		return figures{
			"rate": delivered / took, "bits": 8 * 64 * delivered / took, "cpu": cpu,
			"sent": number(t, client.output, `Total of (\d+) messages sent`) / took,
		}
	}}
}

// irtt is a run of it with its default timer.
func irtt() contender {
	command := fmt.Sprintf("irtt client -i 1ms -d %ds -l 64 -q", runSeconds)
	return contender{"irtt", command + " 127.0.0.1", func(t *testing.T) figures {
		port := freePort(t)
		// -i 0: it demands ten milliseconds by default.
		server := launch(t, "irtt", "server", "-i", "0", "-b", "127.0.0.1:"+port)
		listening(t, "udp", port)
		client := launch(t, append(strings.Fields(command), "-o", "-", "127.0.0.1:"+port)...)
		end := client.wait(t)
		served := server.stop(t)
		_, document, found := bytes.Cut(end.output, []byte("\n{"))
		if !found {
			t.Fatalf("no JSON:\n%s", end.output)
		}
		var got struct {
			Stats struct {
				TimerError struct {
					Mean float64
				} `json:"timer_error"`
				Missed   float64 `json:"timer_miss_percent"`
				Received float64 `json:"packets_received"`
			}
		}
		if err := json.NewDecoder(bytes.NewReader(append([]byte("{"), document...))).Decode(&got); err != nil {
			t.Fatal(err)
		}
		return figures{
			"error": got.Stats.TimerError.Mean, "missed": got.Stats.Missed / 100,
			"cpu": float64((end.cpu + served.cpu).Nanoseconds()) / got.Stats.Received,
		}
	}}
}
