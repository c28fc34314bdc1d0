package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"netcmp/result"
)

// install puts a program named netcmp into a folder, which is this test binary
// in another part (TestMain), and gives a PATH that finds it.
func install(t *testing.T) (path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "#!/bin/sh\nNETCMP_LAB_ROLE=netcmp exec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "netcmp"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// unexplained is how netcmp tells of messages that it cannot account for.
var unexplained = regexp.MustCompile(`[1-9][0-9]* unexplained|are unexplained`)

// Every command that the README shows does what it says there.
func TestReadmeCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute, of which others test every part")
	}
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	path := install(t)
	commands := regexp.MustCompile(`(?m)^(?:    )?\$ (netcmp .*)$`).FindAllStringSubmatch(string(b), -1)
	if len(commands) < 10 {
		t.Fatalf("only %d commands found", len(commands))
	}
	for _, c := range commands {
		t.Run(c[1], func(t *testing.T) {
			works(t) // what is told must be right on a busy machine, too
			for _, program := range []string{"iperf3", "ping"} {
				if _, err := exec.LookPath(program); err != nil && strings.Contains(c[1], program) {
					t.Skipf("%s is not installed", program)
				}
			}
			sh := exec.Command("sh", "-c", c[1])
			sh.Dir = t.TempDir()
			sh.Env = append(os.Environ(), "PATH="+path)
			out, err := sh.CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == exitUnsupported {
				t.Skip(string(out))
			}
			if errors.As(err, &exit) && exit.ExitCode() == exitFailed && strings.HasPrefix(c[1], "netcmp lesson") && strings.Contains(string(out), "this machine disturbed") {
				t.Skip("this machine disturbed the lesson, which says so")
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if unexplained.Match(out) {
				t.Errorf("messages are unexplained:\n%s", out)
			}
		})
	}
}

// Ctrl-C in a terminal reaches every process of the group at once. What was
// measured until then is reported, and the exit code says why it ended.
func TestCtrlC(t *testing.T) {
	program := filepath.Join(filepath.SplitList(install(t))[0], "netcmp")
	// A whole run of one message takes what this one takes to begin, and more.
	begun := time.Now()
	_ = exec.Command(program, "run", "--proto", "udp", "--count", "1", "--delay", "5ms").Run() // says that below, if it cannot
	beginning := time.Since(begun)
	cmd := exec.Command(program, "run", "--proto", "udp", "--count", "100000", "--delay", "5ms")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(beginning + time.Second)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code is looked at
	code := cmd.ProcessState.ExitCode()
	if code == exitUnsupported {
		t.Skip(stderr.String())
	}
	if code != exitInterrupted || !strings.Contains(string(text), "interrupted") || !strings.Contains(string(text), " 0 unexplained") {
		t.Errorf("exit code %d\n%s%s", code, text, stderr.String())
	}
}

// A comparison that is killed in the middle goes on where it was, also when it
// was killed in the middle of a line: trials that were done are not made again,
// and the file holds each of them once.
func TestKilledComparisonGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute, of which others test every part")
	}
	kept := filepath.Join(t.TempDir(), "trials.jsonl")
	path := install(t)
	args := []string{"compare", "--protos", "udp,tcp", "--engine", "none", "--count", "150", "--repeat", "4", "--out", kept}
	cmd := exec.Command(filepath.Join(filepath.SplitList(path)[0], "netcmp"), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var before []byte
	for bytes.Count(before, []byte("\n")) < 3 { // the eight take over two seconds
		time.Sleep(20 * time.Millisecond)
		before, _ = os.ReadFile(kept)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(before, []byte("\n")), []byte("\n"))
	last := lines[len(lines)-1]
	before = before[:len(before)-len(last)/2]
	if err := os.WriteFile(kept, before, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := len(lines) - 1
	if whole < 2 || whole > 6 {
		t.Fatalf("%d trials were done when it was killed", whole)
	}

	code, out, errs := in(t, append(slices.Clone(args), "--resume-from", kept, "--json")...)
	if code != exitDone || errs != "" {
		t.Fatal(code, errs)
	}
	var x result.Comparison
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(after, bytes.Join(lines[:whole], nil)) || bytes.Count(after, []byte("\n")) != 8 {
		t.Errorf("of %d lines before there are %d now", whole, bytes.Count(after, []byte("\n")))
	}
	if len(x.Trials) != 8 || x.Interrupted {
		t.Errorf("%d trials, interrupted %v", len(x.Trials), x.Interrupted)
	}
	// All belong together: one comparison, of eight trials.
	code, out, errs = in(t, "report", "--json", kept)
	var again result.Comparison
	if err := json.Unmarshal([]byte(out), &again); code != exitDone || err != nil {
		t.Fatal(code, errs, err)
	}
	if len(again.Trials) != 8 || again.Plan.Seed != x.Plan.Seed || again.Plan.Command != x.Plan.Command {
		t.Errorf("%d trials are kept, of %q; it was %q", len(again.Trials), again.Plan.Command, x.Plan.Command)
	}

	// Killed before anything was done, it begins; a file of something else says so.
	if err := os.WriteFile(kept, last[:len(last)/3], 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = in(t, append(slices.Clone(args), "--resume-from", kept, "--quiet", "--count", "5")...)
	if code != exitDone || errs != "" {
		t.Error(code, errs)
	}
	code, _, errs = in(t, append(slices.Clone(args), "--resume-from", kept, "--quiet", "--count", "6")...)
	if code != exitDone || !strings.Contains(errs, "none of the results") {
		t.Error(code, errs)
	}
}
