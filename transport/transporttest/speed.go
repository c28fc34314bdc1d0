package transporttest

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"netcmp/transport"
)

// NoAllocations demands that moving messages allocates nothing once a
// connection is warm: a garbage collection would be seen as delay. It is apart
// from Run because a transport that rests on other people's code may have no
// say in it.
func NoAllocations(t *testing.T, tr transport.Transport) {
	for _, host := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		for _, count := range []int{1, 32} {
			t.Run(fmt.Sprintf("%v/batch=%d", host, count), func(t *testing.T) {
				client, server := Pair(t, tr, host, transport.Config{MaxMessage: 1000, Session: session})
				out := letters(0, count, 500)
				in := make([]transport.Message, 64)
				move := func() error {
					if n, err := client.Send(out); err != nil || n != count {
						return fmt.Errorf("sent %d of %d: %w", n, count, err)
					}
					for got := 0; got < count; {
						n, err := server.Receive(in)
						if err != nil {
							return err
						}
						got += n
					}
					return nil
				}
				var failed error
				within(t, patience, "moving messages", func() error {
					for range 100 {
						if err := move(); err != nil {
							return err
						}
					}
					allocs := testing.AllocsPerRun(1000, func() {
						if failed == nil {
							failed = move()
						}
					})
					if allocs != 0 {
						return fmt.Errorf("%v allocations for %d messages", allocs, count)
					}
					return failed
				})
			})
		}
	}
}

// Benchmark moves b.N messages over loopback as fast as they will go. What an
// unreliable transport's receiver did not take must be in ReceiverDropped, or
// the benchmark does not end well.
func Benchmark(b *testing.B, tr transport.Transport, size, count int) {
	client, server := Pair(b, tr, netip.MustParseAddr("127.0.0.1"), transport.Config{MaxMessage: size, Session: session})
	batch := letters(0, count, size)
	var received atomic.Int64
	done := begin(func() error {
		in := make([]transport.Message, 256)
		for received.Load() < int64(b.N) {
			n, err := server.Receive(in)
			if err != nil {
				return err
			}
			received.Add(int64(n))
		}
		return nil
	})
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	for sent := 0; sent < b.N; {
		n, err := client.Send(batch[:min(count, b.N-sent)])
		if err != nil {
			b.Fatal(err)
		}
		sent += n
	}
	sending := time.Since(start)
	dropped := func() int64 {
		if d := server.Stats().ReceiverDropped; d != nil {
			return *d
		}
		return 0
	}
	if tr.Properties().Reliable {
		wait(b, patience, "receiving", done)
	} else {
		for deadline := time.Now().Add(patience); received.Load()+dropped() < int64(b.N); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatalf("%d sent, %d received, %d dropped", b.N, received.Load(), dropped())
			}
		}
	}
	elapsed := time.Since(start)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/sending.Seconds(), "sent/s")
	b.ReportMetric(float64(received.Load())/elapsed.Seconds(), "received/s")
	b.ReportMetric(float64(received.Load())/float64(b.N), "received/sent")
	if tr.Properties().Reliable {
		return
	}
	if err := server.Close(); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil && !errors.Is(err, transport.ErrClosed) {
		b.Fatal(err)
	}
}
