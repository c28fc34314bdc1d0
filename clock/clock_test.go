package clock

import (
	"testing"
	"time"
)

// Now lies between two readings of the kernel's own clock.
func TestNowIsTheKernelsMonotonicClock(t *testing.T) {
	const slack = 2_000 // ns: the offset was found to within a clock reading
	for range 1000 {
		before := read()
		now := Now()
		after := read()
		if now < before-slack || now > after+slack {
			t.Fatalf("Now = %d, outside [%d, %d]", now, before, after)
		}
	}
}

func TestNowDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Now(); Both() }); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}

// The wall clock's lead leads from one clock to the other.
func TestWall(t *testing.T) {
	const slack = 2_000 // ns, as above
	ahead, err := Wall()
	before := time.Now().UnixNano()
	at := Now() + ahead
	after := time.Now().UnixNano()
	if err <= 0 || at < before-err-slack || at > after+err+slack {
		t.Errorf("%d ± %d is not between %d and %d", at, err, before, after)
	}
}
