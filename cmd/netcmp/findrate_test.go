package main

import (
	"encoding/json"
	"strings"
	"testing"

	"netcmp/result"
)

// A search gives one document and nothing else there, and the text tells the same.
func TestFindRate(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector sees every part of it in other tests")
	}
	args := strings.Fields("find-rate --loss-limit 1% --proto tcp --duration 100ms --size 20000 --engine none --seed 4")
	code, out, errs := in(t, append(args, "--json")...)
	if code != exitDone || errs != "" {
		t.Fatal(code, errs)
	}
	var x result.RateSearch
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatal(err)
	}
	if x.Schema != result.RateSchema || x.Seed != 4 || x.LossLimit != 0.01 || x.RatePerS == nil || x.Confirmations != 3 ||
		x.Plan.SizeBytes != 20000 || x.Trials[0].RatePerS != 0 || x.Plan.Command != "netcmp "+strings.Join(args, " ") {
		t.Errorf("%+v", x)
	}
	code, out, errs = in(t, args...)
	if code != exitDone || errs != "" || !strings.Contains(out, "confirmed by 3 more trials") || !strings.Contains(out, "\n again ") {
		t.Errorf("exit code %d, %q\n%s", code, errs, out)
	}
}

// Where nothing comes through that is said, and the exit code is that of a failure.
func TestFindRateNone(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector sees every part of it in other tests")
	}
	code, out, errs := in(t, "find-rate", "--proto", "udp", "--netem-up", "loss 100%", "--duration", "100ms")
	if code != exitFailed || !strings.Contains(out, "none was found") || !strings.Contains(errs, "no rate is delivered whole") {
		t.Errorf("exit code %d, %q\n%s", code, errs, out)
	}
}
