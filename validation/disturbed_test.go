package validation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netcmp/compare"
	"netcmp/result"
	"netcmp/workload"
)

// What TestDisturbed makes, and what it lets pass.
const (
	quietRuns     = 100
	quietFlagged  = 1 // of quietRuns
	stoppedRuns   = 100
	usualRuns     = 5  // undisturbed runs of each kind, with other draws of the path
	loadedPairs   = 20 // comparisons of each protocol with itself
	loadedFalse   = 2  // of both kinds together
	loadedLoops   = 4
	shortestStop  = 20 * time.Millisecond
	longestStop   = 3 * time.Second
	movedBy       = 0.05
	disturbedSeed = 16
)

// disturbedRun is one of the commands whose runs are disturbed.
type disturbedRun struct {
	proto, more string
}

func (r disturbedRun) words(seed int) []string {
	words := []string{"run", "--proto", r.proto, "--rate-messages", "500", "--count", "500", "--delay", "20ms", "--seed", strconv.Itoa(seed), "--json"}
	return append(words, strings.Fields(r.more)...)
}

// disturbedRuns are drawn from in turns.
var disturbedRuns = []disturbedRun{
	{"udp", "--loss 2%"}, {"tcp", "--loss 1%"}, {"udp", ""}, {"quic-datagram", ""}, {"tcp", ""},
	{"quic", ""}, {"udp", "--pattern request-response"}, {"tls", ""}, {"quic-streams", "--loss 1%"}, {"udp", "--direction both --loss 1%"},
}

// TestDisturbed disturbs runs and holds what they say of themselves. It wants a quiet
// machine for the part of that name.
func TestDisturbed(t *testing.T) {
	if os.Getenv("NETCMP_DISTURBED") == "" {
		t.Skip("make disturbed")
	}
	binary, err := netcmpBinary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(binary)) })
	t.Run("quiet", func(t *testing.T) { quietMachine(t, binary) })
	t.Run("stopped", func(t *testing.T) { stoppedProcesses(t, binary) })
	t.Run("loaded", busyProcessors)
}

// quietMachine runs undisturbed: hardly any run may be flagged.
func quietMachine(t *testing.T, binary string) {
	flagged := 0
	for i := range quietRuns {
		r := disturbedRuns[i%len(disturbedRuns)]
		d := readRun(t, exec.Command(binary, r.words(i)...), nil)
		closes(t, r, d)
		if d.IsDisturbed() {
			flagged++
			t.Logf("%v: %v", r, d.Trust.Reasons)
		}
	}
	t.Logf("%d of %d runs are flagged", flagged, quietRuns)
	if flagged > quietFlagged {
		t.Errorf("%d of %d runs on a quiet machine are flagged, at most %d may be", flagged, quietRuns, quietFlagged)
	}
}

// stoppedProcesses stops one process of each run's tree at some instant. Every message
// has to be accounted for, and a stop that moved a percentile has to be flagged.
func stoppedProcesses(t *testing.T, binary string) {
	draw := rand.New(rand.NewPCG(disturbedSeed, 0))
	roles := []string{"owner", "path", "client", "server"}
	flagged, moved := 0, 0
	usualOf := map[disturbedRun][]*result.Document{}
	for i := range stoppedRuns {
		r := disturbedRuns[i%len(disturbedRuns)]
		role := roles[draw.IntN(len(roles))]
		at := time.Duration(draw.Int64N(int64(1300 * time.Millisecond)))
		length := shortestStop + time.Duration(draw.Int64N(int64(longestStop-shortestStop)))
		if draw.IntN(2) == 0 { // half of them are short
			length = shortestStop + time.Duration(draw.Int64N(int64(100*time.Millisecond)))
		}
		usual := usualOf[r]
		for n := 0; len(usual) < usualRuns; n++ { // what it is without a stop
			if n == 10*usualRuns {
				t.Fatalf("%v: this machine disturbs every run", r)
			}
			if d := readRun(t, exec.Command(binary, r.words(1000+n)...), nil); !d.IsDisturbed() {
				usual = append(usual, d)
			}
		}
		usualOf[r] = usual
		d := readRun(t, exec.Command(binary, r.words(i)...), func(pid int) {
			time.Sleep(at)
			victim := processOf(pid, role)
			if victim == 0 {
				return // it has not begun, or has ended
			}
			if syscall.Kill(victim, syscall.SIGSTOP) == nil {
				time.Sleep(length)
				_ = syscall.Kill(victim, syscall.SIGCONT)
			}
		})
		what := fmt.Sprintf("%v, %s stopped for %v after %v", r, role, length.Round(time.Millisecond), at.Round(time.Millisecond))
		closes(t, r, d)
		change := movedPercentile(d, usual)
		if d.IsDisturbed() {
			flagged++
		}
		if change != "" {
			moved++
			if !d.IsDisturbed() {
				t.Errorf("%s: %s, and the run is not flagged: %+v", what, change, d.Instrument.LatenessNS)
			}
		}
		t.Logf("%s: flagged %v, moved %q", what, d.IsDisturbed(), change)
	}
	t.Logf("%d of %d stops moved a percentile, %d runs are flagged", moved, stoppedRuns, flagged)
}

// closes holds that every message is accounted for.
func closes(t *testing.T, r disturbedRun, d *result.Document) {
	t.Helper()
	for _, m := range []*result.Measured{&d.Measured, d.Reverse} {
		if m == nil {
			continue
		}
		if m.Account == nil || m.Account.Unexplained != nil && *m.Account.Unexplained != 0 {
			t.Errorf("%v: the account does not close: %+v, %v", r, m.Account, d.Warnings)
		}
		if m.Account != nil && m.Account.Unexplained == nil && (r.proto == "udp" || r.proto == "quic-datagram") {
			t.Errorf("%v: there is no account", r)
		}
	}
}

// movedPercentile names a percentile that lies outside of what is usual by more than
// movedBy, and by more than the instrument's own floor; "" if there is none.
func movedPercentile(d *result.Document, usual []*result.Document) string {
	if d.Delay == nil {
		return ""
	}
	of := func(d *result.Document) []*int64 {
		return []*int64{d.Delay.P50NS, d.Delay.P90NS, d.Delay.P99NS, d.Delay.P999NS}
	}
	for i, v := range of(d) {
		if v == nil {
			continue
		}
		var most int64
		for _, u := range usual {
			if x := of(u)[i]; x != nil {
				most = max(most, *x)
			}
		}
		if most > 0 && float64(*v) > float64(most)*(1+movedBy) {
			return fmt.Sprintf("%s is %v, usually at most %v", []string{"p50", "p90", "p99", "p99.9"}[i],
				time.Duration(*v).Round(10*time.Microsecond), time.Duration(most).Round(10*time.Microsecond))
		}
	}
	return ""
}

// readRun makes a run and reads its document. beside is called with its process, in
// another goroutine, and is waited for; nil is nothing.
func readRun(t *testing.T, cmd *exec.Cmd, beside func(pid int)) *result.Document {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // and its tree with it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if beside != nil {
			beside(cmd.Process.Pid)
		}
	}()
	<-done
	err := cmd.Wait()
	var d result.Document
	if err != nil || json.Unmarshal(out.Bytes(), &d) != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, errs.Bytes())
	}
	return &d
}

// processOf finds the process of a run that plays a role; 0 if there is none.
func processOf(owner int, role string) int {
	if role == "owner" {
		return owner
	}
	for _, path := range childrenOf(owner) {
		if role == "path" {
			return path
		}
		for _, pid := range childrenOf(path) {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); bytes.HasPrefix(name, []byte("netcmp-"+role)) {
				return pid
			}
		}
	}
	return 0
}

func childrenOf(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range tasks {
		text, _ := os.ReadFile(name)
		for word := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(word); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// busyProcessors compares protocols with themselves beside loops that never rest. What
// is told apart then is chance or the loops, and by neither may anything be judged.
func busyProcessors(t *testing.T) {
	for range loadedLoops {
		loop := exec.Command("timeout", "3600", "sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = loop.Process.Signal(syscall.SIGTERM)
			_ = loop.Wait()
		})
	}
	apart, disturbed, repeated, trials, held := 0, 0, 0, 0, 0
	for _, proto := range []string{"udp", "tcp"} {
		for seed := range uint64(loadedPairs) {
			c := compare.Config{Repeat: compare.DefaultRepeat, Seed: seed + 1}
			c.Arms = compare.Arms(config(t, proto, "delay 10ms", "delay 10ms", workload.Plan{Count: 250, Size: 200, Rate: 1000}), []string{proto, proto})
			if err := compare.Dissect(c.Arms, false); err != nil {
				t.Fatal(err)
			}
			x := judged(t, c)
			trials, disturbed, repeated = trials+len(x.Trials), disturbed+x.Disturbed, repeated+x.Repeated
			if found := decided(x); len(found) > 0 {
				apart++
				t.Logf("%s, seed %d: told apart by %v", proto, seed+1, found)
			}
			for _, d := range x.Trials {
				if s := d.Stall; s != nil && s.Held != nil && *s.Held > 0 && d.Link.Up.Lost+*d.Link.Up.QueueDropped == 0 {
					held++
				}
			}
		}
	}
	t.Logf("%d of %d comparisons told alike apart; %d of %d trials stayed disturbed, %d were repeated; %d report head-of-line blocking",
		apart, 2*loadedPairs, disturbed, trials, repeated, held)
	if apart > loadedFalse {
		t.Errorf("%d of %d comparisons told alike apart, at most %d may", apart, 2*loadedPairs, loadedFalse)
	}
	if held > 0 {
		t.Errorf("%d trials over a path without loss report head-of-line blocking", held)
	}
}
