// Package lateness measures how late this machine runs a process.
//
// A stopped process, a busy processor or a virtual machine that its host does not run
// delays messages as a bad path does, and no packet shows it. A goroutine of the process
// therefore wakes every few milliseconds and notes how late it did: a sample of how
// late the process would have done whatever was due at that instant.
package lateness

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/result"
)

const (
	// Period is the time between two samples. A stop is seen if it is longer.
	Period = 5 * time.Millisecond
	// Coarse is Period of a process that is busy all the time, as one that saturates a
	// transport: waking up 200 times a second cost it a seventh of its speed.
	Coarse = 100 * time.Millisecond
	// Longest is the greatest lateness told apart.
	Longest = time.Hour
	// punctual is the lateness in ns below which a sample counts as 0: what an idle
	// processor takes to wake up.
	punctual = 100_000
	// samplesMax bounds the late samples that a Watch keeps, the latest: ten minutes
	// of a machine that is late all the time.
	samplesMax = 1 << 17
)

// Histogram counts latenesses, from 1 µs to Longest, right to a hundredth. Its methods
// must not be called at the same time.
type Histogram struct{ h *hdrhistogram.Histogram }

// NewHistogram returns an empty one.
func NewHistogram() Histogram {
	return Histogram{hdrhistogram.New(int64(time.Microsecond), int64(Longest), 2)}
}

// Add counts n things that were late by ns, which may be below 0 for none.
func (h Histogram) Add(ns, n int64) {
	_ = h.h.RecordValues(min(max(ns, 0), int64(Longest)), n)
}

// Tail returns the quantiles; nil when nothing was counted.
func (h Histogram) Tail() *result.Tail { return TailOf(h.h) }

// TailOf returns the quantiles of a histogram; nil when nothing was counted.
func TailOf(h *hdrhistogram.Histogram) *result.Tail {
	if h.TotalCount() == 0 {
		return nil
	}
	return &result.Tail{
		P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99),
		P999: h.ValueAtQuantile(99.9), Max: h.Max(),
	}
}

// Worse returns the greater of two tails, quantile by quantile; nil counts as nothing.
func Worse(a, b *result.Tail) *result.Tail {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &result.Tail{
		P50: max(a.P50, b.P50), P90: max(a.P90, b.P90), P99: max(a.P99, b.P99),
		P999: max(a.P999, b.P999), Max: max(a.Max, b.Max),
	}
}

// Watch samples how late this process is run, from Start until Close. Its methods may
// be called from any goroutine.
type Watch struct {
	period      int64 // ns
	mu          sync.Mutex
	first, last int64 // when the first and the latest sample were due; 0: there is none
	late        []sampled
	next        int // of late, which is written next once it is full
}

// sampled is a sample that was late, in ns of clock.Now.
type sampled struct{ due, late int64 }

// watching is the one goroutine that takes samples, for all watches of the process.
var watching struct {
	mu      sync.Mutex
	watches map[*Watch]bool
	running bool
}

// Start begins to sample once a period.
func Start(period time.Duration) *Watch {
	w := &Watch{period: int64(period)}
	watching.mu.Lock()
	defer watching.mu.Unlock()
	if watching.watches == nil {
		watching.watches = map[*Watch]bool{}
	}
	watching.watches[w] = true
	if !watching.running {
		watching.running = true
		go sample()
	}
	return w
}

// Tail returns the quantiles of the samples that were due at the instant from
// (clock.Now) or after it, or nil without any.
func (w *Watch) Tail(from int64) *result.Tail {
	w.mu.Lock()
	defer w.mu.Unlock()
	from = max(from, w.first)
	if w.last < from || w.last == 0 {
		return nil
	}
	h := NewHistogram()
	punctually := (w.last-from)/w.period + 1
	for _, x := range w.late {
		if x.due >= from {
			h.Add(x.late, 1)
			punctually--
		}
	}
	if punctually > 0 {
		h.Add(0, punctually)
	}
	return h.Tail()
}

// Close ends the watch; Tail still answers. The goroutine ends within a period of the
// last one's Close.
func (w *Watch) Close() {
	watching.mu.Lock()
	defer watching.mu.Unlock()
	delete(watching.watches, w)
}

// note enters a wake-up that was due at an instant and late by ns. Whatever was due at
// the period's later instants meanwhile was late, too.
func (w *Watch) note(due, late int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.first == 0:
		w.first = due
	case due+late < w.last+w.period: // the sample of a watch with a shorter period
		return
	}
	for ; late >= 0; due, late = due+w.period, late-w.period {
		w.last = due
		switch {
		case late < punctual:
		case len(w.late) < samplesMax:
			w.late = append(w.late, sampled{due, late})
		default:
			w.late[w.next] = sampled{due, late}
			w.next = (w.next + 1) % samplesMax
		}
	}
}

// sample takes a sample a period. It waits for a timer's descriptor, as the scheduler's
// poller does: a thread that slept in a system call would keep one of the few places
// (GOMAXPROCS) in which goroutines run, and so make late what it is to watch.
func sample() {
	timer, err := newTimer()
	if err != nil {
		return // of a process that may have no more descriptors nothing is known
	}
	defer timer.Close()
	var expired [8]byte
	period := shortest()
	for due := clock.Now() + period; ; {
		now := clock.Now()
		for now < due {
			// Anew each time: it may expire some nanoseconds early, by another reading of
			// the clock, and would then not expire again.
			if set(timer, due-now) != nil {
				return
			}
			if _, err := timer.Read(expired[:]); err != nil {
				return
			}
			now = clock.Now()
		}
		late := min(now-due, int64(Longest))
		watching.mu.Lock()
		for w := range watching.watches {
			w.note(due, late)
		}
		if len(watching.watches) == 0 {
			watching.running = false
			watching.mu.Unlock()
			return
		}
		watching.mu.Unlock()
		period = shortest()
		due += (late/period + 1) * period
		if now-due > period { // beyond Longest
			due = now + period
		}
	}
}

// shortest returns the shortest period of all watches, ns.
func shortest() int64 {
	watching.mu.Lock()
	defer watching.mu.Unlock()
	period := int64(Coarse)
	for w := range watching.watches {
		period = min(period, w.period)
	}
	return period
}

// newTimer returns a timer that becomes readable when it expires.
func newTimer() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "timer"), nil
}

// set has a timer expire after ns.
func set(timer *os.File, ns int64) error {
	raw, err := timer.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(max(ns, 1))}, nil)
	})
	return errors.Join(err, failed)
}
