// Package pacer waits for an instant, right to microseconds.
//
// A thread that sleeps wakes late: by the kernel's timer slack, and by the
// time an idle processor takes to come back, some 50 µs in a virtual machine.
// A thread that spins is punctual and burns a core. A Waiter does a little of
// each: it sleeps until shortly before the instant and spins the rest, and it
// learns how long the rest has to be from how late its own sleeps end.
package pacer

import (
	"runtime"

	"golang.org/x/sys/unix"

	"netcmp/clock"
)

const (
	marginMin   = 2_000      // ns; spinning starts no later than this before the instant
	marginMax   = 150_000    // ns; and no earlier than this
	marginStart = 60_000     // ns; before anything was learnt
	marginStep  = 1_000      // ns; by which the margin shrinks after a punctual sleep
	sleepMax    = 20_000_000 // ns; a longer sleep is cut, so that ready is asked now and then
	spinShare   = 3          // at most a third of a wait is spun
	slice       = 100_000    // ns; the shortest that the kernel takes
	stepMax     = 10_000     // ns; a step of a spin takes less while its thread is run
)

// Waiter waits for instants on the thread it was made on. It belongs to one
// goroutine, which must stay locked to that thread.
type Waiter struct {
	margin int64  // how long before the instant spinning begins, ns
	spun   int64  // ns
	slice  uint64 // that of the thread before, ns; 0 if it could not be set
}

// Spun is how long the Waiter has spun so far, ns: processor time that the
// waiting cost and the work did not.
func (w *Waiter) Spun() int64 { return w.spun }

// New locks the calling goroutine to its thread, makes that thread's timers
// exact (PR_SET_TIMERSLACK, prctl(2)), and asks for short slices of processor
// time: the scheduler then lets the thread, when it wakes, take the processor
// from one that is in the midst of a longer slice (kernel 6.12 and later,
// PREEMPT_SHORT in kernel/sched/features.h). It takes no right, and no more
// than the thread's fair share of time.
func New() *Waiter {
	runtime.LockOSThread()
	// A kernel that refuses leaves 50 µs of slack: the margin learns it.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	w := &Waiter{margin: marginStart}
	w.slice = setSlice(slice)
	return w
}

// Close gives the thread back with the slack it had.
func (w *Waiter) Close() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	if w.slice != 0 {
		setSlice(w.slice)
	}
	runtime.UnlockOSThread()
}

// setSlice sets the thread's slice and returns what it was, both in ns; 0 where
// that cannot be done.
func setSlice(ns uint64) (before uint64) {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil || a.Policy != unix.SCHED_NORMAL || a.Runtime == 0 {
		return 0 // a kernel without slices, or somebody else's order
	}
	before, a.Runtime = a.Runtime, ns
	if unix.SchedSetAttr(0, a, 0) != nil {
		return 0
	}
	return before
}

// Until waits for the instant deadline, in clock.Now's scale. It returns
// early when a descriptor of fds is ready or when ready, asked at every
// wake-up and all through the spin, says true; it may then be called again.
// A nil fds or ready is left out. It returns the time at its end.
func (w *Waiter) Until(deadline int64, fds []unix.PollFd, ready func() bool) int64 {
	begun := clock.Now()
	now := begun
	// Frequent deadlines leave little to sleep: spinning keeps to its share.
	margin := min(w.margin, max((deadline-begun)/spinShare, marginMin))
	for now < deadline {
		if ready != nil && ready() {
			return now
		}
		sleep := deadline - margin - now
		if sleep <= 0 {
			before := now
			now = clock.Now()
			if step := now - before; step < stepMax { // or this thread was not run
				w.spun += step
			}
			continue
		}
		whole := sleep <= sleepMax
		sleep = min(sleep, sleepMax)
		ts := unix.NsecToTimespec(sleep)
		n, err := unix.Ppoll(fds, &ts, nil)
		woke := clock.Now()
		if n > 0 || (err != nil && err != unix.EINTR) {
			return woke
		}
		if err == nil && whole {
			w.learn(woke - now - sleep)
		}
		now = woke
	}
	return now
}

// learn follows the lateness that one sleep in five exceeds: a late sleep
// raises the margin four times as far as a punctual one lowers it.
func (w *Waiter) learn(late int64) {
	if late > w.margin {
		w.margin = min(w.margin+4*marginStep, marginMax)
	} else {
		w.margin = max(w.margin-marginStep, marginMin)
	}
}
