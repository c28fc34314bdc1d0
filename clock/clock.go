// Package clock is the one clock of all processes of a host: CLOCK_MONOTONIC
// as nanoseconds, so that a time read in one process means the same in
// another.
package clock

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Go's own monotonic readings are CLOCK_MONOTONIC less a constant of the
// process; offset is that constant, found once.
var (
	base   = time.Now()
	offset = calibrate()
)

// calibrate reads both clocks in turn and keeps the pair that lay closest
// together, which leaves an error of some tens of nanoseconds.
func calibrate() int64 {
	var best, narrowest int64 = 0, math.MaxInt64
	for range 64 {
		before := read()
		since := int64(time.Since(base))
		after := read()
		if after-before < narrowest {
			narrowest = after - before
			best = before + (after-before)/2 - since
		}
	}
	return best
}

func read() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("clock: CLOCK_MONOTONIC: " + err.Error()) // every Linux has it
	}
	return ts.Nano()
}

// Now is CLOCK_MONOTONIC in nanoseconds. It makes no system call and
// allocates nothing.
func Now() int64 { return offset + int64(time.Since(base)) }

// Wall is how far the wall clock (CLOCK_REALTIME) is ahead of Now, right to
// within err, ns. Both clocks are slewed alike, so that it changes only when
// somebody sets the wall clock.
func Wall() (ahead, err int64) {
	narrowest := int64(math.MaxInt64)
	for range 64 {
		before := read()
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
			panic("clock: CLOCK_REALTIME: " + err.Error()) // every Linux has it
		}
		after := read()
		if after-before < narrowest {
			narrowest = after - before
			ahead = ts.Nano() - before - narrowest/2
		}
	}
	return ahead, narrowest/2 + 1
}

// Both is Now together with the wall clock (CLOCK_REALTIME, nanoseconds since
// 1970) at the same instant: the kernel stamps packets with the wall clock.
func Both() (mono, wall int64) {
	t := time.Now()
	return offset + int64(t.Sub(base)), t.UnixNano()
}
