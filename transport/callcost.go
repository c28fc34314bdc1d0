package transport

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"netcmp/clock"
)

// CallMeter measures the processor time of a connection's system calls: what the
// transport costs, without what it costs this program to wake up, to wait and to
// account. It reads the thread's own clock (CLOCK_THREAD_CPUTIME_ID, clock_gettime(2))
// before and after a call, of one call a millisecond at most, since a reading is a
// system call, too. One goroutine makes the calls; Cost may be called from any. The zero
// value is ready.
type CallMeter struct {
	calls, sampled, spent atomic.Int64

	wall, began int64 // of the call in progress: clock.Now and the thread's clock; wall is 0 where it is not measured
	last        int64 // when a call was measured last, clock.Now
}

// sampleEvery is the least time between two calls that are measured, ns.
const sampleEvery = int64(time.Millisecond)

// CallCost is what the calls of one kind have cost.
type CallCost struct {
	Calls   int64 // that moved something
	NS      int64 // processor time of all, from those that were measured
	ErrorNS int64 // of one measurement: what reading the clock takes, which is subtracted
}

// Begin is called before each system call.
func (m *CallMeter) Begin() {
	now := clock.Now()
	if now-m.last < sampleEvery {
		m.wall = 0
		return
	}
	m.wall = now
	m.began = threadTime()
}

// End is called after each system call; moved says that it moved something. Others are
// not the transport's: this program asked too early.
func (m *CallMeter) End(moved bool) {
	if moved {
		m.calls.Add(1)
	}
	if m.wall == 0 {
		return
	}
	spent := threadTime() - m.began
	now := clock.Now()
	// A goroutine that changed its thread in between has read two clocks.
	if moved && spent >= 0 && spent <= now-m.wall {
		m.last = now
		m.spent.Add(max(spent-readingTime(), 0))
		m.sampled.Add(1)
	}
}

// Cost returns what the calls have cost so far; nil while none was measured.
func (m *CallMeter) Cost() *CallCost {
	sampled := m.sampled.Load()
	if sampled == 0 {
		return nil
	}
	calls := m.calls.Load()
	return &CallCost{
		Calls: calls, ErrorNS: readingTime(),
		NS: int64(float64(m.spent.Load()) / float64(sampled) * float64(calls)),
	}
}

// threadTime returns the processor time of this thread, ns.
func threadTime() int64 {
	var ts unix.Timespec
	_, _, _ = unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// readingTime returns what lies between two readings of the thread's clock, ns: the
// median of many, found once.
var readingTime = sync.OnceValue(func() int64 {
	all := make([]int64, 201)
	for i := range all {
		before := threadTime()
		all[i] = threadTime() - before
	}
	slices.Sort(all)
	return all[len(all)/2]
})
