package lateness

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"netcmp/clock"
	"netcmp/result"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = int64(time.Millisecond)

// A stop of a second in a run of ten is a tenth of the samples, evenly from nothing to
// a second.
func TestStop(t *testing.T) {
	w := &Watch{period: int64(Period)}
	for at := ms; at < 10_000*ms; {
		late := int64(0)
		if at == 3_001*ms {
			late = 1_000 * ms
		}
		w.note(at, late)
		at += (late/int64(Period) + 1) * int64(Period)
	}
	got := w.Tail(0)
	for _, c := range []struct {
		name      string
		got, want int64
	}{{"p50", got.P50, 0}, {"p90", got.P90, 5 * ms}, {"p99", got.P99, 900 * ms}, {"p999", got.P999, 990 * ms}, {"max", got.Max, 1000 * ms}} {
		if c.got < c.want-6*ms || c.got > c.want+max(c.want/50, 6*ms) {
			t.Errorf("%s %v, want %v", c.name, time.Duration(c.got), time.Duration(c.want))
		}
	}
}

// Samples that were due before the run do not count.
func TestFrom(t *testing.T) {
	w := &Watch{period: int64(Period)}
	w.note(1*ms, 100*ms)
	w.note(151*ms, 60*ms) // due 151, 156, … 211
	if got := w.Tail(200 * ms); got.Max > 11*ms || got.P50 < 4*ms {
		t.Errorf("%+v", got)
	}
	if got := w.Tail(300 * ms); got != nil {
		t.Errorf("%+v of no samples", got)
	}
}

// However long it goes on, what is kept is bounded, and is the latest.
func TestSamplesAreBounded(t *testing.T) {
	w := &Watch{period: int64(Period)}
	for i := range int64(samplesMax + 1000) {
		w.note((i+1)*int64(Period), ms)
	}
	w.note((samplesMax+1001)*int64(Period), 3*ms)
	if got := w.Tail(0); len(w.late) != samplesMax || got.Max < 3*ms-ms/10 || got.P50 < ms-ms/10 {
		t.Errorf("%d kept, %+v", len(w.late), got)
	}
}

func TestWorse(t *testing.T) {
	tail := rapid.Custom(func(t *rapid.T) *result.Tail {
		if rapid.Bool().Draw(t, "nil") {
			return nil
		}
		v := rapid.Int64Range(0, 1e9)
		return &result.Tail{P50: v.Draw(t, "p50"), P90: v.Draw(t, "p90"), P99: v.Draw(t, "p99"), P999: v.Draw(t, "p999"), Max: v.Draw(t, "max")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := tail.Draw(t, "a"), tail.Draw(t, "b")
		x, y := Worse(a, b), Worse(b, a)
		if (x == nil) != (y == nil) || x != nil && *x != *y {
			t.Fatalf("%v and %v", x, y)
		}
		if a != nil && (x.P50 < a.P50 || x.P999 < a.P999) {
			t.Fatalf("%v is below %v", x, a)
		}
	})
}

// The thread samples, for as many watches as there are, and ends with the last one.
func TestWatch(t *testing.T) {
	a, b := Start(Period), Start(Period)
	begun := clock.Now()
	time.Sleep(20 * Period)
	a.Close()
	if a.Tail(0) == nil || b.Tail(begun) == nil {
		t.Error("no samples")
	}
	b.Close()
}

// Samples go on, however often the timer is early.
func TestWatchGoesOn(t *testing.T) {
	w := Start(Period)
	defer w.Close()
	var last int64
	for range 40 {
		const patience = 20 * time.Second // which no machine is too busy for
		for began := time.Now(); ; time.Sleep(Period) {
			w.mu.Lock()
			now := w.last
			w.mu.Unlock()
			if now != last {
				last = now
				break
			}
			if time.Since(began) > patience {
				t.Fatalf("no sample in %v", patience)
			}
		}
	}
}
