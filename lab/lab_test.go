package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netcmp/netem"
)

func TestMain(m *testing.M) {
	Dispatch(map[string]func() int{
		"sleep":   func() int { time.Sleep(time.Minute); return 0 },
		"owner":   ownLab,
		"cramped": startCramped,
		"tell":    fidelitySend,
		"listen":  fidelityReceive,
	})
	goleak.VerifyTestMain(m)
}

// start builds a lab for a test, or skips it where the machine cannot hold one.
func start(t *testing.T, spec string) *Lab {
	t.Helper()
	i, err := netem.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, Config{Path: netem.Path{Up: i, Down: i}, Seed: 1})
}

// build is start of any lab.
func build(t *testing.T, c Config) *Lab {
	t.Helper()
	l, err := Start(t.Context(), c)
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// sh runs a shell command on a host and returns what it printed.
func sh(t *testing.T, l *Lab, h Host, command string) (string, Exit) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := l.Run(t.Context(), h, Command{File: "/bin/sh", Args: []string{"sh", "-c", command}, Files: []*os.File{nil, w, w}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), p.Wait()
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

// The round trip is twice the delay, and beside it what the machine needs without
// any delay and what the path says it was late: on a slow machine those two grow,
// and nothing else does.
func TestPingTakesTwiceTheDelay(t *testing.T) {
	need(t, "ping")
	i, err := netem.Parse("delay 20ms")
	if err != nil {
		t.Fatal(err)
	}
	l := build(t, Config{Path: netem.Path{Up: i, Down: i}, Seed: 1, Held: &netem.Path{}})
	// The times of 20 round trips, in ms, from the least.
	ping := func(address string) []float64 {
		out, exit := sh(t, l, Client, "ping -c 20 -i 0.02 "+address)
		if exit.Code != 0 {
			t.Fatalf("ping %s: %v\n%s", address, exit, out)
		}
		var times []float64
		for _, m := range regexp.MustCompile(`time=([\d.]+) ms`).FindAllStringSubmatch(out, -1) {
			ms, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			times = append(times, ms)
		}
		if len(times) != 20 {
			t.Fatalf("%d answers in:\n%s", len(times), out)
		}
		slices.Sort(times)
		return times
	}
	addresses := []string{Server.Addr().String(), Server.Addr6().String()}
	bare := map[string][]float64{}
	for _, address := range addresses {
		bare[address] = ping(address)
	}
	if err := l.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		times := ping(address)
		link, _, err := l.Link(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		late := float64(link.Up.DelayErrorNS.P50+link.Down.DelayErrorNS.P50) / 1e6
		t.Logf("%s: least %.2f ms, p50 %.2f ms; without delay %.2f, %.2f; the path late %.2f", address, times[0], times[10], bare[address][0], bare[address][10], late)
		// Never too short; how much too long the usual one is, is the machine's.
		if want := 40 + bare[address][0] + late; times[0] < 40 || times[0] > want+0.5 {
			t.Errorf("round trip to %s: least %v ms, want 40 to %.2f", address, times[0], want)
		}
	}
}

// What crosses a lab that is held meets only what it is held at, and is not counted.
func TestHeld(t *testing.T) {
	need(t, "ping")
	i, err := netem.Parse("delay 20ms loss list 1")
	if err != nil {
		t.Fatal(err)
	}
	held, err := netem.Parse("delay 100ms")
	if err != nil {
		t.Fatal(err)
	}
	l := build(t, Config{Path: netem.Path{Up: i}, Seed: 1, Held: &netem.Path{Down: held}})
	ping := "ping -c 3 -i 0.02 -W 1 " + Server.Addr().String()
	if out, exit := sh(t, l, Client, ping); exit.Code != 0 || len(regexp.MustCompile(`time=1\d\d`).FindAllString(out, -1)) != 3 {
		t.Fatalf("held at 100 ms: %v\n%s", exit, out)
	}
	if err := l.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, _ := sh(t, l, Client, ping)
	link, _, err := l.Link(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "2 received") || link.Up.Packets != 3 || link.Up.Lost != 1 || link.Down.Packets != 2 {
		t.Errorf("up %d packets and %d lost, down %d:\n%s", link.Up.Packets, link.Up.Lost, link.Down.Packets, out)
	}
	if err := l.Begin(t.Context()); err == nil {
		t.Error("a path began twice")
	}
}

// iperf3 crosses the lab, and the path neither loses nor overruns. How fast it
// is is the benchmark's business.
func TestAnyProgramRunsInTheLab(t *testing.T) {
	need(t, "iperf3")
	l := start(t, "")
	server, err := l.Run(t.Context(), Server, Command{File: "/bin/sh", Args: []string{"sh", "-c", "exec iperf3 -s -1"}})
	if err != nil {
		t.Fatal(err)
	}
	if !server.Listening(t.Context()) {
		t.Fatal("iperf3 -s does not listen")
	}
	out, exit := sh(t, l, Client, "iperf3 -t 1 -c "+Server.Addr().String())
	if exit.Code != 0 || server.Wait().Code != 0 {
		t.Fatalf("%v, server %v\n%s", exit, server.Wait(), out)
	}
	link, cpu, err := l.Link(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if link.Up.Delivered != link.Up.Packets || link.Up.Packets < 1000 || link.Up.Overrun != 0 || cpu == 0 {
		t.Errorf("%+v, %d ns", link.Up, cpu)
	}
}

// A reading of the account while packets cross, an unknown program, a program
// that does not exist, signals, exit codes, orphans.
func TestProgramsEndAsTheyEnd(t *testing.T) {
	l := start(t, "")
	if _, exit := sh(t, l, Server, "exit 7"); exit.Code != 7 {
		t.Errorf("exit 7 is %v", exit)
	}
	if _, err := l.Run(t.Context(), Client, Command{File: "/nowhere/program", Args: []string{"program"}}); err == nil {
		t.Error("a program that is not there ran")
	}
	p, err := l.Run(t.Context(), Client, Self("sleep"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if e := p.Wait(); e.Signal != int(syscall.SIGKILL) {
		t.Errorf("killed: %v", e)
	}
	if err := p.Signal(syscall.SIGKILL); err == nil {
		t.Error("a program that has ended took a signal")
	}
}

// The hosts see each other and nothing else: no route leads out, and each has
// only its own two devices.
func TestHostsAreAlone(t *testing.T) {
	l := start(t, "")
	for _, h := range []Host{Client, Server} {
		out, _ := sh(t, l, h, "cat /proc/net/route /proc/net/dev | grep -c :; cat /proc/net/route | wc -l")
		if strings.TrimSpace(out) != "2\n2" {
			t.Errorf("%v host: devices and routes %q, want lo, eth0 and one route", h, out)
		}
	}
}

// descendants are the processes below pid.
func descendants(pid int) []int {
	var all []int
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// namespaces are the network namespaces that some process lives in.
func namespaces() map[string]bool {
	all := map[string]bool{}
	files, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, f := range files {
		if name, err := os.Readlink(f); err == nil {
			all[name] = true
		}
	}
	return all
}

// networkOf is the network namespace of a process; "" if it is gone.
func networkOf(pid int) string {
	name, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/net")
	return name
}

// alive says whether the process still runs: one that has ended and whose new
// parent has not looked at it yet does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}

func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for n := 0; alive(pid); n++ {
			if n == 300 {
				t.Fatalf("process %d is still there", pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// However the lab ends, its processes, its orphans and its namespaces end with
// it. The owner that is killed is a process of its own.
func TestNothingIsLeft(t *testing.T) {
	mine := networkOf(os.Getpid())
	// seen is what a lab is made of, while it is there.
	seen := func(pids []int) (all []int, networks map[string]bool) {
		networks = map[string]bool{}
		for _, pid := range pids {
			if name := networkOf(pid); name != "" && name != mine {
				networks[name] = true
			}
		}
		return pids, networks
	}
	check := func(t *testing.T, all []int, networks map[string]bool) {
		t.Helper()
		if len(all) < 3 || len(networks) < 3 {
			t.Errorf("only %d processes and %d namespaces were there", len(all), len(networks))
		}
		gone(t, all)
		for name := range namespaces() {
			if networks[name] {
				t.Errorf("namespace %s is left", name)
			}
		}
	}
	busy := func(t *testing.T, l *Lab) {
		t.Helper()
		for _, h := range []Host{Client, Server} {
			if _, err := l.Run(t.Context(), h, Self("sleep")); err != nil {
				t.Fatal(err)
			}
		}
		sh(t, l, Client, "setsid sleep 60 </dev/null >/dev/null 2>&1 &")
	}
	t.Run("closed", func(t *testing.T) {
		l := start(t, "delay 5ms")
		busy(t, l)
		all, networks := seen(descendants(os.Getpid()))
		l.Close()
		check(t, all, networks)
	})
	t.Run("path killed", func(t *testing.T) {
		l := start(t, "delay 5ms")
		busy(t, l)
		all, networks := seen(descendants(os.Getpid()))
		if err := syscall.Kill(l.PathPID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-l.Done()
		if l.Err() == nil {
			t.Error("the lab ended without a reason")
		}
		if _, _, err := l.Link(t.Context(), 0); err == nil {
			t.Error("a lab that is gone gave an account")
		}
		check(t, all, networks)
	})
	t.Run("owner killed", func(t *testing.T) {
		start(t, "").Close() // skips where there are no labs
		owner := exec.Command("/proc/self/exe")
		owner.Env = append(os.Environ(), role+"=owner")
		out, err := owner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it is ready
			t.Fatal(err)
		}
		all, networks := seen(append(descendants(owner.Process.Pid), owner.Process.Pid))
		if err := owner.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = owner.Wait() // it was killed
		check(t, all, networks)
	})
}

// ownLab is the owner of a lab that waits to be killed.
func ownLab() int {
	l, err := Start(context.Background(), Config{})
	if err == nil {
		_, err = l.Run(context.Background(), Client, Self("sleep"))
	}
	if err == nil {
		_, err = l.Run(context.Background(), Server, Self("sleep"))
	}
	if err != nil {
		return 1
	}
	os.Stdout.WriteString(".")
	<-l.Done()
	return 0
}

// Where namespaces may not be made, the error says what is missing and what to
// do. The test makes such a machine of a user namespace without room.
func TestMachineWithoutNamespaces(t *testing.T) {
	start(t, "").Close() // skips where there are none at all
	probe := exec.Command("/proc/self/exe")
	probe.Env = append(os.Environ(), role+"=cramped")
	probe.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	out, err := probe.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s := string(out); !strings.Contains(s, "namespaces") || !strings.Contains(s, "sysctl") || strings.Count(s, "\n") != 1 {
		t.Errorf("it says %q", s)
	}
}

// startCramped tries to start a lab where no namespace may be made.
func startCramped() int {
	for _, kind := range []string{"net", "user"} {
		if err := os.WriteFile("/proc/sys/user/max_"+kind+"_namespaces", []byte("0"), 0); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	_, err := Start(context.Background(), Config{})
	fmt.Println(err)
	if !errors.Is(err, ErrUnsupported) {
		return 1
	}
	return 0
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		l, err := Start(b.Context(), Config{})
		if err != nil {
			b.Skip(err)
		}
		l.Close()
	}
}
