package netem

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A specification may name a file: the table of a distribution, or a packet
// delivery trace. Parse reads it, so that what is wrong with it is said there,
// and reads it again only if it has changed; whatever uses the impairment in
// this process takes what was read. Another process that is handed the
// specification reads the file for itself, so a relative name is relative to
// the working directory of either. An Impairment holds the name alone.

// A fileCache keeps what was read of the files of one kind.
type fileCache[T any] struct {
	most int64 // bytes that such a file may have
	read func(text string) (T, error)

	mu    sync.Mutex
	files map[string]cachedFile[T]
}

type cachedFile[T any] struct {
	content  T
	modified time.Time
	size     int64
}

// get returns what was last read of the file, and reads it if it never was.
func (c *fileCache[T]) get(name string) (T, error) {
	c.mu.Lock()
	f, ok := c.files[name]
	c.mu.Unlock()
	if ok {
		return f.content, nil
	}
	return c.refresh(name)
}

// refresh reads the file unless it is the one that was read.
func (c *fileCache[T]) refresh(name string) (T, error) {
	var none T
	info, err := os.Stat(name)
	if err != nil {
		return none, fileError(name, err)
	}
	// A device or a pipe might never end.
	if !info.Mode().IsRegular() {
		return none, fmt.Errorf("%q is not a regular file", name)
	}
	if info.Size() > c.most {
		return none, fmt.Errorf("%q is too large: %d bytes, want at most %d", name, info.Size(), c.most)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.files[name]; ok && f.size == info.Size() && f.modified.Equal(info.ModTime()) {
		return f.content, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return none, fileError(name, err)
	}
	content, err := c.read(string(text))
	if err != nil {
		return none, fmt.Errorf("%q: %w", name, err)
	}
	if c.files == nil {
		c.files = map[string]cachedFile[T]{}
	}
	c.files[name] = cachedFile[T]{content, info.ModTime(), info.Size()}
	return content, nil
}

// fileError quotes the name, which may hold anything.
func fileError(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%q: %w", name, err)
}

// numberLines calls each with every number of a text, which has any count of
// them in a line; empty lines and lines that begin with # do not matter.
func numberLines(text string, base, bits int, each func(line int, v int64) error) error {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		for word := range strings.FieldsSeq(lines.Text()) {
			v, err := strconv.ParseInt(word, base, bits)
			if err != nil {
				return fmt.Errorf("line %d: %q is not a whole number of %d bits", n, word, bits)
			}
			if err := each(n, v); err != nil {
				return err
			}
		}
	}
	if lines.Err() != nil {
		return fmt.Errorf("line %d: too long", n+1)
	}
	return nil
}

// maxTable is how many entries the kernel takes (NETEM_DIST_MAX).
const maxTable = 16384

// tableFiles are the distributions in files of tc's format (get_distribution in
// tc/q_netem.c): lines of numbers, each a multiple of 1/8192 of a standard
// deviation, in rising order if they are to be a quantile function. Where tc
// ends a line at what is no number and cuts numbers to 16 bits, it is an error.
var tableFiles = fileCache[table]{most: 1 << 20, read: func(text string) (table, error) {
	var t table
	err := numberLines(text, 0, 16, func(line int, v int64) error {
		if len(t) == maxTable {
			return fmt.Errorf("line %d: too much data, want at most %d numbers", line, maxTable)
		}
		t = append(t, int16(v))
		return nil
	})
	if err == nil && len(t) == 0 {
		err = errors.New("no distribution data: want lines of numbers, as in tc's .dist files")
	}
	return t, err
}}
