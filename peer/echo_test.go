package peer

import (
	"runtime"
	"testing"

	"netcmp/message"
	"netcmp/transport"
)

// The first request is answered as cheaply as any other: what is made for it delays the
// answer, and that delay is in the figures.
func TestEchoBeginsAtOnce(t *testing.T) {
	const session = 7
	e := newEcho(nil, session, 0)
	data := make([]byte, 500)
	message.Fill(data, session)
	message.Seal(data, message.Header{Session: session, Kind: message.Data, Number: 3, Length: len(data)})
	batch, replies := []transport.Message{{Data: data}}, make([][]byte, 0, 1)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	replies = e.answer(batch, replies)
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; len(replies) != 1 || made > 16<<10 {
		t.Errorf("%d answers, for which %d bytes were made", len(replies), made)
	}
	if h, err := message.Parse(replies[0]); err != nil || h.Kind != message.Reply || h.Number != 3 {
		t.Errorf("answered by %+v, %v", h, err)
	}
	message.Seal(data, message.Header{Session: session, Kind: message.Data, Number: 3, Length: len(data)})
	if replies = e.answer(batch, replies[:0]); len(replies) != 0 || e.requests.Load() != 1 {
		t.Errorf("a copy of the request had %d answers; %d requests", len(replies), e.requests.Load())
	}
}
