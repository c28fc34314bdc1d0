package ledger

import (
	"encoding/json"
	"math"
	"runtime"
	"testing"
)

// heap is what is held: what lies in a sync.Pool, as the encoder's buffers do, goes
// with the second collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Numbers and times that no sender of ours makes.
func TestHostile(t *testing.T) {
	before := heap()
	l := New(Config{Ordered: true})
	extremes := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	number := uint64(0)
	for _, planned := range extremes {
		for _, sent := range extremes {
			for _, at := range extremes {
				l.Arrive(number, planned, sent, at, -1)
				number++
			}
		}
	}
	l.Arrive(maxNumber-1, 0, 0, 0, 1)
	l.Arrive(maxNumber, 0, 0, 0, 1)
	l.Arrive(math.MaxUint64, 0, 0, 0, 1)
	for _, n := range []int64{math.MinInt64, 0, 1, maxNumber, math.MaxInt64} {
		m := l.Report(Sent{Sent: n, HostDiscarded: math.MinInt64, PerInterval: []int64{math.MinInt64}})
		if _, err := json.Marshal(m); err != nil {
			t.Errorf("%d sent: %v", n, err)
		}
		equal(t, "corrupted", *m.Delivery.Corrupted, 2)
		if r := m.Delivery.Ratio; r != nil && (*r < 0 || *r > 1) || *m.Delivery.Lost < 0 {
			t.Errorf("%d sent: %+v", n, m.Delivery)
		}
	}
	m := l.Report(Sent{Sent: maxNumber})
	equal(t, "lost", *m.Delivery.Lost, int64(maxNumber-number-1))
	equal(t, "periods", m.Loss.Periods, 1)
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("holds %d MB", grown>>20)
	}
	runtime.KeepAlive(l)
}

// Numbers strewn over the whole range cost a page each, and no more than the
// bound allows.
func TestStrewnNumbers(t *testing.T) {
	before := heap()
	l := New(Config{MaxNumber: 1 << 24})
	for i := range uint64(1 << 15) {
		l.Arrive(i*104_729*(1<<11), 0, 0, 0, 1)
	}
	m := l.Report(Sent{Sent: 1 << 15})
	equal(t, "beyond the bound", *m.Delivery.Corrupted > 0, true)
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("holds %d MB", grown>>20)
	}
	runtime.KeepAlive(l)
}
