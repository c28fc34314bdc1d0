package ledger

import (
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// block is a stretch of a stream as it arrives, to be repeated: times are
// relative to its beginning.
type block struct {
	messages []message
	numbers  uint64 // sent in it
	span     int64
}

const blockPeriod = 10_000 // ns: 100,000 messages a second

// inOrder comes as it was sent.
func inOrder() block {
	b := block{numbers: 1 << 12, span: 1 << 12 * blockPeriod}
	for n := range int64(b.numbers) {
		b.messages = append(b.messages, message{uint64(n), n * blockPeriod, n * blockPeriod, n*blockPeriod + 20*ms, 500})
	}
	return b
}

// impaired loses 2 %, duplicates 1 % and delays by 20 ± 0.2 ms: one message
// overtakes up to forty others.
func impaired() block {
	b := inOrder()
	draws := rand.New(rand.NewPCG(7, 7))
	var arrivals []message
	for _, m := range b.messages {
		for copies := 1; copies > 0; copies-- {
			if draws.Float64() < 0.01 {
				copies++
			}
			if c := m; draws.Float64() >= 0.02 {
				c.at += draws.Int64N(40*blockPeriod) - 20*blockPeriod
				arrivals = append(arrivals, c)
			}
		}
	}
	slices.SortFunc(arrivals, func(a, b message) int { return int(a.at - b.at) })
	b.messages = arrivals
	return b
}

// play enters count arrivals and says how many numbers were sent until then.
func (b block) play(l *Ledger, count int) (sent int64) {
	var base uint64
	var start int64
	for count > 0 {
		part := b.messages[:min(count, len(b.messages))]
		for i := range part {
			m := &part[i]
			l.Arrive(base+m.number, start+m.planned, start+m.sent, start+m.at, m.size)
		}
		base, start, count = base+b.numbers, start+b.span, count-len(part)
	}
	return int64(base)
}

// A ledger has a fixed size but for a bit a number and a row an interval.
func TestMemory(t *testing.T) {
	const count = 3_000_000
	b := impaired()
	before := heap()
	l := New(Config{Ordered: true})
	fixed := heap() - before
	sent := b.play(l, count)
	grown := heap() - before - fixed
	// Pages of 32768 numbers, 4 KiB each; the table doubles as it grows.
	bitmap := (sent>>pageBits + 1) * (4096 + 2*8)
	rows := 2 * (sent*blockPeriod/int64(time.Second) + 2) * (32 + 8)
	if fixed > 4<<20 {
		t.Errorf("an empty ledger has %d KiB", fixed>>10)
	}
	if limit := bitmap + rows + 64<<10; grown > limit {
		t.Errorf("%d numbers took %d KiB, want at most %d", sent, grown>>10, limit>>10)
	}
	runtime.KeepAlive(l)
}

func TestArriveAllocatesNothing(t *testing.T) {
	b := impaired()
	l := New(Config{Ordered: true})
	b.play(l, len(b.messages))
	next := len(b.messages) // in the middle of a page and of an interval
	allocs := testing.AllocsPerRun(1000, func() {
		m := b.messages[next%len(b.messages)]
		l.Arrive(b.numbers+m.number, b.span+m.planned, b.span+m.sent, b.span+m.at, m.size)
		next++
	})
	if allocs != 0 {
		t.Errorf("%v allocations a message", allocs)
	}
}

// NETCMP_LEDGER_MESSAGES=100000000 feeds that many messages and logs time and
// memory; it takes too long for every day.
func TestLong(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("NETCMP_LEDGER_MESSAGES"))
	if err != nil {
		t.Skip("set NETCMP_LEDGER_MESSAGES to a number of messages")
	}
	for name, b := range map[string]block{"in order": inOrder(), "impaired": impaired()} {
		before := heap()
		l := New(Config{Ordered: true})
		began := cpuTime(t)
		sent := b.play(l, count)
		took := cpuTime(t) - began
		held := heap() - before
		began = cpuTime(t)
		m := l.Report(Sent{Sent: sent})
		report := cpuTime(t) - began
		t.Logf("%s: %d messages, %.1f ns of CPU each, %.1f MB, report %v; delivered %d, lost %d, reordered %.3f",
			name, count, float64(took.Nanoseconds())/float64(count), float64(held)/1e6, report,
			*m.Delivery.Delivered, *m.Delivery.Lost, *m.Order.ReorderedRatio)
		if held > 200e6 {
			t.Errorf("%d bytes for %d messages", held, count)
		}
	}
}

// cpuTime of this process: what it costs, whatever else the machine does.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmark(b *testing.B, stream block, c Config) {
	l := New(c)
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime(b)
	stream.play(l, b.N)
	b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func BenchmarkArriveInOrder(b *testing.B)        { benchmark(b, inOrder(), Config{}) }
func BenchmarkArriveInOrderOrdered(b *testing.B) { benchmark(b, inOrder(), Config{Ordered: true}) }
func BenchmarkArriveImpaired(b *testing.B)       { benchmark(b, impaired(), Config{}) }

// Ten million messages at a time, with the memory they leave.
func BenchmarkTenMillion(b *testing.B) {
	stream := impaired()
	for b.Loop() {
		l := New(Config{})
		stream.play(l, 10_000_000)
		b.ReportMetric(float64(len(l.seen.pages))*4096/1e6, "bitmap-MB")
	}
}

func BenchmarkReport(b *testing.B) {
	l := New(Config{})
	sent := impaired().play(l, 1_000_000)
	for b.Loop() {
		l.Report(Sent{Sent: sent})
	}
}

func BenchmarkProgress(b *testing.B) {
	l := New(Config{})
	impaired().play(l, 1_000_000)
	for b.Loop() {
		l.Progress()
	}
}
