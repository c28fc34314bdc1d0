package quic

import (
	"context"

	"netcmp/transport"
)

// inboxSize is how many messages wait for Receive before whoever brings more
// has to wait, too.
const inboxSize = 4096

// inbox is a queue of messages that background goroutines bring and Receive
// takes.
type inbox struct {
	messages chan transport.Message
	last     int64         // when the last that Receive took came
	ended    chan struct{} // closed when nothing comes any more
	err      error         // why; set before ended is closed
}

func newInbox() *inbox {
	return &inbox{messages: make(chan transport.Message, inboxSize), ended: make(chan struct{})}
}

// put brings a message; false if ctx ended before there was room.
func (b *inbox) put(ctx context.Context, m transport.Message) bool {
	select {
	case b.messages <- m:
		return true
	default:
	}
	select {
	case b.messages <- m:
		return true
	case <-ctx.Done():
		return false
	}
}

// end says that nothing comes any more. Whoever calls it has seen all who bring.
func (b *inbox) end(err error) {
	b.err = err
	close(b.ended)
}

// take waits for a message and fills batch with those that are there. What came
// before the end comes before the end's error.
func (b *inbox) take(ctx context.Context, batch []transport.Message) (int, error) {
	select {
	case batch[0] = <-b.messages:
	default:
		select {
		case batch[0] = <-b.messages:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-b.ended:
			select {
			case batch[0] = <-b.messages:
			default:
				return 0, b.err
			}
		}
	}
	for n := 1; n < len(batch); n++ {
		select {
		case batch[n] = <-b.messages:
		default:
			return n, nil
		}
	}
	return len(batch), nil
}

// receive is Receive of the ways that have an inbox.
func (l *link) receive(b *inbox, batch []transport.Message) (int, error) {
	l.receiving.Lock()
	defer l.receiving.Unlock()
	if l.closed.Load() {
		return 0, transport.ErrClosed
	}
	if len(batch) == 0 {
		return 0, nil
	}
	n, err := b.take(l.ended, batch)
	for i := range batch[:n] {
		// Who read the clock first need not be who got into the queue first.
		b.last = max(b.last, batch[i].At)
		batch[i].At = b.last
	}
	return n, l.why(err)
}
