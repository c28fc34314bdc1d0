package quic

import (
	"context"
	"errors"
	"io"

	"netcmp/clock"
)

const (
	chunkSize = 64 << 10
	chunks    = 4
)

// ahead reads a stream before anybody asks for it, as a kernel does: what came
// has its time, and that the peer has said its last is seen though nobody
// receives. One goroutine runs it, another one reads.
type ahead struct {
	filled  chan chunk
	free    chan []byte
	current chunk
	left    []byte        // of current
	done    chan struct{} // closed when run has ended
}

type chunk struct {
	data []byte
	at   int64 // when it came
	err  error // after the data
}

func newAhead() *ahead {
	a := &ahead{filled: make(chan chunk, chunks), free: make(chan []byte, chunks), done: make(chan struct{})}
	for range chunks {
		a.free <- make([]byte, chunkSize)
	}
	return a
}

// run reads to the stream's end and says whether that came in order. When
// unwanted ends it goes on, and drops what it reads.
func (a *ahead) run(unwanted context.Context, in io.Reader) (whole bool) {
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-unwanted.Done():
			_, err := io.Copy(io.Discard, in)
			return err == nil
		}
		n, err := in.Read(buf)
		a.filled <- chunk{data: buf[:n], at: clock.Now(), err: err} // there are no more than it holds
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// fail says that there is no stream to read.
func (a *ahead) fail(err error) { a.filled <- chunk{err: err} }

// from is a as somebody reads it who stops when ended does.
type from struct {
	*ahead
	ended context.Context
}

// Read gives what has come.
func (f from) Read(b []byte) (int, error) {
	a := f.ahead
	for len(a.left) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if cap(a.current.data) > 0 {
			a.free <- a.current.data[:chunkSize]
			a.current = chunk{}
		}
		select {
		case a.current = <-a.filled:
			a.left = a.current.data
		default:
			select {
			case a.current = <-a.filled:
				a.left = a.current.data
			case <-f.ended.Done():
				return 0, f.ended.Err()
			}
		}
	}
	n := copy(b, a.left)
	a.left = a.left[n:]
	return n, nil
}

// at is when the last that Read gave came.
func (a *ahead) at() int64 { return a.current.at }
