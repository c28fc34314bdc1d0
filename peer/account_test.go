package peer

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"netcmp/message"
	"netcmp/result"
	"netcmp/transport"
)

// The account says what the path did, number by number, in each direction.
func TestAccountOfPath(t *testing.T) {
	const count = 40
	fates := map[uint64]fate{
		3: {lost: true}, 7: {lost: true}, 8: {lost: true}, 9: {lost: true},
		5:  {copies: 1},
		6:  {copies: 2},
		11: {damaged: true},
		20: {delay: 30 * time.Millisecond},
		39: {lost: true}, // the last one is not in anybody's way
	}
	for _, d := range []Direction{Up, Down, Both, "there", "back"} {
		t.Run(string(d), func(t *testing.T) {
			f := datagrams()
			kind, spec := message.Data, Spec{Proto: "fake", Direction: d, Plan: plan(count, 100), Quiet: 200 * time.Millisecond}
			switch d {
			case "there":
				spec.Direction, spec.Pattern = Up, RequestResponse
			case "back":
				spec.Direction, spec.Pattern, kind = Up, RequestResponse, message.Reply
			}
			f.fate = func(h message.Header) fate {
				if h.Kind != kind {
					return fate{}
				}
				return fates[h.Number]
			}
			r := newRig(t, f)
			out := r.must(t.Context(), spec, nil)
			if out.Error != "" || out.Interrupted || out.ConnectNS != nil {
				t.Errorf("%+v", out)
			}
			var ends []*EndReport
			switch {
			case spec.Pattern == RequestResponse || d == Down:
				ends = []*EndReport{out.Client}
			case d == Up:
				ends = []*EndReport{out.Server}
			default:
				ends = []*EndReport{out.Client, out.Server}
			}
			duplicated := int64(3)
			if d == "there" {
				duplicated = 0 // a request is answered once
			}
			for _, e := range ends {
				m, del := e.Received, e.Received.Delivery
				if del.Sent != count || *del.Delivered != count-6 || *del.Lost != 6 || *del.Duplicated != duplicated || *del.Corrupted != 1 || *del.Received != count-6+duplicated {
					t.Errorf("sent %d, received %d, delivered %d, lost %d, duplicated %d, corrupted %d", del.Sent, *del.Received, *del.Delivered, *del.Lost, *del.Duplicated, *del.Corrupted)
				}
				if want := (result.NumberRuns{{3, 3}, {7, 9}, {11, 11}, {39, 39}}); !reflect.DeepEqual(m.Loss.Numbers, want) {
					t.Errorf("lost %v, want %v", m.Loss.Numbers, want)
				}
				if m.Order.Reordered != 1 || *m.Delay.MaxNS < int64(30*time.Millisecond) {
					t.Errorf("reordered %d, the longest delay %d", m.Order.Reordered, *m.Delay.MaxNS)
				}
				if e.GaveUp != 0 || e.Waited < spec.Quiet {
					t.Errorf("gave up %d, waited %v", e.GaveUp, e.Waited)
				}
			}
		})
	}
}

// Whatever the path does, sent = delivered + lost, and the numbers that were
// lost are the ones in the report.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fates := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fate {
			return fate{
				lost:    rapid.IntRange(0, 3).Draw(t, "lost") == 0,
				damaged: rapid.IntRange(0, 5).Draw(t, "damaged") == 0,
				copies:  rapid.IntRange(0, 2).Draw(t, "copies"),
			}
		}), 1, 60).Draw(t, "fates")
		f := datagrams()
		f.fate = func(h message.Header) fate { return fates[h.Number] }
		spec := Spec{Proto: "fake", Plan: plan(int64(len(fates)), 64), Quiet: time.Millisecond}
		spec.Plan.Saturate = true
		client, server := ends(f, spec, 0)
		server.run()
		client.run()
		client.awaitSent(nil)
		var delivered, duplicated, damaged int64
		var lost []int64
		for i, x := range fates {
			n := int64(1 + x.copies)
			switch {
			case x.lost:
				lost = append(lost, int64(i))
			case x.damaged:
				damaged += n
				lost = append(lost, int64(i))
			default:
				delivered++
				duplicated += n - 1
			}
		}
		// All that is to come has come before the drain asks, whatever else the
		// machine has to do: what is tested is the account, not the waiting.
		for range 5000 {
			if at := server.receiver.progress(); at.Delivered+at.Duplicates+at.Damaged == delivered+duplicated+damaged {
				break
			}
			time.Sleep(time.Millisecond)
		}
		gaveUp, _ := server.drain(client.sentOut.Sent, false, nil)
		report := server.report(&EndReport{Sent: client.sendReport()}, true)
		client.close()
		server.close()
		d := report.Received.Delivery
		if gaveUp != 0 || d.Sent != int64(len(fates)) || *d.Delivered != delivered || *d.Lost != int64(len(lost)) || *d.Duplicated != duplicated || *d.Corrupted != damaged {
			t.Fatalf("%+v of %v", d, fates)
		}
		var told []int64
		for _, run := range report.Received.Loss.Numbers {
			for n := run[0]; n <= run[1]; n++ {
				told = append(told, n)
			}
		}
		if fmt.Sprint(told) != fmt.Sprint(lost) {
			t.Fatalf("lost %v, want %v", told, lost)
		}
	})
}

// ends are a connection's two ends, whose messages are due at start.
func ends(f *fake, s Spec, start int64) (client, server *end) {
	s = s.WithDefaults()
	c := endConfig{spec: s, properties: f.properties, session: 1, start: start}
	near, far := f.pair()
	c.conn = far
	server = newEnd(c)
	c.conn, c.client = near, true
	return newEnd(c), server
}

// A damaged request is in the server's hands, but in the client's account.
func TestDamagedRequest(t *testing.T) {
	f := datagrams()
	f.fate = func(h message.Header) fate { return fate{damaged: h.Kind == message.Data && h.Number == 4} }
	out := newRig(t, f).must(t.Context(), Spec{Proto: "fake", Pattern: RequestResponse, Plan: plan(10, 100), Quiet: 200 * time.Millisecond}, nil)
	if d := out.Client.Received.Delivery; *d.Corrupted != 1 || *d.Lost != 1 || out.Server.Discarded != 1 {
		t.Errorf("corrupted %d, lost %d, discarded by the server %d", *d.Corrupted, *d.Lost, out.Server.Discarded)
	}
}

// Messages of other sessions and kinds are told apart, and keep nobody waiting.
func TestForeign(t *testing.T) {
	f := datagrams()
	f.fate = func(h message.Header) fate { return fate{lost: h.Number == 9} }
	client, server := ends(f, Spec{Proto: "fake", Plan: plan(10, 100), Quiet: 200 * time.Millisecond}, 0)
	defer server.close()
	defer client.close()
	stray := func(h message.Header) []byte {
		b := make([]byte, 100)
		message.Seal(b, h)
		return b
	}
	server.run()
	client.run()
	client.awaitSent(nil)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // strangers do not keep quiet
		defer close(stopped)
		for {
			_, _ = client.conn.Send([][]byte{stray(message.Header{Session: 2}), stray(message.Header{Session: 1, Kind: message.Reply})})
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		server.drain(10, false, nil)
	}()
	within(t, "drain", drained)
	close(stop)
	<-stopped
	r := server.report(&EndReport{Sent: client.sendReport()}, true)
	if *r.Received.Delivery.Delivered != 9 || r.Foreign < 2 || *r.Received.Delivery.Corrupted != 0 {
		t.Errorf("%+v, %d foreign", r.Received.Delivery, r.Foreign)
	}
}

// A transport that fails says so, and what it took before is accounted for.
func TestTransportFails(t *testing.T) {
	broken := errors.New("the cable was cut")
	for _, d := range []Direction{Up, Down, Both} {
		t.Run("sending/"+string(d), func(t *testing.T) {
			f := stream()
			f.taking = func(h message.Header) error {
				if h.Number == 25 {
					return broken
				}
				return nil
			}
			spec := Spec{Proto: "fake", Direction: d, Plan: plan(40, 100)}
			out := newRig(t, f).must(t.Context(), spec, nil)
			if out.Error != broken.Error() || out.Interrupted {
				t.Errorf("error %q, interrupted %v", out.Error, out.Interrupted)
			}
			check := func(name string, from *SendReport, to *EndReport) {
				if from.Sent != 25 || from.Due != 40 || from.Scheduled != 40 || from.Error != broken.Error() || sum(from.PerInterval) != 40 {
					t.Errorf("%s: %+v", name, from)
				}
				if del := to.Received.Delivery; del.Sent != 25 || del.Due != 40 || del.Unsent != 15 || *del.Delivered != 25 || *del.Lost != 0 || *del.Ratio != 25.0/40 || to.GaveUp != 0 {
					t.Errorf("%s: %+v", name, del)
				}
			}
			if d != Down {
				check("up", out.Client.Sent, out.Server)
			}
			if d != Up {
				check("down", out.Server.Sent, out.Client)
			}
		})
	}
	t.Run("receiving", func(t *testing.T) {
		f := datagrams()
		r := newRig(t, f)
		out := r.must(t.Context(), Spec{Proto: "fake", Plan: plan(200, 100), Quiet: 200 * time.Millisecond}, once(func() {
			r.session().running().conn.(*fakeConn).fail(broken)
		}))
		if out.Error != broken.Error() || out.Server.Error != broken.Error() || out.Client.Sent.Sent != 200 {
			t.Errorf("error %q, the server's %q, %d sent", out.Error, out.Server.Error, out.Client.Sent.Sent)
		}
		if d := out.Server.Received.Delivery; *d.Delivered+*d.Lost != 200 || *d.Lost == 0 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("echoing", func(t *testing.T) {
		f := datagrams()
		f.taking = func(h message.Header) error {
			if h.Kind == message.Reply && h.Number == 5 {
				return broken
			}
			return nil
		}
		out := newRig(t, f).must(t.Context(), Spec{Proto: "fake", Pattern: RequestResponse, Plan: plan(20, 100), Quiet: 200 * time.Millisecond}, nil)
		if out.Error != broken.Error() || *out.Client.Received.Delivery.Lost != 15 {
			t.Errorf("error %q, lost %d", out.Error, *out.Client.Received.Delivery.Lost)
		}
	})
}

// once calls f at the first partial outcome that has messages delivered at
// every end that receives.
func once(f func()) func(Progress) {
	done := false
	return func(p Progress) {
		if done || p.Partial == nil {
			return
		}
		for _, e := range []*EndReport{p.Partial.Client, p.Partial.Server} {
			if m := e.Received; m != nil && *m.Delivery.Delivered == 0 {
				return
			}
		}
		done = true
		f()
	}
}

// A reliable connection that ends before all was there has failed.
func TestConnectionEndsEarly(t *testing.T) {
	r := newRig(t, stream())
	out := r.must(t.Context(), Spec{Proto: "fake", Direction: Down, Plan: plan(200, 100)}, once(func() {
		r.session().running().conn.(*fakeConn).peer.fail(transport.ErrPeerGone)
	}))
	d := out.Client.Received.Delivery
	if out.Error != transport.ErrPeerGone.Error() || out.Client.GaveUp == 0 || out.Client.GaveUp != *d.Lost {
		t.Errorf("error %q, gave up %d", out.Error, out.Client.GaveUp)
	}
	if d.Sent != 200 || *d.Delivered+*d.Lost != 200 || out.Server.Sent.Sent != 200 || out.Server.Error != "" {
		t.Errorf("%+v, the server %+v", d, out.Server)
	}
}

// Of a host that is this run's alone, its own count of what found no room takes the place
// of the socket's, which may have wrong checksums in it; what the transport itself threw
// away stays.
func TestReceiverDropped(t *testing.T) {
	f := datagrams()
	f.stats.ReceiverDropped, f.stats.SocketDrops = new(int64(9)), 7
	_, server := ends(f, Spec{Proto: "fake"}, 0)
	defer server.lapse()
	if r := server.report(nil, false); *r.ReceiverDropped != 9 {
		t.Errorf("dropped %d", *r.ReceiverDropped)
	}
	server.private, server.before = true, readCounters(true)
	server.before.overflowed -= 5
	if r := server.report(nil, false); *r.ReceiverDropped != 2+5 {
		t.Errorf("dropped %d", *r.ReceiverDropped)
	}
}
