package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"netcmp/result"
)

// Appender adds documents to a file, one a line. A line is there whole or not
// at all, and the lines before it are never touched: a full disk costs one
// result, not the file. What a killed program left of a line the next one takes
// away.
//
// One goroutine owns an Appender. Several processes may append to one file.
type Appender struct {
	f       outFile
	path    string
	regular bool // what was written can be taken back, and flushed to the disk
}

// outFile is what an Appender needs of an *os.File.
type outFile interface {
	io.Writer
	io.Closer
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	Fd() uintptr
}

// OpenAppender opens path for appending, and makes it where there is none, so
// that a path that cannot be written to is known before the run and not after
// it. Close it.
func OpenAppender(path string) (*Appender, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644) //nolint:gosec // results are for others to read, under the user's umask
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Appender{f: f, path: path, regular: info.Mode().IsRegular()}, nil
}

// Append writes d as one line at the end of the file, and has the disk keep
// it.
func (a *Appender) Append(d *result.Document) error {
	if a.f == nil {
		return fmt.Errorf("append to %s: %w", a.path, os.ErrClosed)
	}
	text, err := Line(d)
	if err != nil {
		return err
	}
	if !a.regular { // a pipe or a device: nothing to take back, nothing to flush
		if _, err := a.f.Write(text); err != nil {
			return fmt.Errorf("append to %s: %w", a.path, err)
		}
		return nil
	}
	unlock := lock(a.f.Fd())
	defer unlock()
	info, err := a.f.Stat()
	if err != nil {
		return err
	}
	before := info.Size()
	switch begin, last := lastLine(a.path, before); {
	case len(last) == 0:
	case cutShort(last) && a.f.Truncate(begin) == nil:
		before = begin
	default:
		// A line of somebody else's without an end. It stays, and ours does
		// not grow onto it.
		text = append([]byte{'\n'}, text...)
	}
	n, err := a.f.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = a.f.Sync()
	}
	if err == nil {
		return nil
	}
	if undo := a.f.Truncate(before); undo != nil {
		return fmt.Errorf("append to %s: %w; a part of the line stays in the file, since taking it back failed too: %w", a.path, err, undo)
	}
	return fmt.Errorf("append to %s: %w; the result was not saved, the earlier ones are intact", a.path, err)
}

// Close closes the file. It may be called again.
func (a *Appender) Close() error {
	if a.f == nil {
		return nil
	}
	f := a.f
	a.f = nil
	return f.Close()
}

// lastLine is what is behind the last newline of a file of that size, and where
// it begins. A file that may be written and not read is taken to be well.
func lastLine(path string, size int64) (begin int64, text []byte) {
	f, err := os.Open(path) //nolint:gosec // the file that the user names
	if err != nil {
		return size, nil
	}
	defer f.Close()
	const step = 64 << 10
	for begin = size; begin > 0; {
		from := max(begin-step, 0)
		part := make([]byte, begin-from)
		if _, err := f.ReadAt(part, from); err != nil {
			return size, nil
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return from + int64(i) + 1, append(part[i+1:], text...)
		}
		begin, text = from, append(part, text...)
	}
	return 0, text
}

// lineBegins is how every line begins.
const lineBegins = `{"schema":"netcmp.`

// cutShort says that a line is the beginning of one of ours: whoever wrote it was
// killed in the middle. Who writes now would hold the lock.
func cutShort(line []byte) bool {
	ours := bytes.HasPrefix(line, []byte(lineBegins)) || bytes.HasPrefix([]byte(lineBegins), line)
	return ours && !json.Valid(line)
}
