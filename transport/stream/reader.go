package stream

import (
	"errors"
	"fmt"
	"io"

	"netcmp/message"
	"netcmp/transport"
)

// readSize is the size that the receive buffer grows to: one read then takes
// what a fast path brings while this goroutine was away. It begins small, since
// a connection may live for one message only.
const readSizeMin, readSize = 16 << 10, 256 << 10

// Reader cuts a stream into messages. One goroutine owns it.
type Reader struct {
	// Largest is the largest message of the session, bytes.
	Largest int

	buf        []byte
	start, end int   // what of buf was read and not yet handed on
	at         int64 // when the last read returned
	full       bool  // the last read filled buf: there was more
	err        error // what ended the stream; stays
}

// Next fills batch with the whole messages that are there. Since a read
// happens only when none is left, each of them was completed by the last one.
func (f *Reader) Next(batch []transport.Message) (n int, err error) {
	if f.err != nil {
		return 0, f.err
	}
	for n < len(batch) {
		unread := f.buf[f.start:f.end]
		length, err := message.Length(unread, f.Largest)
		if errors.Is(err, message.ErrShort) || err == nil && length > len(unread) {
			break
		}
		if err != nil {
			// Where a message ends is lost for good, and so is all that follows.
			f.err = fmt.Errorf("the stream is out of step: %w", err)
			if n == 0 {
				return 0, f.err
			}
			break
		}
		batch[n] = transport.Message{Data: unread[:length:length], At: f.at}
		f.start += length
		n++
	}
	return n, nil
}

// Read waits for more of the stream. The messages handed out before are no
// longer valid: their place is used again. at gives the instant that the read
// came back, in package clock's scale.
func (f *Reader) Read(r io.Reader, at func() int64) error {
	f.makeRoom()
	n, err := r.Read(f.buf[f.end:])
	f.at = at()
	f.end += n
	f.full = f.end == len(f.buf)
	if n == 0 && err != nil {
		if errors.Is(err, io.EOF) && f.end > f.start {
			return fmt.Errorf("%w in the middle of a message", err)
		}
		return err
	}
	return nil
}

// makeRoom lets the buffer grow when a read filled it or a message will not fit
// it, and else moves the beginning of an unfinished message to the front when
// the rest would not fit behind it, or little else would.
func (f *Reader) makeRoom() {
	if f.start == f.end {
		f.start, f.end = 0, 0
	}
	need := message.HeaderSize
	if length, err := message.Length(f.buf[f.start:f.end], f.Largest); err == nil {
		need = length
	}
	size := max(readSizeMin, need)
	if f.full {
		size = max(size, min(2*len(f.buf), readSize))
	}
	if size > len(f.buf) {
		buf := make([]byte, size)
		f.end = copy(buf, f.buf[f.start:f.end])
		f.buf, f.start = buf, 0
		return
	}
	if free := len(f.buf) - f.start; f.start > 0 && (free < need || free < len(f.buf)/2) {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
}
