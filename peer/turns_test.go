package peer

import (
	"context"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/udp"
	"netcmp/workload"
)

// In turns there is never more than one request under way, and each answer brings
// the next.
func TestTurns(t *testing.T) {
	for _, f := range []*fake{datagrams(), stream()} {
		under := 0 // between the request's hand-over and the answer's
		f.taking = func(h message.Header) error {
			if h.Kind == message.Reply {
				under--
				return nil
			}
			if under++; under > 1 {
				t.Errorf("request %d leaves while %d are under way", h.Number, under-1)
			}
			return nil
		}
		r := newRig(t, f)
		for _, p := range []workload.Plan{
			{Count: 500, Saturate: true, Size: 64},
			{Duration: 30 * time.Millisecond, Saturate: true, Size: 64},
			{Duration: time.Hour, Count: 20, Saturate: true, Size: 64},
		} {
			out := r.must(t.Context(), Spec{Proto: "fake", Pattern: RequestResponse, Plan: p}, nil)
			got := *out.Client.Received.Delivery.Delivered
			if got == 0 || got != out.Client.Sent.Sent || p.Count > 0 && got != p.Count {
				t.Errorf("%+v: %d sent, %d answered", p, out.Client.Sent.Sent, got)
			}
		}
	}
}

// An answer that is lost is waited for as long as the path can be silent, and then
// the next request leaves.
func TestTurnsLost(t *testing.T) {
	const quiet = 30 * time.Millisecond
	f := datagrams()
	f.fate = func(h message.Header) fate { return fate{lost: h.Number%10 == 3} }
	begun := time.Now()
	out := newRig(t, f).must(t.Context(), Spec{
		Proto: "fake", Pattern: RequestResponse, Quiet: quiet, Plan: workload.Plan{Count: 40, Saturate: true, Size: 64},
	}, nil)
	d := out.Client.Received.Delivery
	if out.Client.Sent.Sent != 40 || *d.Delivered != 36 || *d.Lost != 4 {
		t.Errorf("%d sent, %d answered, %d lost", out.Client.Sent.Sent, *d.Delivered, *d.Lost)
	}
	if took := time.Since(begun); took < 4*quiet {
		t.Errorf("four answers were waited for in %v", took)
	}
}

// Somebody who stops does not wait for a count that is never reached.
func TestTurnsStopped(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	out := newRig(t, udp.New()).must(ctx, Spec{
		Proto: "udp", Pattern: RequestResponse, Plan: workload.Plan{Count: 1 << 30, Saturate: true, Size: 64},
	}, nil)
	if !out.Interrupted || out.Client.Sent.Sent == 0 {
		t.Errorf("interrupted %v, %d sent", out.Interrupted, out.Client.Sent.Sent)
	}
}
