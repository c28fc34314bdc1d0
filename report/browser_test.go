package report

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// browser is a Chromium, or the test is skipped.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium here")
	return ""
}

// A real browser shows the page without a word of complaint, and asks for
// nothing: its style has got through its own policy.
func TestPageInBrowser(t *testing.T) {
	program := browser(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := HTML(f, compared()); err != nil {
		t.Fatal(err)
	}
	f.Close()
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--host-resolver-rules=MAP * ~NOTFOUND",
		"--enable-logging=stderr", "--dump-dom", "file://"+file)
	var errs strings.Builder
	cmd.Stderr = &errs
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for line := range strings.Lines(errs.String()) {
		if strings.Contains(line, "CONSOLE") {
			t.Error(line)
		}
	}
	for _, want := range []string{`<td class="best">20.0 ms</td>`, "udp: 3 came, 1 never", "Letters win below 50 ms."} {
		if !strings.Contains(string(dom), want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}
