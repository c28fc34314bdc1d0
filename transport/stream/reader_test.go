package stream_test

import (
	"fmt"
	"testing"

	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/stream"
)

// endless is a stream of the same messages over and over, which a read takes as much
// of as it has room for.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c := copy(b[n:], e.data[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.data)
	}
	return n, nil
}

// BenchmarkReader cuts a stream into messages.
func BenchmarkReader(b *testing.B) {
	for _, size := range []int{64, 1400, 128 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			buf := make([]byte, size)
			message.Seal(buf, message.Header{Number: 1})
			in, r := &endless{data: buf}, stream.Reader{Largest: size}
			batch := make([]transport.Message, 256)
			at := func() int64 { return 1 }
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for got := 0; got < b.N; {
				n, err := r.Next(batch)
				if n == 0 && err == nil {
					err = r.Read(in, at)
				}
				if err != nil {
					b.Fatal(err)
				}
				got += n
			}
		})
	}
}
