package experiment

import (
	"testing"
	"time"

	"netcmp/netem"
	"netcmp/peer"
	"netcmp/result"
	"netcmp/transport"
	"netcmp/workload"
)

// TestNothingIsBlockedWhereNothingIsMissing: the estimate of head-of-line blocking gives
// way to 0 where the path's own account, or loopback and the transport's, say that every
// packet came in its order. Anything else in the stream's direction leaves it as it was,
// and so does an account that is not known.
func TestNothingIsBlockedWhereNothingIsMissing(t *testing.T) {
	kept := func() *result.Link {
		l := &result.Link{}
		for _, d := range []*result.LinkDirection{&l.Up, &l.Down} {
			d.Packets, d.Delivered = 1000, 1000
			d.QueueDropped, d.Reordered = new(int64), new(int64)
		}
		return l
	}
	for _, x := range []struct {
		name   string
		change func(*assembly)
		kept   bool
	}{
		{"nothing missing", func(*assembly) {}, true},
		{"in flight at the end", func(a *assembly) { a.link.Up.InFlight, a.link.Up.Delivered = 3, 997 }, true},
		{"doubled", func(a *assembly) { a.link.Up.Duplicated = 3 }, true},
		{"acknowledgments lost", func(a *assembly) { a.link.Down.Lost = 3 }, true},
		{"lost", func(a *assembly) { a.link.Up.Lost = 1 }, false},
		{"damaged", func(a *assembly) { a.link.Up.Corrupted = 1 }, false},
		{"overrun", func(a *assembly) { a.link.Up.Overrun = 1 }, false},
		{"refused", func(a *assembly) { a.link.Up.Refused = 1 }, false},
		{"dropped by the queue", func(a *assembly) { *a.link.Up.QueueDropped = 1 }, false},
		{"not known whether dropped", func(a *assembly) { a.link.Up.QueueDropped = nil }, false},
		{"sent ahead", func(a *assembly) { *a.link.Up.Reordered = 1 }, false},
		{"jitter", func(a *assembly) { a.config.Path.Up.Jitter = time.Millisecond }, false},
		{"jitter that keeps the order", func(a *assembly) { a.config.Path.Up.Jitter, a.config.Path.Up.NoReorder = time.Millisecond, true }, true},
		{"a shorter delay later", func(a *assembly) {
			a.config.Changes = []netem.Change{{At: time.Second, Path: netem.Path{Up: netem.Impairment{Delay: 5 * time.Millisecond}}}}
		}, false},
		{"another loss later, which lost nothing", func(a *assembly) {
			c := netem.Change{At: time.Second, Path: a.config.Path}
			c.Path.Up.Corrupt = 1
			a.config.Changes = []netem.Change{c}
		}, true},
		{"retransmitted in vain", func(a *assembly) { a.out.Client.Stats.Retransmitted = new(int64(2)) }, true},
		{"QUIC's own queue dropped", func(a *assembly) {
			a.out.Client.Stats.QUIC, a.out.Client.Stats.Retransmitted = &result.QUIC{}, new(int64(2))
		}, false},
		{"another machine's path", func(a *assembly) { a.link, a.engine = nil, Remote }, false},
		{"loopback", func(a *assembly) { a.link, a.engine = nil, None }, true},
		{"loopback that dropped", func(a *assembly) {
			a.link, a.engine, a.out.Client.Stats.Retransmitted = nil, None, new(int64(2))
		}, false},
		{"round trips, the replies lost", func(a *assembly) {
			a.link.Down.Lost, a.config.Spec.Pattern = 1, peer.RequestResponse
		}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			end := func() *peer.EndReport { return &peer.EndReport{Stats: transport.Stats{Retransmitted: new(int64)}} }
			a := assembly{engine: Emulator, link: kept(), out: &peer.Outcome{Client: end(), Server: end()}}
			a.config.Path.Up.Delay = 20 * time.Millisecond
			x.change(&a)
			m := result.Measured{
				Stall:    &result.Stall{Held: new(int64(87)), HeldNS: &result.Quantiles{Max: 9e6}, ReleasedMax: new(int64(5))},
				Messages: &result.Messages{Held: result.NumberRuns{{3, 89}}},
			}
			a.unblock(&m, a.up(), true)
			if zero := *m.Stall.Held == 0 && m.Stall.HeldNS == nil && *m.Stall.ReleasedMax == 0 && m.Messages.Held == nil; zero != x.kept {
				t.Errorf("%d messages are blocked, %v", *m.Stall.Held, m.Messages.Held)
			}
		})
	}
	// What orders nothing has nothing to be blocked.
	m := result.Measured{Stall: &result.Stall{}}
	a := assembly{engine: Emulator, link: kept(), out: &peer.Outcome{Client: &peer.EndReport{}}}
	if a.unblock(&m, a.up(), true); m.Stall.Held != nil {
		t.Errorf("%d datagrams were blocked", *m.Stall.Held)
	}
}

// TestLosslessStreamsBlockNothing: over a path that loses nothing and keeps the order, no
// message of a stream is head-of-line blocked, whether the packets show it (tcp) or the
// path's own account does, and however late this machine reads.
func TestLosslessStreamsBlockNothing(t *testing.T) {
	for _, proto := range []string{"tcp", "tls", "quic", "quic-streams", "udp"} {
		c := config(t, proto, "delay 5ms", workload.Plan{Count: 300, Size: 500, Rate: 1000})
		c.Anatomy = c.AnatomyFits()
		d := try(t, c)
		if q := d.QUIC; q != nil && q.PacketsLost > 0 {
			t.Logf("%s: its own queue was full: %d packets are gone", proto, q.PacketsLost)
			continue
		}
		s := d.Stall
		if ordered := proto != "udp" && proto != "quic-streams"; (s.Held != nil) != ordered {
			t.Fatalf("%s: %+v", proto, s)
		}
		if s.Held != nil && (*s.Held != 0 || s.HeldNS != nil || *s.ReleasedMax != 0) {
			t.Errorf("%s: %d messages were blocked", proto, *s.Held)
		}
		if (d.ReadLate != nil) != c.Anatomy {
			t.Errorf("%s: read late %+v", proto, d.ReadLate)
		}
	}
}
