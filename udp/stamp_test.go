package udp_test

import (
	"net/netip"
	"testing"
	"time"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/transport"
	"netcmp/transport/transporttest"
	"netcmp/udp"
)

// The kernel's stamp says how long a datagram waited for the process to read it.
func TestStamped(t *testing.T) {
	const pause = 50 * time.Millisecond
	for _, turns := range []bool{false, true} {
		client, server := transporttest.Pair(t, udp.New(), netip.AddrFrom4([4]byte{127, 0, 0, 1}), transport.Config{MaxMessage: 200, Turns: turns})
		m := make([]byte, 100)
		message.Seal(m, message.Header{Number: 1})
		begun := clock.Now()
		if _, err := client.Send([][]byte{m}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
		batch := make([]transport.Message, 4)
		if n, err := server.Receive(batch); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		const error = int64(100 * time.Microsecond) // of one clock against the other
		if got := batch[0]; got.Stamped < begun-error || got.At-got.Stamped < int64(pause)-error {
			t.Errorf("turns %v: sent at 0, received at %v, read at %v", turns, time.Duration(got.Stamped-begun), time.Duration(got.At-begun))
		}
	}
}
