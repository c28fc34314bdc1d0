package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
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
	if err := os.WriteFile(filepath.Join(dir, "netcmp"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// Every command that the README shows does what it says there.
func TestReadmeCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute, of which others test every part")
	}
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
			for _, program := range []string{"iperf3", "ping"} {
				if _, err := exec.LookPath(program); err != nil && strings.Contains(c[1], program) {
					t.Skipf("%s is not installed", program)
				}
			}
			sh := exec.Command("sh", "-c", c[1]) //nolint:gosec // the README's own
			sh.Dir = t.TempDir()
			sh.Env = append(os.Environ(), "PATH="+path)
			out, err := sh.CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == exitUnsupported {
				t.Skip(string(out))
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "unexplained") && !strings.Contains(string(out), " 0 unexplained") {
				t.Errorf("messages are unexplained:\n%s", out)
			}
		})
	}
}

// Ctrl-C in a terminal reaches every process of the group at once. What was
// measured until then is reported, and the exit code says why it ended.
func TestCtrlC(t *testing.T) {
	cmd := exec.Command("netcmp", "run", "--proto", "udp", "--count", "100000", "--delay", "5ms")
	path := install(t)
	cmd.Path = filepath.Join(filepath.SplitList(path)[0], "netcmp")
	cmd.Err = nil
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
	time.Sleep(time.Second)
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
