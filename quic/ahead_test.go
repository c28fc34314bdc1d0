package quic_test

import (
	"net/netip"
	"testing"
	"time"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/quic"
	"netcmp/transport"
	"netcmp/transport/transporttest"
)

// What came while nobody received has the time at which it came, and not that at
// which somebody asked.
func TestAhead(t *testing.T) {
	client, server := transporttest.Pair(t, quic.New(), netip.MustParseAddr("127.0.0.1"), transport.Config{})
	m := make([]byte, 100)
	message.Seal(m, message.Header{})
	begun := clock.Now()
	if _, err := client.Send([][]byte{m}); err != nil {
		t.Fatal(err)
	}
	const unasked = 300 * time.Millisecond
	time.Sleep(unasked)
	in := make([]transport.Message, 2)
	if n, err := server.Receive(in); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if after := time.Duration(in[0].At - begun); after <= 0 || after >= unasked {
		t.Errorf("it came %v after it was sent", after)
	}
}
