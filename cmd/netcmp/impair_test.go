package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A server makes the path that a client asks for, for the packets of its session alone;
// and whatever happens, the device is then what it was.
func TestImpair(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a server makes paths as root")
	}
	if err := exec.CommandContext(t.Context(), "modprobe", "sch_netem").Run(); err != nil {
		t.Skip("this kernel has no sch_netem: make test-vm")
	}
	dir := t.TempDir()
	told := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(b))
	}
	begun := time.Now()
	over(t, "--clean --engine emulator", "sh testdata/impair-serve.sh "+dir, "impair.sh", "198.18.0.2:7700", dir)
	saved, err := readFiles(filepath.Join(dir, "out.jsonl"))
	if err != nil || len(saved.Documents) != 4 {
		t.Fatalf("%d documents, %v", len(saved.Documents), err)
	}
	const slow = 250 * time.Millisecond // a virtual machine, without a processor's help
	for i, delay := range []time.Duration{40 * time.Millisecond, 40 * time.Millisecond, 0, 30 * time.Millisecond} {
		d := saved.Documents[i]
		got := time.Duration(*d.Delay.P50NS)
		if doubt := time.Duration(*d.Instrument.Clock.UncertaintyNS); got < delay-doubt || got > delay+doubt+slow {
			t.Errorf("run %d: half within %v, want %v ± %v", i, got, delay, doubt)
		}
		if (d.Plan.NetemUp+d.Plan.NetemDown == "") != (delay == 0) || d.Link != nil || d.Engine != "remote" {
			t.Errorf("run %d: path %q up, %q down, engine %s", i, d.Plan.NetemUp, d.Plan.NetemDown, d.Engine)
		}
	}
	// 10 % of 2000 are 200 ± 13; seven standard deviations are beyond 10⁻¹¹.
	if a := saved.Documents[0].Account; *a.RequestsLost < 106 || *a.RequestsLost > 294 || *a.RepliesLost != 0 {
		t.Errorf("%d requests and %d replies lost", *a.RequestsLost, *a.RepliesLost)
	}
	for _, d := range saved.Documents[1:] {
		if *d.Delivery.Lost != 0 {
			t.Errorf("%s: %d lost", d.Plan.NetemUp, *d.Delivery.Lost)
		}
	}
	if !strings.Contains(told("second"), "another path just now") || told("second-code") != "1" {
		t.Errorf("exit code %s, %s", told("second-code"), told("second"))
	}
	if told("killed-code") != "1" {
		t.Errorf("exit code %s after the server was killed: %s", told("killed-code"), told("killed"))
	}
	if told("before") == "" || told("between") != told("before") || told("after") != told("before") {
		t.Errorf("the device had\n%s\nthen, between sessions,\n%s\nand in the end\n%s", told("before"), told("between"), told("after"))
	}
	if !strings.Contains(told("during"), "netem") || !strings.Contains(told("during"), "nc-eth0") {
		t.Errorf("in a session it had\n%s", told("during"))
	}
	t.Logf("%v", time.Since(begun))
}
