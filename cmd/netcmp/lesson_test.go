package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netcmp/lesson"
)

// A lesson is shown in every form, with its flags in front of its name or behind
// it.
func TestLesson(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	code, out, errs := in(t, "lesson", "--json", "empty-send", "--html", page, "--markdown", dir, "--pcap", filepath.Join(dir, "lesson.pcapng"))
	var d lesson.Document
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Schema != lesson.Schema || d.Name != "empty-send" {
		t.Fatalf("exit code %d, %s%v:\n%s", code, errs, err, out)
	}
	want := exitDone
	for _, a := range d.Failed() {
		if want = exitFailed; !a.Disturbed {
			t.Errorf("%s: expected %s, measured %s", a.Name, a.Expected, a.Measured)
		}
	}
	if code != want {
		t.Errorf("exit code %d, want %d: %s", code, want, errs)
	}
	for name, want := range map[string]string{
		"page.html": "<svg", "empty-send.md": "](empty-send-1.svg)", "empty-send-1.svg": "SYN",
		"lesson.pcapng": "\n\r\r\n", // the mark of a section (draft-ietf-opsawg-pcapng §4.1)
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s has no %q: %v", name, want, err)
		}
	}
}

func TestLessonList(t *testing.T) {
	code, out, errs := netcmp(t.Context(), "lesson", "--list")
	if code != exitDone || strings.Count(out, "\n") != len(lesson.Lessons()) || !strings.HasPrefix(out, "handshake ") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	code, out, errs = netcmp(t.Context(), "lesson", "shake")
	if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "handshake, empty-send") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}
