package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was kept is shown again in every form, and a file that is none of ours is
// told apart from one that is.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	kept, page, records := filepath.Join(dir, "kept"), filepath.Join(dir, "page"), filepath.Join(dir, "records")
	for _, proto := range []string{"udp", "tcp"} {
		if code, _, errs := in(t, "run", "--proto", proto, "--engine", "none", "--count", "20", "--quiet",
			"--out", kept, "--html", page, "--records", records); code != exitDone {
			t.Fatal(code, errs)
		}
	}
	b, err := os.ReadFile(records)
	if err != nil || strings.Count(string(b), "\n") != 21 || !strings.Contains(string(b), "\ntcp,up,19,38000000,") {
		t.Errorf("%v, records:\n%s", err, b)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "20 came, 0 never") {
		t.Errorf("%v: the page does not show the messages", err)
	}
	for format, want := range map[string]string{
		"text": "over tcp (a phone call)", "json": `"schema": "netcmp.result/v1"`,
		"markdown": "| udp | tcp |", "csv": "delivery_ratio,tcp,1,1,,", "html": "<!doctype html>",
	} {
		code, out, errs := in(t, "report", "--format", format, kept)
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("%s: code %d, %s\n%s", format, code, errs, out)
		}
	}
	alien := filepath.Join(dir, "alien")
	if err := os.WriteFile(alien, []byte(`{"schema":"netcmp.result/v9"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := in(t, "report", kept, alien)
	if code != exitFailed || !strings.Contains(errs, "alien: line 1: unknown schema: netcmp.result/v9") || !strings.Contains(out, "over udp") {
		t.Errorf("code %d, %s; what is ours was shown: %v", code, errs, strings.Contains(out, "over udp"))
	}
	if code, _, errs := in(t, "report", filepath.Join(dir, "none")); code != exitFailed || strings.Count(errs, "\n") != 1 {
		t.Errorf("code %d, %q", code, errs)
	}
}
