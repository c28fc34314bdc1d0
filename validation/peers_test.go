package validation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/ledger"
	"netcmp/result"
)

// performance is what make bench-peers writes; the template has its prose.
const performance, performanceTemplate = "../docs/performance.md", "testdata/performance.md.tmpl"

// pairs is how often each work is done by each of its contenders, in turns.
const pairs = 5

// goal is what the ratio of a figure, netcmp's to the peer's, is to be.
type goal struct {
	figure string
	most   bool // at the most, and not at the least
	bound  float64
}

func (g goal) reached(ratio float64) bool {
	if g.most {
		return ratio <= g.bound
	}
	return ratio >= g.bound
}

func (g goal) String() string {
	switch {
	case g.bound == 0:
		return ""
	case g.most && g.bound < 1:
		return fmt.Sprintf("≤ 1/%.0f", 1/g.bound)
	case g.most:
		return fmt.Sprintf("≤ %.2f", g.bound)
	case g.bound < 1:
		return fmt.Sprintf("≥ %.2f", g.bound)
	}
	return fmt.Sprintf("≥ %.0f", g.bound)
}

// work is one thing that netcmp, the first contender, and others do.
type work struct {
	name, title string
	contenders  []contender
	goals       []goal
	profile     bool // what it spends its time on is to be told
}

// saturating is netcmp's part of a work that is done as fast as it will go.
func saturating(proto string, size int) contender {
	return netcmp(fmt.Sprintf("--proto %s --saturate --duration %ds --size %d", proto, runSeconds, size))
}

// inTurns is netcmp's ping-pong.
func inTurns(proto string) contender {
	return netcmp(fmt.Sprintf("--proto %s --pattern request-response --saturate --duration %ds --size 64", proto, runSeconds))
}

// works are in the order of the page.
func works() []work {
	fast := func(figure string, bound float64) []goal {
		return []goal{{figure: figure, bound: bound}, {figure: "cpu", most: true}}
	}
	latency := []goal{{figure: "p50", most: true, bound: 1.15}, {figure: "p99", most: true}, {figure: "cpu", most: true}}
	return []work{
		{"udp-64", "UDP, 64 B", []contender{saturating("udp", 64), sockperf("tp", "udp"), iperf3("-u -b 0", 64)}, fast("rate", 5), true},
		{"udp-1400", "UDP, 1400 B", []contender{saturating("udp", 1400), iperf3("-u -b 0", 1400)}, fast("rate", 5), true},
		{"udp-8000", "UDP, 8000 B", []contender{saturating("udp", 8000), iperf3("-u -b 0", 8000)}, []goal{{figure: "rate"}, {figure: "cpu", most: true}}, true},
		{"tcp-64", "TCP, 64 B", []contender{saturating("tcp", 64), sockperf("tp", "tcp")}, fast("rate", 8), true},
		{"tcp-bulk", "TCP, 128 KiB", []contender{saturating("tcp", 128<<10), iperf3("", 128<<10)}, fast("bits", 1), true},
		{"ping-udp", "ping-pong over UDP, 64 B", []contender{inTurns("udp"), sockperf("pp", "udp")}, latency, false},
		{"ping-tcp", "ping-pong over TCP, 64 B", []contender{inTurns("tcp"), sockperf("pp", "tcp")}, latency, false},
		{"pacing", "one message a millisecond, UDP, 64 B, answered", []contender{
			netcmp(fmt.Sprintf("--proto udp --pattern request-response --rate-messages 1000 --duration %ds --size 64", runSeconds)), irtt(),
		}, []goal{{figure: "error", most: true, bound: 1. / 20}, {figure: "missed", most: true, bound: 1. / 100}, {figure: "cpu", most: true}}, false},
		{"quic-bulk", "QUIC, one stream, 128 KiB", []contender{saturating("quic", bareMessage), bareQUIC()}, fast("bits", 0.95), true},
	}
}

// outcome is what became of one work.
type outcome struct {
	Day         string
	Environment result.Environment
	Tools       []string
	Runs        [][]figures // of each contender, in the order of the rounds
	Profile     []profiled
}

// TestPeers does each work in turns with the tools that one would take instead, and
// writes the page. NETCMP_PEERS is a folder that keeps each work as it is done, as
// in TestValidation.
func TestPeers(t *testing.T) {
	dir := os.Getenv("NETCMP_PEERS")
	if dir == "" {
		t.Skip("make bench-peers")
	}
	versions, err := toolVersions()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if binary, err := netcmpBinary(); err == nil {
			_ = os.RemoveAll(filepath.Dir(binary))
		}
	})
	keep := func(name string, v any) {
		b, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".json"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for _, w := range works() {
		t.Run(w.name, func(t *testing.T) {
			o := outcome{Day: today, Tools: versions, Runs: make([][]figures, len(w.contenders))}
			for range pairs {
				for i, c := range w.contenders {
					o.Runs[i] = append(o.Runs[i], c.once(t))
				}
			}
			for _, r := range w.rows(o) {
				t.Logf("%s, %s against %s: %s to %s, ratio %s", r.Work, r.Figure, r.Peer, r.Ours, r.Theirs, r.Ratio)
			}
			if w.profile {
				o.Profile = profileOf(t, w.contenders[0])
			}
			keep(w.name, o)
		})
	}
	t.Run("ledger", func(t *testing.T) { keep("ledger", measureLedger()) })
	t.Run("find-rate", func(t *testing.T) { keep("find-rate", findRates(t)) })
	if err := writePerformance(dir); errors.Is(err, os.ErrNotExist) {
		t.Logf("not all is measured yet: %s stays as it is (%v)", performance, err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// peerRow is a row of the page: one figure of netcmp's and of a peer's.
type peerRow struct {
	Work, Figure, Peer, Ours, Theirs, Ratio, Goal, Reached string
}

// shown is how each figure is called and written.
var shown = map[string]struct {
	name string
	text func(float64) string
}{
	"rate":   {"delivered", func(v float64) string { return thousands(v) + "/s" }},
	"bits":   {"delivered", func(v float64) string { return fmt.Sprintf("%.2f Gbit/s", v/1e9) }},
	"cpu":    {"CPU a message", func(v float64) string { return fmt.Sprintf("%.3g µs", v/1e3) }},
	"p50":    {"p50, half a round trip", func(v float64) string { return fmt.Sprintf("%.1f µs", v/1e3) }},
	"p99":    {"p99, half a round trip", func(v float64) string { return fmt.Sprintf("%.1f µs", v/1e3) }},
	"error":  {"timer error, mean", func(v float64) string { return fmt.Sprintf("%.1f µs", v/1e3) }},
	"missed": {"missed sends", func(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }},
}

func thousands(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f million", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f,000", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

func (w work) rows(o outcome) (rows []peerRow) {
	for _, g := range w.goals {
		for i, c := range w.contenders[1:] {
			r := peerRow{Work: w.title, Figure: shown[g.figure].name, Peer: c.name, Goal: g.String()}
			var ours, theirs, ratios []float64
			for round := range pairs {
				a, b := o.Runs[0][round][g.figure], o.Runs[i+1][round][g.figure]
				ours, theirs, ratios = append(ours, a), append(theirs, b), append(ratios, a/b)
			}
			text := shown[g.figure].text
			r.Ours, r.Theirs = text(middle(ours)), text(middle(theirs))
			r.Ratio = fmt.Sprintf("**%.3g** (%.3g to %.3g)", middle(ratios), slices.Min(ratios), slices.Max(ratios))
			if g.bound > 0 {
				r.Reached = "no"
				if g.reached(middle(ratios)) {
					r.Reached = "yes"
				}
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// profiled is what an end spends its processor time on.
type profiled struct {
	End  string
	Top  []string // the functions that take most of it, by themselves
	Busy string   // of one processor
}

// line of go tool pprof -top: flat flat% sum% cum cum% function.
var pprofLine = regexp.MustCompile(`(?m)^ *[0-9.]+m?s +([0-9.]+)% +[0-9.]+% +[0-9.]+m?s +[0-9.]+% +(\S+)`)

// profileOf runs netcmp's part once more and looks at both ends.
func profileOf(t *testing.T, c contender) (all []profiled) {
	t.Helper()
	binary, err := netcmpBinary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cpu.pprof")
	var d result.Document
	end := runNetcmp(t, append(strings.Fields(c.command)[1:], "--json", "--profile-cpu", file)...)
	if err := json.Unmarshal(end.output, &d); err != nil {
		t.Fatalf("%v\n%s", err, end.output)
	}
	for _, x := range []struct {
		end, name string
		cpu       int64
	}{{"sender", "client", *d.Cost.SenderCPUNS}, {"receiver", "server", *d.Cost.ReceiverCPUNS}} {
		out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=5", binary, strings.Replace(file, ".pprof", "-"+x.name+".pprof", 1)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		p := profiled{End: x.end, Busy: fmt.Sprintf("%.0f %%", 100*float64(x.cpu)/float64(*d.Speed.DurationNS))}
		for _, m := range pprofLine.FindAllSubmatch(out, 5) {
			p.Top = append(p.Top, fmt.Sprintf("%s %.0f %%", callName(string(m[2])), mustFloat(t, m[1])))
		}
		all = append(all, p)
	}
	return all
}

func mustFloat(t *testing.T, b []byte) float64 {
	t.Helper()
	return number(t, b, `([0-9.]+)`)
}

// callName is a function without the way to its package. What the kernel does is
// on the account of the system call.
func callName(function string) string {
	name := function[strings.LastIndex(function, "/")+1:]
	if strings.HasPrefix(name, "linux.Syscall") {
		return "system calls"
	}
	return "`" + name + "`"
}

// account is what the ledger takes for a message.
type account struct {
	NS, Bytes float64
}

// measureLedger enters messages of which 2 % are missing.
func measureLedger() account {
	const count = 5_000_000
	processor := func() int64 {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
		return u.Utime.Nano() + u.Stime.Nano()
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	l := ledger.New(ledger.Config{Ordered: true})
	began, entered := processor(), 0
	for n := range uint64(count) {
		if n%50 == 17 {
			continue
		}
		at := int64(n) * 1000
		l.Arrive(n, at, at, at+20_000_000+int64(n%7)*1000, 64)
		entered++
	}
	took := processor() - began
	grown := heap() - before
	runtime.KeepAlive(l)
	return account{NS: float64(took) / float64(entered), Bytes: float64(grown) / count}
}

// writePerformance writes the page from what is kept.
func writePerformance(dir string) error {
	read := func(name string, into any) error {
		b, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, into)
	}
	var (
		ledgers account
		rates   []rateFound
		table   []peerRow
		days    []string
		tools   []string
		all     []map[string]any
	)
	if err := errors.Join(read("ledger", &ledgers), read("find-rate", &rates)); err != nil {
		return err
	}
	reached, goals := 0, 0
	for _, w := range works() {
		var o outcome
		if err := read(w.name, &o); err != nil {
			return err
		}
		days, tools = append(days, o.Day), o.Tools
		for _, r := range w.rows(o) {
			table = append(table, r)
			if r.Goal != "" {
				goals++
			}
			if r.Reached == "yes" {
				reached++
			}
		}
		var commands []string
		for _, c := range w.contenders {
			commands = append(commands, c.command)
		}
		all = append(all, map[string]any{"Title": w.title, "Commands": commands, "Profile": o.Profile, "Delivered": share(o)})
	}
	slices.Sort(days)
	t, err := template.New(filepath.Base(performanceTemplate)).Funcs(template.FuncMap{"join": strings.Join}).ParseFiles(performanceTemplate)
	if err != nil {
		return err
	}
	f, err := os.Create(performance)
	if err != nil {
		return err
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	kernel, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-") // whoever built it calls it so
	return errors.Join(t.Execute(f, map[string]any{
		"When":    strings.Join(slices.Compact(days), ", "),
		"Machine": fmt.Sprintf("%s %s on %s, %d processors, %s", runtime.GOOS, kernel, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		"Tools":   tools, "Pairs": pairs, "Seconds": runSeconds, "Rows": table, "Works": all, "Goals": goals, "Reached": reached,
		"LedgerNS": fmt.Sprintf("%.0f", ledgers.NS), "LedgerBytes": fmt.Sprintf("%.2f", ledgers.Bytes),
		"LedgerReached": map[bool]string{true: "yes", false: "no"}[ledgers.NS <= 100 && ledgers.Bytes <= 2],
		"Rates":         rates,
	}), f.Close())
}

// share is how much of what each contender handed over was delivered, where it tells
// both.
func share(o outcome) (texts []string) {
	for _, runs := range o.Runs {
		var parts []float64
		for _, f := range runs {
			if f["sent"] > 0 {
				parts = append(parts, f["rate"]/f["sent"])
			}
		}
		if len(parts) == 0 {
			texts = append(texts, "")
			continue
		}
		texts = append(texts, fmt.Sprintf("%.0f %%", 100*middle(parts)))
	}
	return texts
}

// rateFound is the highest rate without loss, beside the saturating one.
type rateFound struct{ Command, Rate, Sent, Delivered, Share, Limit string }

func findRates(t *testing.T) (all []rateFound) {
	t.Helper()
	for _, size := range []int{64, 1400} {
		command := fmt.Sprintf("netcmp find-rate --proto udp --loss-limit 0 --engine none --size %d --duration 1s", size)
		var x result.RateSearch
		end := runNetcmp(t, append(strings.Fields(command)[1:], "--json")...)
		if err := json.Unmarshal(end.output, &x); err != nil {
			t.Fatalf("%v\n%s", err, end.output)
		}
		all = append(all, rateFound{
			Command: command, Rate: thousands(*x.RatePerS),
			Limit: map[string]string{result.FaultLoss: "messages are lost", result.FaultLag: "messages come later and later", result.FaultSender: "the sender does not send all"}[x.Limit],
			Sent:  thousands(*x.Saturated.SentPerS), Delivered: thousands(*x.Saturated.Delivers),
			Share: fmt.Sprintf("%.1f %%", 100*(1-x.Saturated.LossRatio)),
		})
		t.Logf("%+v", all[len(all)-1])
	}
	return all
}
