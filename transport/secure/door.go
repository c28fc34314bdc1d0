package secure

import (
	"context"
	"sync"

	"netcmp/transport"
)

// Door is where connections wait whose handshake was done before anybody asked
// for them. The one that is meant goes through; the others are refused then. Its
// methods may be called from any goroutine.
type Door[C any] struct {
	ready   chan C
	taken   chan struct{} // closed when all have gone through that were meant to
	closed  chan struct{}
	closing sync.Once

	mu   sync.Mutex
	left int // how many may still go through
}

// NewDoor makes an open door, for so many connections.
func NewDoor[C any](connections int) *Door[C] {
	return &Door[C]{ready: make(chan C), taken: make(chan struct{}), closed: make(chan struct{}), left: connections}
}

// Offer waits until the connection is taken, and says false when it is not to
// be.
func (d *Door[C]) Offer(c C) bool {
	select {
	case d.ready <- c:
		return true
	case <-d.taken:
	case <-d.closed:
	}
	return false
}

// Take waits for a connection that is the one. Others are refused, and the wait
// goes on.
func (d *Door[C]) Take(ctx context.Context, is func(C) bool, refuse func(C)) (c C, err error) {
	if err := ctx.Err(); err != nil {
		return c, err
	}
	for {
		select {
		case <-d.closed:
			return c, transport.ErrClosed
		case <-ctx.Done():
			return c, ctx.Err()
		case c := <-d.ready:
			if is(c) {
				d.mu.Lock()
				if d.left--; d.left == 0 {
					close(d.taken)
				}
				d.mu.Unlock()
				return c, nil
			}
			refuse(c)
		}
	}
}

// Close ends Offer and Take.
func (d *Door[C]) Close() { d.closing.Do(func() { close(d.closed) }) }

// Closed is closed with the door.
func (d *Door[C]) Closed() <-chan struct{} { return d.closed }
