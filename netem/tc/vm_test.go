package tc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netcmp/netem"
)

// These tests change devices, each in a network namespace of its own. Those
// that need the kernel's netem run where there is one (tools/vm).

const guardRole = "NETCMP_TEST_GUARD"

func TestMain(m *testing.M) {
	if os.Getenv(guardRole) != "" {
		os.Exit(GuardMain())
	}
	if dev := os.Getenv("NETCMP_TEST_APPLY"); dev != "" {
		i, _ := netem.Parse("delay 5ms loss 1%")
		if _, err := Apply(Setup{Device: dev, Out: i}, Options{For: 2 * time.Second, Guard: testGuard}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testGuard() *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/exe", Args: []string{guardName}, Env: append(os.Environ(), guardRole+"=1")}
}

// device makes a network namespace for the test with a pair of devices, d0 and
// d1, and puts the test's thread into it.
func device(t *testing.T) (index int) {
	t.Helper()
	runtime.LockOSThread() // not unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no network namespace may be made here: ", err)
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "d0", TxQLen: 1000}, PeerName: "d1"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d0", "d1"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
		if name == "d0" {
			index = link.Attrs().Index
		}
	}
	return index
}

// needNetem skips a test where the kernel has none.
func needNetem(t *testing.T, index int) {
	t.Helper()
	if err := Install(index, netem.Impairment{}); errors.Is(err, ErrNoNetem) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := Remove(index); err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, spec string) netem.Impairment {
	t.Helper()
	i, err := netem.Parse(spec)
	if err != nil {
		t.Fatalf("%q: %v", spec, err)
	}
	return i
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// qdiscs are the device's, as tc tells of them; htb's tells a counter, too,
// which the kernel's own packets raise.
func qdiscs(t *testing.T, device string) string {
	t.Helper()
	return direct.ReplaceAllString(command(t, "tc", "qdisc", "show", "dev", device), "")
}

var direct = regexp.MustCompile(`direct_packets_stat \d+ `)

// What the script leaves is what Apply leaves, and Show prints the path that
// one began with.
func TestScriptEqualsApply(t *testing.T) {
	needNetem(t, device(t))
	in := parse(t, "delay 7ms loss 2%")
	var all []Setup
	for _, spec := range paths {
		all = append(all, Setup{Device: "d0", Out: parse(t, spec)})
	}
	filter, err := ParseFilter("dst 10.0.0.5 dport 5001")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all,
		Setup{Device: "d0", Out: parse(t, "delay 5ms"), In: &in},
		Setup{Device: "d0", Out: parse(t, "delay 5ms"), Filter: filter},
		Setup{Device: "d0", Out: parse(t, "delay 5ms"), In: &in, Filter: filter, KeepOffloads: true},
		Setup{Device: "d0", In: &in},
		Setup{Device: "d0", In: &in, Filter: filter},
	)
	before, whole := qdiscs(t, "d0"), offloadsOf(t)
	for _, s := range all {
		name := fmt.Sprintf("%q in %v filter %q", s.Out, s.In, s.Filter)
		text, err := s.Script("")
		if err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(t.TempDir(), "netem.sh")
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		shown := func() string {
			x := qdiscs(t, "d0") + command(t, "tc", "filter", "show", "dev", "d0") + command(t, "tc", "filter", "show", "dev", "d0", "parent", "ffff:")
			if s.In != nil {
				x += qdiscs(t, s.ifb())
			}
			return x
		}
		command(t, "sh", script, "start")
		ofScript := shown()
		command(t, "sh", script, "stop")
		if got := qdiscs(t, "d0"); got != before {
			t.Errorf("%s: after stop: %s", name, got)
		}
		if got := offloadsOf(t); got != whole {
			t.Errorf("%s: after stop: %s, was %s", name, got, whole)
		}
		if _, err := Apply(s, Options{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := shown(); got != ofScript {
			t.Errorf("%s:\napply  %s\nscript %s", name, got, ofScript)
		}
		state, err := Show("d0")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		leaving := state.Out != nil && state.Out.Spec == s.Out.String()
		if !s.leaving() { // and nothing of ours is where it leaves
			leaving = state.Out == nil && strings.Contains(shown(), strings.Split(before, "\n")[0])
		}
		if !leaving || !state.Ours || s.In != nil && (state.In == nil || state.In.Spec != s.In.String()) || state.Filter != s.Filter.String() {
			t.Errorf("%s: shown as %+v", name, state)
		}
		if _, err := Apply(s, Options{}); !errors.Is(err, ErrApplied) {
			t.Errorf("%s: a second time: %v", name, err)
		}
		if found, err := Clear("d0"); err != nil || !found {
			t.Errorf("%s: clear: %v, %v", name, found, err)
		}
		if got := qdiscs(t, "d0"); got != before {
			t.Errorf("%s: after clear: %s", name, got)
		}
		if links := command(t, "ip", "-o", "link"); strings.Contains(links, "nc-d0") {
			t.Errorf("%s: an ifb is left: %s", name, links)
		}
	}
}

// offloadsOf are those of d0 that a script turns off.
func offloadsOf(t *testing.T) string {
	return command(t, "sh", "-c", "ethtool -k d0 | grep -E '^(tcp-segmentation|generic-segmentation|generic-receive)-offload'")
}

// A script whose start fails in the middle leaves the device as it was, and what is
// not its own alone.
func TestScriptFails(t *testing.T) {
	for _, program := range []string{"tc", "ethtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	device(t)
	command(t, "tc", "qdisc", "add", "dev", "d0", "root", "handle", "77:", "tbf", "rate", "1mbit", "burst", "10kb", "latency", "50ms")
	before, whole := qdiscs(t, "d0"), offloadsOf(t)
	in := parse(t, "delay 7ms")
	for _, s := range []Setup{{Device: "d0", Out: parse(t, "delay 5ms")}, {Device: "d0", Out: parse(t, "delay 5ms"), In: &in}} {
		text, err := s.Script("")
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"start", "start", "stop"} {
			out, err := exec.Command("sh", "-c", text, "script", verb).CombinedOutput()
			if err == nil {
				t.Errorf("%s succeeds: %s", verb, out)
			}
			if got := qdiscs(t, "d0") + offloadsOf(t); got != before+whole {
				t.Errorf("%s left %s, it was %s", verb, got, before+whole)
			}
		}
	}
}

// A seed that the kernel does not take is refused, and the device is as it was.
func TestSeedIsTakenOrRefused(t *testing.T) {
	needNetem(t, device(t))
	before := qdiscs(t, "d0")
	s := Setup{Device: "d0", Out: parse(t, "delay 5ms loss 1% seed 7")}
	_, err := Apply(s, Options{})
	switch {
	case errors.Is(err, ErrNoSeed):
		if got := qdiscs(t, "d0"); got != before {
			t.Errorf("refused, and left %s", got)
		}
	case err != nil:
		t.Error(err)
	default:
		if state, err := Show("d0"); err != nil || state.Out == nil || state.Out.Spec != s.Out.String() {
			t.Errorf("shown as %+v, %v", state, err)
		}
	}
}

// Somebody else's qdisc is refused, or comes back as it was.
func TestForeign(t *testing.T) {
	index := device(t)
	needNetem(t, index)
	s := Setup{Device: "d0", Out: parse(t, "delay 5ms")}
	for _, add := range []string{
		"tbf rate 1mbit burst 10kb latency 50ms", "pfifo limit 77", "netem delay 3ms loss 1%", "fq_codel limit 900",
	} {
		command(t, "tc", strings.Fields("qdisc add dev d0 root handle 77: "+add)...)
		before := qdiscs(t, "d0")
		if _, err := Apply(s, Options{}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", add, err)
		}
		if got := qdiscs(t, "d0"); got != before {
			t.Errorf("%s: refused, and changed: %s", add, got)
		}
		if _, err := Apply(s, Options{Replace: true}); err != nil {
			t.Errorf("%s: %v", add, err)
		}
		if _, err := Clear("d0"); err != nil {
			t.Errorf("%s: clear: %v", add, err)
		}
		if got := qdiscs(t, "d0"); got != before {
			t.Errorf("%s: came back as %s, was %s", add, got, before)
		}
		command(t, "tc", "qdisc", "del", "dev", "d0", "root")
	}
	for _, add := range []string{"htb default 1", "netem delay 3ms 1ms"} {
		command(t, "tc", strings.Fields("qdisc add dev d0 root handle 77: "+add)...)
		before := qdiscs(t, "d0")
		if _, err := Apply(s, Options{Replace: true}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", add, err)
		}
		if got := qdiscs(t, "d0"); got != before {
			t.Errorf("%s: refused, and changed: %s", add, got)
		}
		command(t, "tc", "qdisc", "del", "dev", "d0", "root")
	}
	command(t, "tc", "qdisc", "add", "dev", "d0", "handle", "ffff:", "ingress")
	s.In = &s.Out
	if _, err := Apply(s, Options{Replace: true}); !errors.Is(err, ErrForeign) {
		t.Errorf("ingress: %v", err)
	}
}

// Only what the filter picks meets netem.
func TestFilterPicks(t *testing.T) {
	needNetem(t, device(t))
	for _, args := range []string{
		"addr add 198.18.0.1/24 dev d0", "neigh add 198.18.0.2 lladdr 02:00:00:00:00:02 dev d0 nud permanent",
		"neigh add 198.18.0.3 lladdr 02:00:00:00:00:03 dev d0 nud permanent",
	} {
		command(t, "ip", strings.Fields(args)...)
	}
	f, err := ParseFilter("dst 198.18.0.2 dport 5001")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(Setup{Device: "d0", Out: parse(t, "loss 100%"), Filter: f}, Options{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = Clear("d0") }()
	for to, n := range map[string]int{"198.18.0.2:5001": 30, "198.18.0.2:5002": 20, "198.18.0.3:5001": 10} {
		c, err := net.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if _, err := c.Write([]byte("x")); err != nil && !errors.Is(err, unix.ENOBUFS) {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	s, err := Show("d0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Out.Counters.Drops != 30 {
		t.Errorf("netem dropped %d packets, want the 30 that were picked: %+v", s.Out.Counters.Drops, s.Out)
	}
}

// apply is an Apply in a process of its own, which leads a group of its own.
func apply(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "NETCMP_TEST_APPLY=d0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Killed at any moment, it still undoes itself.
func TestDeadMansSwitch(t *testing.T) {
	index := device(t)
	needNetem(t, index)
	before := qdiscs(t, "d0")
	// Unharmed, it lasts as long as it is to.
	cmd := apply(t)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got := qdiscs(t, "d0"); got == before {
		t.Fatalf("nothing was applied: %s", got)
	}
	for qdiscs(t, "d0") != before {
		time.Sleep(20 * time.Millisecond)
		if time.Since(began) > 10*time.Second {
			t.Fatalf("it did not end: %s", qdiscs(t, "d0"))
		}
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("it ended after %v", took)
	}
	// Killed after a while, of which the whole range is tried.
	for k := range 20 {
		cmd := apply(t)
		time.Sleep(time.Duration(k) * 4 * time.Millisecond)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, _ := filepath.Glob(filepath.Join("/run/netcmp", "netem-*.json"))
		if qdiscs(t, "d0") == before && len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %s, records %v", qdiscs(t, "d0"), left)
		}
	}
	// Where even the guard was killed, whoever comes next finds the record.
	if err := apply(t).Wait(); err != nil {
		t.Fatal(err)
	}
	st, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	r, err := st.read(index)
	if err != nil || r == nil || r.Guard == 0 {
		t.Fatalf("no record with a guard: %+v, %v", r, err)
	}
	if err := syscall.Kill(r.Guard, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(r.Until) + 100*time.Millisecond)
	if s, err := Show("d0"); err != nil || s.Ours || qdiscs(t, "d0") != before {
		t.Errorf("%+v, %v: %s", s, err, qdiscs(t, "d0"))
	}
	// Clear ends the guard.
	if err := apply(t).Wait(); err != nil {
		t.Fatal(err)
	}
	if r, err = st.read(index); err != nil || r == nil {
		t.Fatal(err)
	}
	if _, err := Clear("d0"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.Guard))
		if len(b) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the guard lives on: %q", b)
		}
	}
}

// Without a device, netem or the right, the device is as it was.
func TestRefusals(t *testing.T) {
	index := device(t)
	before, err := List(index)
	if err != nil {
		t.Fatal(err)
	}
	s := Setup{Device: "nix", Out: parse(t, "delay 5ms")}
	if _, err := Apply(s, Options{}); !errors.Is(err, ErrNoDevice) {
		t.Errorf("no device: %v", err)
	}
	if _, err := Show("nix"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("no device: %v", err)
	}
	s.Device = "d0"
	offloads, err := readOffloads("d0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(s, Options{}); err == nil {
		_, _ = Clear("d0")
	} else if !errors.Is(err, ErrNoNetem) {
		t.Errorf("no netem: %v", err)
	}
	if found, err := Clear("d0"); found || err != nil {
		t.Errorf("clear: %v, %v", found, err)
	}
	after, err := List(index)
	if err != nil || len(after) != len(before) || after[0].Kind != before[0].Kind {
		t.Errorf("left %+v, was %+v, %v", after, before, err)
	}
	if got, err := readOffloads("d0"); got != offloads || err != nil {
		t.Errorf("offloads %+v, were %+v, %v", got, offloads, err)
	}
}
