package peer

import (
	"sync"

	"netcmp/lateness"
	"netcmp/result"
	"netcmp/transport"
)

// readLate counts how late messages were read: from when the kernel received them
// until this process had them. Its methods may be called from any goroutine.
type readLate struct {
	mu   sync.Mutex
	late lateness.Histogram
}

func newReadLate() readLate { return readLate{late: lateness.NewHistogram()} }

// add enters what a transport that tells has received.
func (r *readLate) add(batch []transport.Message) {
	if batch[0].Stamped == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range batch {
		if m := &batch[i]; m.Stamped != 0 {
			r.late.Add(m.At-m.Stamped, 1)
		}
	}
}

// tail returns the quantiles; nil where the transport does not tell.
func (r *readLate) tail() *result.Tail {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late.Tail()
}
