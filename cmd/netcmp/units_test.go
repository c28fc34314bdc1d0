package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"netcmp/result"
)

// A number without a unit is taken, and a warning names the unit; the command line that is
// told makes the same experiment.
func TestNumbersWithoutAUnit(t *testing.T) {
	const ms = "; write %us, or %ms for milliseconds"
	for args, want := range map[string][]string{
		"--count 5 --deadline 100ms --interval 1s": nil,
		"--deadline 100 --deadline 1m30s":          {"--deadline 100: taken as 100 µs, as --delay is; write 100us, or 100ms for milliseconds"},
		"--duration 0.01 --interval 2 --stall-timeout 5": {
			"--duration 0.01: taken as 0.01 s; write 0.01s, or 0.01ms for milliseconds",
			"--interval 2: taken as 2 s; write 2s, or 2ms for milliseconds",
			"--stall-timeout 5: taken as 5 s; write 5s, or 5ms for milliseconds",
		},
	} {
		code, out, stderr := netcmp(t.Context(), append([]string{"run", "--proto", "udp", "--engine", "none", "--count", "5", "--json"}, strings.Fields(args)...)...)
		var d result.Document
		if err := json.Unmarshal([]byte(out), &d); code != exitDone || err != nil || stderr != "" {
			t.Fatalf("%s: exit code %d, %v, %s", args, code, err, stderr)
		}
		got := slices.DeleteFunc(d.Warnings, func(s string) bool { return !strings.Contains(s, "taken as") })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", args, got, want)
		}
		if len(d.Deadline) == 2 && (d.Deadline[0].WithinNS != int64(100*time.Microsecond) || d.Deadline[1].WithinNS != int64(90*time.Second)) {
			t.Errorf("%s: deadlines %+v", args, d.Deadline)
		}
		if strings.Contains(args, "0.01") && (d.Plan.DurationNS != int64(10*time.Millisecond) || !strings.Contains(d.Plan.Command, "--duration 10ms") || !strings.Contains(d.Plan.Command, "--stall-timeout 5s")) {
			t.Errorf("%s: the plan is %+v", args, d.Plan)
		}
	}

	code, out, stderr := in(t, "run", "--proto", "udp", "--netem-up", "delay 2000", "--netem-down", "delay 2ms rate 1000000", "--at", "5", "up delay 3", "--count", "5", "--json")
	var d result.Document
	if err := json.Unmarshal([]byte(out), &d); code != exitDone || err != nil || stderr != "" {
		t.Fatalf("exit code %d, %v, %s", code, err, stderr)
	}
	for _, want := range []string{
		"--netem-up: delay 2000: taken as 2000 µs, as tc does", "--netem-down: rate 1000000: taken as 1000000 bit/s, as tc does",
		"--at: the instant 5: taken as 5 µs, as tc does; write 5us, or 5s for seconds", "--at: delay 3: taken as 3 µs",
	} {
		if n := strings.Count(strings.Join(d.Warnings, "\n"), want); n != 1 {
			t.Errorf("%d times %q in %q", n, want, d.Warnings)
		}
	}
	if d.Plan.NetemUp != "delay 2ms" {
		t.Errorf("up is %q", d.Plan.NetemUp)
	}

	// What has no document warns on standard error.
	if code, _, stderr := netcmp(t.Context(), "netem", "script", "--dev", "lo", "--delay", "20", "--jitter", "5"); code != exitDone ||
		stderr != "netcmp: warning: --delay 20: taken as 20 µs, as tc does"+strings.ReplaceAll(ms, "%", "20")+"\n"+
			"netcmp: warning: --jitter 5: taken as 5 µs, as tc does"+strings.ReplaceAll(ms, "%", "5")+"\n" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// FuzzRunTime: what is read comes back as it is printed.
func FuzzRunTime(f *testing.F) {
	for _, s := range []string{"5", "5s", "1e3", "-1", "0", "1e18", "9223372036", "NaN", "Inf", "0x10", "1_0", "", "1h2m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, b runTime
		if err := a.Set(text); err != nil {
			if strings.Contains(fmt.Sprint(err), "\n") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if err := b.Set(a.String()); err != nil || a.value != b.value || b.bare != "" {
			t.Errorf("%q is %v, which is read as %v, %v", text, a.value, b.value, err)
		}
	})
}

// The largest seed comes through every document as it was given.
func TestLargestSeed(t *testing.T) {
	const seed = "18446744073709551615"
	for _, args := range []string{"run --proto udp --engine none", "compare --protos udp,udp --repeat 1 --engine none"} {
		code, out, stderr := netcmp(t.Context(), append(strings.Fields(args), "--count", "3", "--seed", seed, "--json")...)
		if code != exitDone {
			t.Fatalf("%s: exit code %d, %s", args, code, stderr)
		}
		if !strings.Contains(out, `"seed": "`+seed+`"`) || !strings.Contains(out, "--seed "+seed) {
			t.Errorf("%s: the seed is not there:\n%s", args, out)
		}
		if strings.Contains(out, `"seed": `+seed) {
			t.Errorf("%s: the seed is a number", args)
		}
	}
}
