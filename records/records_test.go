package records

import (
	"math/rand/v2"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// Whatever was sent and in whatever order it was received: each number has its row.
func TestEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		due := rapid.Int64Range(0, 3*blockCells*blocksInUse).Draw(t, "due")
		sent := rapid.Int64Range(0, due).Draw(t, "sent")
		spread := rapid.SampledFrom([]int64{0, 3, blockCells, due}).Draw(t, "spread")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want := make([]Row, due)
		for i := range want {
			want[i] = Row{Number: int64(i), Sent: Unknown, Received: Unknown, Read: Unknown}
		}
		w := NewWriter(s.Client.Sent)
		for i := int64(0); i < sent; {
			n := min(r.Int64N(5)+1, sent-i)
			w.Sent(i*10, int(n))
			for j := range n {
				want[i+j].Sent = i * 10
			}
			i += n
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		w = NewWriter(s.Server.Received)
		order := make([]int64, 0, sent)
		for i := range sent {
			if r.IntN(10) > 0 {
				order = append(order, i)
			}
		}
		for i := range order { // some come before others
			if spread > 0 {
				j := min(i+int(r.Int64N(spread+1)), len(order)-1)
				order[i], order[j] = order[j], order[i]
			}
		}
		for i, n := range order {
			w.Received(uint64(n), n*10+7, Unknown)
			want[n].Sequence, want[n].Read = int64(i)+1, n*10+7
		}
		w.Received(uint64(due), 1, 1) // a number that was not due
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		next := 0
		if err := Each(s.Client.Sent, s.Server.Received, due, func(x Row) error {
			if x != want[next] {
				t.Fatalf("row %d: %+v, want %+v", next, x, want[next])
			}
			next++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if int64(next) != due {
			t.Fatalf("%d rows of %d", next, due)
		}
	})
}

// Writing allocates nothing, and a nil Writer does nothing.
func TestWriterAllocatesNothing(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, w := range []*Writer{nil, NewWriter(s.Client.Sent)} {
		if n := testing.AllocsPerRun(10_000, func() { w.Sent(1, 2); w.Received(1, 2, 3) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// A file that takes no more is told, once and at the end.
func TestWriterFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	w := NewWriter(full)
	for range 100_000 {
		w.Sent(1, 1)
	}
	if err := w.Flush(); err == nil {
		t.Error("a full disk is not told of")
	}
}
