package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"netcmp/result"
)

// JSON writes a document for a program, indented, with a newline after it.
func JSON(w io.Writer, d *result.Document) error {
	data, err := encode(d, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Line is a document on one line, newline included: the form that saved
// results have.
func Line(d *result.Document) ([]byte, error) { return encode(d, "") }

func encode(d *result.Document, indent string) ([]byte, error) {
	if d == nil {
		return nil, errNoDocument
	}
	if d.Warnings == nil { // no warnings were given, which is a measurement
		c := *d
		c.Warnings = []string{}
		d = &c
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // "<" in a command line is for people to read
	e.SetIndent("", indent)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("report: document: %w", err)
	}
	return b.Bytes(), nil
}

// ErrSchema is in the error of Read for a document it does not know.
var ErrSchema = errors.New("unknown schema")

// ErrCut is in the error of Read for a document that ends with the file in its
// middle, as when the program that wrote it was killed.
var ErrCut = errors.New("the document that begins here is cut short")

// Saved is what a file of results holds, in its order: single documents, and
// comparisons.
type Saved struct {
	Documents   []*result.Document
	Comparisons []*result.Comparison
}

// Read reads saved results: one document, or one after another, whatever
// whitespace is between and within them. Empty input holds no documents, which
// is no error. With an error come the documents before it; the error names the
// line.
func Read(r io.Reader) (Saved, error) {
	var saved Saved
	data, err := io.ReadAll(r)
	if err != nil {
		return saved, err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark, from an editor
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		begin := skipSpace(data, dec.InputOffset())
		at := func(offset int64) int { return line(data, begin+offset) }
		var raw json.RawMessage
		switch err := dec.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return saved, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return saved, fmt.Errorf("line %d: %w", at(0), ErrCut)
		case err != nil:
			if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
				// The offset counts the byte that was wrong, too.
				return saved, fmt.Errorf("line %d: not JSON: %w", line(data, syntax.Offset-1), err)
			}
			return saved, fmt.Errorf("line %d: %w", at(0), err)
		}
		if offset, err := saved.decode(raw); err != nil {
			return saved, fmt.Errorf("line %d: %w", at(offset), err)
		}
	}
}

// decode reads one document. With an error it tells how far into the
// document that is.
func (s *Saved) decode(raw []byte) (int64, error) {
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		if raw[0] != '{' {
			return 0, fmt.Errorf("not a result document: %s", printable(string(raw[:min(len(raw), 20)])))
		}
		return errorOffset(err), err
	}
	const known = result.Schema + ", " + result.ComparisonSchema
	switch {
	case head.Schema == nil:
		return 0, fmt.Errorf("%w: it has none; known: %s", ErrSchema, known)
	case *head.Schema == result.Schema:
		d := new(result.Document)
		if err := json.Unmarshal(raw, d); err != nil {
			return errorOffset(err), err
		}
		s.Documents = append(s.Documents, d)
	case *head.Schema == result.ComparisonSchema:
		x := new(result.Comparison)
		if err := json.Unmarshal(raw, x); err != nil {
			return errorOffset(err), err
		}
		s.Comparisons = append(s.Comparisons, x)
	default:
		return 0, fmt.Errorf("%w: %s is not known; known: %s", ErrSchema, printable(*head.Schema), known)
	}
	return 0, nil
}

func errorOffset(err error) int64 {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return max(0, wrong.Offset-1)
	}
	return 0
}

func skipSpace(data []byte, offset int64) int64 {
	for offset < int64(len(data)) && bytes.IndexByte([]byte(" \t\r\n"), data[offset]) >= 0 {
		offset++
	}
	return offset
}

// line is the number of the line that holds data[offset].
func line(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}
