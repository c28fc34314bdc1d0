package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netcmp/result"
)

// A comparison over the loopback: every form has the same figures, trials are
// kept as they are done, and a comparison goes on with what was kept.
func TestCompare(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "trials.jsonl")
	args := []string{"compare", "--protos", "udp,tcp", "--engine", "none", "--count", "20", "--repeat", "2", "--seed", "5"}
	code, out, errs := in(t, append(slices.Clone(args), "--json", "--out", kept)...)
	if code != exitDone {
		t.Fatal(code, errs)
	}
	var x result.Comparison
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatal(err)
	}
	if x.Schema != result.ComparisonSchema || len(x.Trials) != 4 || !slices.Equal(x.Plan.Arms, []string{"udp", "tcp"}) {
		t.Errorf("schema %q, %d trials, arms %v", x.Schema, len(x.Trials), x.Plan.Arms)
	}
	for _, d := range x.Trials {
		if d.Seed != x.Trials[0].Seed && d.Trial.Block == x.Trials[0].Trial.Block {
			t.Errorf("%+v has seed %d", *d.Trial, d.Seed)
		}
		if !strings.HasPrefix(d.Plan.Command, "netcmp run ") || !strings.Contains(d.Plan.Command, "--proto "+d.Proto) {
			t.Errorf("made again by %q", d.Plan.Command)
		}
	}
	for _, d := range x.Differences {
		if d.Verdict != result.CannotTell {
			t.Errorf("two trials decide %s", d.Metric)
		}
	}

	lines, err := os.ReadFile(kept)
	if err != nil || strings.Count(string(lines), "\n") != 4 {
		t.Fatalf("kept %q, %v", lines, err)
	}
	// One trial was cut off, and one more block is wanted.
	cut := string(lines[:strings.LastIndex(strings.TrimSpace(string(lines)), "\n")+1])
	if err := os.WriteFile(kept, []byte(cut), 0o600); err != nil {
		t.Fatal(err)
	}
	args[slices.Index(args, "2")] = "3"
	code, out, errs = in(t, append(slices.Clone(args), "--json", "--out", kept, "--resume-from", kept)...)
	if code != exitDone {
		t.Fatal(code, errs)
	}
	var more result.Comparison
	if err := json.Unmarshal([]byte(out), &more); err != nil {
		t.Fatal(err)
	}
	again := 0
	for _, d := range more.Trials {
		if slices.ContainsFunc(x.Trials, func(o *result.Document) bool { return o.Started == d.Started }) {
			again++
		}
	}
	if len(more.Trials) != 6 || again != 3 {
		t.Errorf("%d trials, %d of them from before; want 6 and 3", len(more.Trials), again)
	}

	for format, want := range map[string][]string{
		"text":     {"udp", "delay p99", "usable within a deadline", "at least 6 samples", "again"},
		"markdown": {"| udp | tcp |", "- Cannot tell any two apart", "```sh"},
		"csv":      {"metric,arm,n,median,ci_low,ci_high", "delivery_ratio,udp,3,1,,"},
	} {
		code, out, errs := in(t, append(slices.Clone(args), "--format", format, "--resume-from", kept)...)
		if code != exitDone {
			t.Fatal(code, errs)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is missing in\n%s", format, w, out)
			}
		}
		if format == "csv" {
			if _, err := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil {
				t.Error(err)
			}
		}
	}

	if code, _, errs := in(t, append(slices.Clone(args), "--quiet", "--resume-from", kept, "--expect", "tcp:delivery.delivered>=21")...); code != exitExpect || !strings.Contains(errs, "tcp, block 1") {
		t.Errorf("code %d, %q", code, errs)
	}
}
