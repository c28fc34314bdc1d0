package peer

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"netcmp/clock"
	"netcmp/quic"
	"netcmp/result"
	"netcmp/tcp"
	"netcmp/transport"
	"netcmp/transport/transporttest"
	"netcmp/udp"
	"netcmp/workload"
)

// bulk brings messages all the way: a sender hands them over as fast as the transport
// takes them, a receiver enters them into its ledger.
func bulk(tb testing.TB, tr transport.Transport, size, count int, begun func()) *result.Measured {
	tb.Helper()
	const session = 77
	s := Spec{Proto: tr.Name(), Quiet: 50 * time.Millisecond, Plan: workload.Plan{Count: int64(count), Size: size, Saturate: true}}.WithDefaults()
	client, server := transporttest.Pair(tb, tr, loopback, s.config(session))
	begun()
	c := endConfig{spec: s, properties: tr.Properties(), conn: server, session: session, start: clock.Now()}
	to := newEnd(c)
	c.conn, c.client = client, true
	from := newEnd(c)
	to.run()
	from.run()
	from.awaitSent(nil)
	told := from.sendReport()
	to.drain(told.Sent, false, nil)
	report := to.report(&EndReport{Sent: told}, true)
	from.close()
	to.close()
	if told.Error != "" || report.Error != "" || told.Sent != int64(count) {
		tb.Fatalf("%d of %d sent: %q, %q", told.Sent, count, told.Error, report.Error)
	}
	d := report.Received.Delivery
	if missing := *d.Lost - dropped(report); missing != 0 && tr.Name() != "quic-datagram" {
		tb.Fatalf("%d messages are unexplained: %+v", missing, d)
	}
	return report.Received
}

// BenchmarkBulk is the whole way of a message, by protocol and size.
func BenchmarkBulk(b *testing.B) {
	for _, tr := range []transport.Transport{
		tcp.New(), tcp.NewTLS(), udp.New(), quic.New(), quic.NewStreams(), quic.NewDatagram(),
	} {
		for _, size := range []int{64, 1200, 8000, 128 << 10} {
			if size > tr.Properties().MaxMessage {
				continue
			}
			b.Run(fmt.Sprintf("%s/size=%d", tr.Name(), size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				got := bulk(b, tr, size, b.N, b.ResetTimer)
				if got.Speed.MessagesPS != nil {
					b.ReportMetric(*got.Speed.MessagesPS, "delivered/s")
				}
				b.ReportMetric(*got.Delivery.Ratio, "delivered/sent")
			})
		}
	}
}

// A message allocates nothing on its whole way, over the transports that are all our
// own: what a run allocates does not grow with its messages, but for a bit of each in
// the ledger.
func TestBulkAllocatesNothing(t *testing.T) {
	for _, tr := range []transport.Transport{tcp.New(), udp.New()} {
		for _, size := range []int{64, 1400, 8000} {
			allocations := func(count int) uint64 {
				var before, after runtime.MemStats
				bulk(t, tr, size, count, func() { runtime.ReadMemStats(&before) })
				runtime.ReadMemStats(&after)
				return after.Mallocs - before.Mallocs
			}
			few, many := allocations(10_000), allocations(110_000)
			// A page of the ledger's set of numbers holds 32768 messages; a wait now and then
			// is the runtime's.
			if many > few+1000 {
				t.Errorf("%s, %d bytes: 10,000 messages allocate %d times, 110,000 %d times", tr.Name(), size, few, many)
			}
		}
	}
}
