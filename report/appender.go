package report

import (
	"errors"
	"fmt"
	"io"
	"os"

	"netcmp/result"
)

// Appender adds documents to a file, one a line. A line is there whole or not
// at all, and the lines before it are never touched: a full disk costs one
// result, not the file.
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
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
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
	if before > 0 && !endsInNewline(a.path, before) {
		// Half a line of somebody else's. It stays, and ours does not grow
		// onto it.
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

// endsInNewline tells whether a new line begins at the file's end. A file that
// may be written and not read is taken to be well.
func endsInNewline(path string, size int64) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err != nil {
		return true
	}
	return last[0] == '\n'
}
