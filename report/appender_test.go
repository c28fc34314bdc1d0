package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"netcmp/result"
)

func open(t *testing.T, path string) *Appender {
	t.Helper()
	a, err := OpenAppender(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func contents(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func lineOf(t *testing.T, d *result.Document) string {
	t.Helper()
	data, err := Line(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	var want strings.Builder
	for _, d := range []*result.Document{udpLossy(), tcpLossy(), base("udp")} {
		a := open(t, path)
		if err := a.Append(d); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		want.WriteString(lineOf(t, d))
	}
	if got := contents(t, path); got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o644 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A path that cannot be written to fails before the run.
func TestOpenAppenderFailsEarly(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenAppender(dir); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := OpenAppender(filepath.Join(dir, "missing", "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAppendOddly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(path, []byte("half a line"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := open(t, path)
	if err := a.Append(base("udp")); err != nil {
		t.Fatal(err)
	}
	if got, want := contents(t, path), "half a line\n"+lineOf(t, base("udp")); got != want {
		t.Errorf("got %q", got)
	}
	if err := a.Append(nil); err == nil {
		t.Error("no document was appended")
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := a.Append(base("udp")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// What a killed program left of its line is taken away, wherever it was cut, and
// nothing else is.
func TestAppendAfterCut(t *testing.T) {
	first, second := lineOf(t, tcpLossy()), lineOf(t, udpLossy())
	for _, n := range []int{0, 1, 5, len(lineBegins), len(second) / 2, len(second) - 2} {
		path := filepath.Join(t.TempDir(), "results.jsonl")
		if err := os.WriteFile(path, []byte(first+second[:n]), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := open(t, path).Append(base("udp")); err != nil {
			t.Fatal(err)
		}
		if got, want := contents(t, path), first+lineOf(t, base("udp")); got != want {
			t.Errorf("cut after %d bytes: got\n%s", n, got)
		}
	}
	// A whole one that only lacks its newline stays, and so does what is not ours.
	long := strings.Repeat("x", 200<<10)
	for _, last := range []string{strings.TrimSpace(second), `{"schema": "other"`, long} {
		path := filepath.Join(t.TempDir(), "results.jsonl")
		if err := os.WriteFile(path, []byte(first+last), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := open(t, path).Append(base("udp")); err != nil {
			t.Fatal(err)
		}
		if got, want := contents(t, path), first+last+"\n"+lineOf(t, base("udp")); got != want {
			t.Errorf("got\n%s", got)
		}
	}
	// A cut line longer than what is read at once.
	d := udpLossy()
	d.Warnings = []string{long}
	path := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(path, []byte(first+lineOf(t, d)[:190<<10]), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Append(d); err != nil {
		t.Fatal(err)
	}
	if got, want := contents(t, path), first+lineOf(t, d); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestAppendToFullDevice(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	a := open(t, "/dev/full")
	if err := a.Append(base("udp")); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("got %v", err)
	}
}

func TestAppendToPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := &Appender{f: w, path: "pipe"}
	d := base("udp")
	if err := errors.Join(a.Append(d), a.Close()); err != nil {
		t.Fatal(err)
	}
	back, err := Read(r)
	if err != nil || len(back.Documents) != 1 {
		t.Errorf("%d documents, %v", len(back.Documents), err)
	}
}

// Several appenders of one file, as shards of a sweep have: no line is cut.
func TestAppendTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			a, err := OpenAppender(path)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				if err := a.Append(udpLossy()); err != nil {
					t.Error(err)
				}
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, want := contents(t, path), strings.Repeat(lineOf(t, udpLossy()), 20); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

// flawed is a file whose disk misbehaves.
type flawed struct {
	*os.File
	room                  int // bytes the disk still takes
	sync, truncate, close error
}

func (x *flawed) Write(p []byte) (int, error) {
	if len(p) <= x.room {
		x.room -= len(p)
		return x.File.Write(p)
	}
	n, err := x.File.Write(p[:x.room])
	x.room = 0
	return n, errors.Join(errDisk, err)
}

func (x *flawed) Sync() error { return x.sync }

func (x *flawed) Truncate(size int64) error {
	if x.truncate != nil {
		return x.truncate
	}
	return x.File.Truncate(size)
}

func (x *flawed) Close() error { return errors.Join(x.close, x.File.Close()) }

func TestAppendTakesHalfLinesBack(t *testing.T) {
	d := udpLossy()
	length := len(lineOf(t, d))
	full := errors.New("quota exceeded")
	for _, c := range []struct {
		name  string
		flaws flawed
		want  []error
		lines int
	}{
		{"nothing fits", flawed{room: length}, []error{errDisk}, 1},
		{"half fits", flawed{room: length + length/2}, []error{errDisk}, 1},
		{"all but the newline", flawed{room: 2*length - 1}, []error{errDisk}, 1},
		{"all fits", flawed{room: 2 * length}, nil, 2},
		{"not flushed", flawed{room: 2 * length, sync: full}, []error{full}, 0},
		{"cannot be taken back", flawed{room: length + 10, truncate: full}, []error{errDisk, full}, -1},
	} {
		path := filepath.Join(t.TempDir(), "results.jsonl")
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		c.flaws.File = file
		a := &Appender{f: &c.flaws, path: path, regular: true}
		first := a.Append(d)
		if (first != nil) != (c.flaws.sync != nil) {
			t.Fatalf("%s: first line: %v", c.name, first)
		}
		err = a.Append(d)
		if (err != nil) != (c.want != nil) {
			t.Errorf("%s: got %v", c.name, err)
		}
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v in it", c.name, err, want)
			}
		}
		if c.lines >= 0 && contents(t, path) != strings.Repeat(lineOf(t, d), c.lines) {
			t.Errorf("%s: %d bytes in the file, want %d lines of %d", c.name, len(contents(t, path)), c.lines, length)
		}
		if c.lines < 0 && !strings.Contains(err.Error(), "stays in the file") {
			t.Errorf("%s: got %v", c.name, err)
		}
		c.flaws.close = full
		if err := a.Close(); !errors.Is(err, full) {
			t.Errorf("%s: close: got %v", c.name, err)
		}
	}
}
