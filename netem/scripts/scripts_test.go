// Package scripts holds lab scripts for people who want to see the commands:
// what netcmp's kernel engine does, with ip and tc. The tests run them.
package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// all are the scripts' names.
func all(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.sh")
	if err != nil || len(found) < 6 {
		t.Fatalf("scripts: %v, %v", found, err)
	}
	return found
}

// Every script runs through, measures, and leaves nothing.
func TestScripts(t *testing.T) {
	netcmp, err := exec.LookPath("netcmp")
	if err != nil {
		t.Skip("netcmp is not in the PATH (tools/vm)")
	}
	if out, err := exec.Command("unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem").CombinedOutput(); err != nil {
		t.Skipf("this kernel has no netem: %s", out)
	}
	for _, script := range all(t) {
		if script == "lab.sh" || script == "cleanup.sh" {
			continue
		}
		t.Run(script, func(t *testing.T) {
			cmd := exec.Command("sh", script)
			cmd.Env = append(os.Environ(), "NETCMP="+netcmp, "COUNT=200")
			cmd.WaitDelay = 10 * time.Second
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), "delivery") {
				t.Errorf("it measures nothing:\n%s", out)
			}
			left, err := exec.Command("ip", "netns", "list").CombinedOutput()
			if err != nil || strings.Contains(string(left), "netcmp-") {
				t.Errorf("left: %s, %v", left, err)
			}
		})
	}
}

// Where the kernel has no netem a script says so, in a line and by its exit code.
func TestScriptsWithoutNetem(t *testing.T) {
	if out, err := exec.Command("unshare", "-n", "true").CombinedOutput(); err != nil {
		t.Skipf("no namespaces: %s", out)
	}
	if exec.Command("unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem").Run() == nil {
		t.Skip("this kernel has netem")
	}
	cmd := exec.Command("sh", "loss.sh")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "modprobe sch_netem") {
		t.Errorf("exit code %d:\n%s", cmd.ProcessState.ExitCode(), out)
	}
}

// Killed before it could clean up, a script leaves what cleanup.sh finds.
func TestCleanup(t *testing.T) {
	if out, err := exec.Command("ip", "netns", "add", "netcmp-1-client").CombinedOutput(); err != nil {
		t.Skipf("no namespaces: %s", out)
	}
	out, err := exec.Command("sh", "cleanup.sh").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "netcmp-1-client") {
		t.Errorf("%s, %v", out, err)
	}
	left, err := exec.Command("ip", "netns", "list").CombinedOutput()
	if err != nil || strings.Contains(string(left), "netcmp-1-client") {
		t.Errorf("left: %s, %v", left, err)
	}
}
