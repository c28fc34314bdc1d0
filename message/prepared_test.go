package message_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"netcmp/message"
)

// A prepared buffer is sealed as any other, whatever its length, its payload and the
// messages that it was before.
func TestPrepared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(message.HeaderSize, 200), rapid.IntRange(message.HeaderSize, 1<<20)).Draw(t, "size")
		bufs := make([][]byte, 2)
		for i := range bufs {
			bufs[i] = make([]byte, size)
			message.Fill(bufs[i], rapid.Uint64().Draw(t, "fill"))
		}
		prepared := message.Prepare(bufs)
		for range 3 {
			for i := range bufs {
				h := headers().Draw(t, "header")
				prepared[i].Seal(h)
				want := bytes.Clone(bufs[i])
				message.Seal(want, h)
				if !bytes.Equal(bufs[i], want) {
					t.Fatalf("%d bytes: sealed %x, want %x", size, bufs[i][:message.HeaderSize], want[:message.HeaderSize])
				}
			}
		}
	})
}

func BenchmarkPrepared(b *testing.B) {
	last := []byte{0}
	var prepared []message.Prepared
	bench(b, func(buf []byte) {
		if &buf[0] != &last[0] {
			last, prepared = buf, message.Prepare([][]byte{buf})
		}
		prepared[0].Seal(message.Header{Session: 1, Number: 2})
	})
}
