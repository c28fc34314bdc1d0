package quic

import (
	"testing"

	"github.com/quic-go/quic-go/quicvarint"
	"pgregory.net/rapid"
)

// However many messages of a size a packet holds, and however long the numbers
// in its header are, its length tells how many.
func TestMessagesIn(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.IntRange(shortest, MaxDatagram).Draw(r, "size")
		count := rapid.IntRange(0, 1400/(size+3)).Draw(r, "count")
		number := rapid.IntRange(1, 4).Draw(r, "length of the packet number")
		long := rapid.Bool().Draw(r, "long header")
		packet := 1 + 4 + number + 16
		if long {
			// The client makes up where its first packets go to (RFC 9000 §7.2).
			packet += 4 + 1 + 1 + 4 + 2 + rapid.IntRange(0, 14).Draw(r, "connection ID")
		}
		for i := range count {
			packet += 1 + size
			if i < count-1 {
				packet += quicvarint.Len(uint64(size))
			}
		}
		if got := messagesIn(packet, size, long); got != int64(count) {
			r.Fatalf("a packet of %d bytes with %d messages of %d: counted %d", packet, count, size, got)
		}
	})
}

// The set knows what was put into it and nothing else.
func TestBits(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var b bits
		in := map[int64]bool{}
		for _, n := range rapid.SliceOf(rapid.Int64Range(0, 500)).Draw(r, "numbers") {
			b.add(n)
			in[n] = true
		}
		for n := range int64(600) {
			if b.has(n) != in[n] {
				r.Fatalf("%d: %v", n, b.has(n))
			}
		}
	})
}
