package pacer

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
)

// A wait never ends before its instant, and on time where the machine lets it.
// Only the best quarter is held: a busy machine delays any wait as it likes.
func TestUntilIsPunctual(t *testing.T) {
	w := New()
	defer w.Close()
	late := make([]int64, 0, 300)
	next := clock.Now()
	for range cap(late) {
		next += int64(time.Millisecond)
		now := w.Until(next, nil, nil)
		if now < next {
			t.Fatalf("ended %d ns before its instant", next-now)
		}
		late = append(late, now-next)
	}
	slices.Sort(late)
	p25, p50, p99 := late[len(late)/4], late[len(late)/2], late[len(late)*99/100]
	t.Logf("late by p25 %d ns, p50 %d ns, p99 %d ns, margin %d ns", p25, p50, p99, w.margin)
	if p25 > 20_000 {
		t.Errorf("p25 of the error is %d ns, over 20 µs", p25)
	}
}

func TestUntilReturnsForADescriptor(t *testing.T) {
	w := New()
	defer w.Close()
	r, f, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer f.Close()
	if _, err := f.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	deadline := clock.Now() + int64(time.Minute)
	fds := []unix.PollFd{{Fd: int32(r.Fd()), Events: unix.POLLIN}}
	if now := w.Until(deadline, fds, nil); now >= deadline || fds[0].Revents == 0 {
		t.Errorf("revents %d at %d", fds[0].Revents, now-deadline)
	}
}

func TestUntilAsksReady(t *testing.T) {
	w := New()
	defer w.Close()
	asked := 0
	deadline := clock.Now() + int64(time.Minute)
	w.Until(deadline, nil, func() bool { asked++; return asked == 3 })
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
}

func TestMarginStaysInItsBounds(t *testing.T) {
	w := &Waiter{margin: marginStart}
	for range 1000 {
		w.learn(1 << 40)
	}
	if w.margin != marginMax {
		t.Errorf("margin %d after late sleeps", w.margin)
	}
	for range 1000 {
		w.learn(0)
	}
	if w.margin != marginMin {
		t.Errorf("margin %d after punctual sleeps", w.margin)
	}
}

// The thread goes back as it came: with its own slice.
func TestCloseGivesTheSliceBack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	w := New()
	during, _ := unix.SchedGetAttr(0, 0)
	w.Close()
	after, _ := unix.SchedGetAttr(0, 0)
	if err != nil || before.Runtime == 0 {
		t.Skip("this kernel has no slices to set")
	}
	if during.Runtime != slice {
		t.Errorf("slice %d ns while waiting, want %d", during.Runtime, slice)
	}
	if after.Runtime != before.Runtime {
		t.Errorf("slice %d ns afterwards, %d before", after.Runtime, before.Runtime)
	}
}
