package udp_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/transporttest"
	"netcmp/udp"
)

// What leaves in trains comes as the messages that were sent, each of its own
// length and in their order, whoever cuts the trains and wherever they end.
func TestTrains(t *testing.T) {
	for _, bulk := range []bool{false, true} {
		for _, host := range hosts {
			r := rand.New(rand.NewPCG(1, 2))
			client, server := transporttest.Pair(t, udp.New(), host, transport.Config{Bulk: bulk, MaxMessage: 20_000})
			guard := time.AfterFunc(10*time.Second, func() { _ = server.Close() })
			in := make([]transport.Message, 7) // fewer than a train has
			number := uint64(0)
			for range 300 {
				// Runs of one length, of which some fill several trains.
				var batch [][]byte
				for len(batch) < 200 {
					size := message.HeaderSize + r.IntN(100)
					if r.IntN(8) == 0 {
						size = 1 + r.IntN(20_000)
					}
					for range 1 + r.IntN(90) {
						b := make([]byte, size)
						message.Fill(b, number)
						if size >= message.HeaderSize {
							message.Seal(b, message.Header{Number: number})
						}
						batch = append(batch, b)
						number++
						if len(batch)*size > 100_000 {
							break
						}
					}
				}
				for sent := 0; sent < len(batch); {
					part := batch[sent:min(sent+40, len(batch))]
					if n, err := client.Send(part); n != len(part) || err != nil {
						t.Fatal(n, err)
					}
					for got := 0; got < len(part); {
						n, err := server.Receive(in)
						if err != nil {
							t.Fatal(err)
						}
						for i, m := range in[:n] {
							if !bytes.Equal(m.Data, part[got+i]) {
								t.Fatalf("%v, bulk %v: a message of %d bytes came as one of %d", host, bulk, len(part[got+i]), len(m.Data))
							}
						}
						got += n
					}
					sent += len(part)
				}
			}
			guard.Stop()
			if s := server.Stats(); *s.ReceiverDropped != 0 || s.TrainsDropped != 0 {
				t.Errorf("%d messages and %d trains dropped", *s.ReceiverDropped, s.TrainsDropped)
			}
		}
	}
}

// The account closes to the message where trains come whole, too: what the socket
// had no room for is counted by the numbers that are missing, and at the end by
// what was sent after the last that came.
func TestTrainsOverflow(t *testing.T) {
	for _, host := range hosts {
		for _, size := range []int{40, 500, 3000, 20_000} {
			client, server := transporttest.Pair(t, udp.New(), host, transport.Config{Bulk: true, ReceiveBuffer: 100_000})
			var received, highest atomic.Int64
			highest.Store(-1)
			ended := make(chan error, 1)
			var reads sync.Mutex // held while a burst is sent: nobody reads as fast as it comes
			account := func(messages []transport.Message) error {
				for _, m := range messages {
					h, err := message.Parse(m.Data)
					if err != nil || int64(h.Number) <= highest.Load() {
						return fmt.Errorf("%d came after %d: %w", h.Number, highest.Load(), err)
					}
					highest.Store(int64(h.Number))
					received.Add(1)
				}
				return nil
			}
			go func() {
				in := make([]transport.Message, 64)
				for {
					n, err := server.Receive(in)
					if err == nil {
						reads.Lock()
						err = account(in[:n])
						reads.Unlock()
					}
					if err != nil {
						ended <- err
						return
					}
				}
			}()
			sent := int64(0)
			batch := make([][]byte, 50)
			closed := func() bool {
				s := server.Stats()
				after := sent - highest.Load() - 1
				return received.Load()+*s.ReceiverDropped+after == sent && (after == 0) == (s.TrainsDropped == 0) &&
					after >= s.TrainsDropped && after <= s.TrainsDropped*transport.TrainMax
			}
			// Bursts that do not fit; what of one is there is read before the next.
			for range 10 {
				reads.Lock()
				for range 20 + 20_000/size {
					for i := range batch {
						batch[i] = sealed(uint64(sent)+uint64(i), size)
					}
					if n, err := client.Send(batch); n != len(batch) || err != nil {
						reads.Unlock()
						t.Fatal(n, err)
					}
					sent += int64(len(batch))
				}
				reads.Unlock()
				for n := 0; !closed(); n++ {
					if n == 1000 {
						s := server.Stats()
						t.Fatalf("%v, %d bytes: %d sent, %d received, highest %d, %d dropped and %d trains after", host, size,
							sent, received.Load(), highest.Load(), *s.ReceiverDropped, s.TrainsDropped)
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
			s := server.Stats()
			t.Logf("%v, %d bytes: %d sent, %d received, %d dropped and %d trains after", host, size, sent, received.Load(), *s.ReceiverDropped, s.TrainsDropped)
			if received.Load() == sent {
				t.Errorf("%v, %d bytes: no overflow", host, size)
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, transport.ErrClosed) {
				t.Error(err)
			}
		}
	}
}
