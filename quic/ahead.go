package quic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"netcmp/clock"
)

const (
	pieceSize = 16 << 10  // the largest that is read ahead at once
	aheadMost = 256 << 10 // about as much is read ahead in all
)

// ahead reads a stream while nobody asks for it, as a kernel does: what came
// has its time, and that the peer has said its last is seen though nobody
// receives. To whoever asks, what comes goes straight, without a copy on the
// way. One goroutine runs it, another one reads.
type ahead struct {
	wanted context.Context // ended by Close: nobody reads any more
	in     atomic.Pointer[quicgo.ReceiveStream]
	asked  atomic.Bool

	// turn holds one token while neither has it; the holder may read from the
	// stream and owns what follows.
	turn chan struct{}
	read []piece // and not yet handed on
	last int64   // when the last that Read gave came
	err  error   // what the stream ended with

	done chan struct{} // closed when run has ended
}

// piece is what came together.
type piece struct {
	data []byte
	at   int64
}

// newAhead gives the turn to run, or to fail.
func newAhead(wanted context.Context) *ahead {
	return &ahead{wanted: wanted, turn: make(chan struct{}, 1), done: make(chan struct{})}
}

// run sees that in is read to its end, and says whether that came in order. It
// reads until somebody asks, again when the peer has said its last or connected has
// ended, and when nobody wants it any more, it drops what it reads.
func (a *ahead) run(connected context.Context, in *quicgo.ReceiveStream) (whole bool) {
	final := make(chan struct{})
	in.SetReceiveFinalSizeCallback(func(int64) { close(final) })
	a.in.Store(in)
	buf := make([]byte, pieceSize)
	for n := 0; a.err == nil && a.wanted.Err() == nil && !a.asked.Load() && n < aheadMost; {
		n += a.piece(in, buf)
	}
	a.turn <- struct{}{}
	select {
	case <-final:
	case <-connected.Done():
	case <-a.wanted.Done():
	}
	<-a.turn
	for a.err == nil && a.wanted.Err() == nil {
		a.piece(in, buf)
		a.turn <- struct{}{} // whoever waits for it has it first
		<-a.turn
	}
	for a.err == nil { // Close may wake it yet
		_ = in.SetReadDeadline(time.Time{})
		if _, err := io.Copy(io.Discard, in); err == nil {
			a.err = io.EOF
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			a.err = err
		}
	}
	whole = errors.Is(a.err, io.EOF)
	a.turn <- struct{}{}
	return whole
}

// piece reads what has come, or else waits for it, for the stream's end, or to be
// woken. It says how many bytes came.
func (a *ahead) piece(in *quicgo.ReceiveStream, buf []byte) int {
	n, err := in.Read(buf)
	if n > 0 {
		a.read = append(a.read, piece{bytes.Clone(buf[:n]), clock.Now()})
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		a.err = err
	}
	return n
}

// fail says that there is no stream to read.
func (a *ahead) fail(err error) {
	a.err = err
	a.turn <- struct{}{}
}

// wake ends a Read of the stream that waits, and those that follow until its
// deadline is taken back.
func (a *ahead) wake() {
	if in := a.in.Load(); in != nil {
		_ = in.SetReadDeadline(past)
	}
}

// Read gives what has come, or else waits for it.
func (a *ahead) Read(b []byte) (int, error) {
	first := !a.asked.Load()
	if first {
		a.asked.Store(true)
		a.wake()
	}
	select {
	case <-a.turn:
	default:
		select {
		case <-a.turn:
		case <-a.wanted.Done():
			return 0, a.wanted.Err()
		}
	}
	defer func() { a.turn <- struct{}{} }()
	in := a.in.Load() // nil if there is none, and an error
	if first && in != nil {
		_ = in.SetReadDeadline(time.Time{})
	}
	switch {
	case len(a.read) > 0:
		p := &a.read[0]
		n := copy(b, p.data)
		a.last = p.at
		if p.data = p.data[n:]; len(p.data) == 0 {
			a.read = a.read[1:]
		}
		return n, nil
	case a.err != nil:
		return 0, a.err
	case a.wanted.Err() != nil: // what is left is run's
		return 0, a.wanted.Err()
	}
	n, err := in.Read(b)
	a.last = clock.Now()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		a.err = err
	}
	return n, err
}

// at is when the last that Read gave came.
func (a *ahead) at() int64 { return a.last }
