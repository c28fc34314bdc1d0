package transport

import (
	"runtime"
	"testing"
	"time"

	"netcmp/clock"
)

// A call's cost is the processor time that it takes, without its waiting and without
// the reading of the clock.
func TestCallMeter(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const calls, work = 20, 2 * time.Millisecond
	var m CallMeter
	if m.Cost() != nil {
		t.Error("a cost of no calls")
	}
	for range calls {
		m.Begin()
		for until := threadTime() + int64(work); threadTime() < until; {
		}
		m.End(true)
		m.Begin()
		m.End(false) // moved nothing
	}
	c := m.Cost()
	if c == nil || c.Calls != calls {
		t.Fatalf("%+v", c)
	}
	if one := time.Duration(c.NS / c.Calls); one < work-work/20 || one > work+work/4 {
		t.Errorf("a call of %v costs %v", work, one)
	}
	if c.ErrorNS <= 0 || c.ErrorNS > int64(time.Millisecond) {
		t.Errorf("a reading takes %d ns", c.ErrorNS)
	}
}

// Waiting costs nothing.
func TestCallMeterOfWaiting(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var m CallMeter
	m.Begin()
	time.Sleep(50 * time.Millisecond)
	m.End(true)
	if c := m.Cost(); c != nil && c.NS > int64(10*time.Millisecond) {
		t.Errorf("%+v", c)
	}
}

// Calls that follow each other closely are counted, and measured now and then.
func TestCallMeterSamples(t *testing.T) {
	var m CallMeter
	began := clock.Now()
	const calls = 100_000
	for range calls {
		m.Begin()
		m.End(true)
	}
	most := (clock.Now()-began)/sampleEvery + 1
	if n := m.sampled.Load(); m.calls.Load() != calls || n > most {
		t.Errorf("%d of %d calls measured, at most %d wanted", n, m.calls.Load(), most)
	}
	if n := testing.AllocsPerRun(1000, func() { m.Begin(); m.End(true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
