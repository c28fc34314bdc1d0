// Package stream puts messages on a byte stream and finds them again: what the
// transports that have one share.
package stream

import (
	"fmt"

	"netcmp/transport"
)

// Fitting is the messages of batch before the first that is larger than the
// session's limit, and the error that is due for that one. The other end would
// take a larger message for a corrupt one.
func Fitting(batch [][]byte, largest int) ([][]byte, error) {
	for i, m := range batch {
		if len(m) > largest {
			return batch[:i], fmt.Errorf("%w: %d bytes, the session's limit is %d", transport.ErrTooLarge, len(m), largest)
		}
	}
	return batch, nil
}

// Join puts the messages of batch one behind the other into buf, which grows as
// it must.
func Join(buf []byte, batch [][]byte) []byte {
	buf = buf[:0]
	for _, m := range batch {
		buf = append(buf, m...)
	}
	return buf
}

// Contiguous gives the batch as one slice if its messages lie one behind the
// other in one array, as one does alone.
func Contiguous(batch [][]byte) ([]byte, bool) {
	all := batch[0]
	for _, m := range batch[1:] {
		n := len(all)
		if len(m) == 0 {
			continue
		}
		if cap(all)-n < len(m) || &all[:n+1][n] != &m[0] {
			return nil, false
		}
		all = all[:n+len(m)]
	}
	return all, true
}

// Whole counts the messages of batch that lie in its first n bytes.
func Whole(batch [][]byte, n int64) int {
	for i, m := range batch {
		if n -= int64(len(m)); n < 0 {
			return i
		}
	}
	return len(batch)
}
