package report

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A real kernel that takes half of a line: a limit on the size of files, in a
// process of its own.
func TestAppendAtTheFileSizeLimit(t *testing.T) {
	d := udpLossy()
	length := len(lineOf(t, d))
	if path := os.Getenv("NETCMP_TEST_LIMITED_FILE"); path != "" {
		signal.Ignore(syscall.SIGXFSZ)
		var before syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		limit := syscall.Rlimit{Cur: uint64(2*length + length/2), Max: before.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before) }() // a coverage report is longer
		a := open(t, path)
		for i := range 3 {
			if err := a.Append(d); (err != nil) != (i == 2) || err != nil && !errors.Is(err, syscall.EFBIG) {
				t.Errorf("line %d: %v", i, err)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "results.jsonl")
	cmd := exec.Command(os.Args[0], "-test.run=^TestAppendAtTheFileSizeLimit$", "-test.count=1")
	cmd.Env = append(os.Environ(), "NETCMP_TEST_LIMITED_FILE="+path)
	var out bytes.Buffer // through a pipe: a file would have the limit, too
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if got, want := contents(t, path), strings.Repeat(lineOf(t, d), 2); got != want {
		t.Errorf("%d bytes in the file, want %d", len(got), len(want))
	}
}
