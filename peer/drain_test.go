package peer

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"netcmp/clock"
	"netcmp/message"
)

// draining is what a drain waits for: messages that come so late, the first
// one being due when the drain begins.
type draining struct {
	spec    Spec
	stream  bool
	arrive  []time.Duration // after the beginning of the drain
	missing int64           // and so many never
	before  time.Duration   // so much longer than that some message took before

	hurry, cancel, close, end time.Duration // 0: never

	tells    bool          // the path tells when it is empty:
	empty    time.Duration // after so long; 0: never
	expected int64         // see settledOrder

	waited time.Duration // give or take a tick
	gaveUp int64
}

// When drain ends: under fake time, so that every rule can be held to the
// millisecond.
func TestDrain(t *testing.T) {
	const ms = time.Millisecond
	quiet := Spec{Quiet: 100 * ms, Patience: time.Second}
	for name, d := range map[string]draining{
		"all is there":                    {spec: quiet},
		"nothing was sent":                {spec: quiet, stream: true},
		"the last one comes":              {spec: quiet, arrive: []time.Duration{90 * ms}, waited: 90 * ms},
		"quiet":                           {spec: quiet, missing: 2, waited: 100 * ms},
		"quiet begins anew":               {spec: quiet, arrive: []time.Duration{60 * ms}, missing: 2, waited: 180*ms + 60*ms},
		"what took long before":           {spec: quiet, missing: 1, before: 150 * ms, waited: 450 * ms},
		"what took too long before":       {spec: quiet, missing: 1, before: time.Hour, waited: time.Second},
		"quiet is above patience":         {spec: Spec{Quiet: 2 * time.Second, Patience: time.Second}, missing: 1, waited: 2 * time.Second},
		"a stream's patience":             {spec: quiet, stream: true, missing: 3, waited: time.Second, gaveUp: 3},
		"a stream's patience begins anew": {spec: quiet, stream: true, arrive: []time.Duration{900 * ms}, missing: 3, waited: 1900 * ms, gaveUp: 3},
		"a stream comes in time":          {spec: quiet, stream: true, arrive: []time.Duration{900 * ms, 1800 * ms}, waited: 1800 * ms},
		"hurry":                           {spec: quiet, stream: true, missing: 3, hurry: 40 * ms, waited: 40 * ms, gaveUp: 3},
		"hurry that is not needed":        {spec: quiet, arrive: []time.Duration{30 * ms}, hurry: 40 * ms, waited: 30 * ms},
		"cancelled":                       {spec: quiet, stream: true, missing: 3, cancel: 40 * ms, waited: 40 * ms, gaveUp: 3},
		"closed here":                     {spec: quiet, stream: true, missing: 3, close: 40 * ms, waited: 40 * ms, gaveUp: 3},
		"closed there":                    {spec: quiet, stream: true, missing: 3, end: 40 * ms, waited: 40 * ms, gaveUp: 3},
		"closed there, all being sent":    {spec: quiet, stream: true, arrive: []time.Duration{10 * ms}, end: 40 * ms, waited: 10 * ms},

		"the path is never empty":          {spec: quiet, tells: true, missing: 1, waited: time.Second},
		"the path is late":                 {spec: quiet, tells: true, arrive: []time.Duration{900 * ms}, empty: 901 * ms, expected: 1, waited: 901 * ms},
		"the path lost the rest":           {spec: quiet, tells: true, missing: 2, empty: 300 * ms, waited: 300 * ms},
		"read after the path was empty":    {spec: quiet, tells: true, arrive: []time.Duration{50 * ms}, empty: 10 * ms, expected: 1, waited: 50 * ms},
		"the rest was dropped at the door": {spec: quiet, tells: true, missing: 2, empty: 10 * ms, expected: 2, waited: 100 * ms},
		"copies may come":                  {spec: quiet, tells: true, empty: 10 * ms, expected: math.MaxInt64, waited: 100 * ms},
		"how many come is not known":       {spec: quiet, tells: true, missing: 1, empty: 10 * ms, expected: -1, waited: 100 * ms},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, d.test) })
	}
}

func (d draining) test(t *testing.T) {
	f := datagrams()
	if d.stream {
		f = stream()
	}
	client, server := ends(f, d.spec, clock.Now())
	server.run()
	deliver := func(n uint64, sent int64) {
		b := make([]byte, message.HeaderSize)
		message.Seal(b, message.Header{Session: 1, Number: n, Planned: sent, Sent: sent})
		server.conn.(*fakeConn).arrive(b)
	}
	count := uint64(0)
	if d.before > 0 {
		deliver(count, clock.Now()-int64(d.before))
		count++
		synctest.Wait()
	}
	for _, after := range d.arrive {
		n := count
		count++
		time.AfterFunc(after, func() { deliver(n, clock.Now()) })
	}
	at := func(after time.Duration, f func()) {
		if after > 0 {
			time.AfterFunc(after, f)
		}
	}
	cancelled := make(chan struct{})
	at(d.cancel, func() { close(cancelled) })
	at(d.close, func() { server.conn.Close() })
	at(d.end, func() { client.conn.Close() })
	at(d.empty, func() { server.settled(d.expected) })
	if d.hurry > 0 {
		server.hurry(d.hurry)
		server.hurry(d.hurry + time.Second) // the first one counts
	}
	gaveUp, waited := server.drain(int64(count)+d.missing, d.tells, cancelled)
	// Silence begins with what came last, or with the drain.
	want := d.waited
	if !d.tells && len(d.arrive) > 0 && d.missing > 0 && !d.stream {
		want = d.arrive[len(d.arrive)-1] + d.spec.Quiet
	}
	if gaveUp != d.gaveUp || waited < want || waited > want+2*drainTick {
		t.Errorf("gave up %d after %v, want %d after %v", gaveUp, waited, d.gaveUp, want)
	}
	client.conn.Close()
	server.close()
}

// An end without a receiver has nothing to wait for.
func TestDrainOfSender(t *testing.T) {
	client, server := ends(datagrams(), Spec{}, 0)
	defer server.lapse()
	defer client.lapse()
	if gaveUp, waited := client.drain(10, false, nil); gaveUp != 0 || waited != 0 {
		t.Errorf("%d, %v", gaveUp, waited)
	}
}

// A process that was stopped does not take that time for silence of the path.
func TestSilence(t *testing.T) {
	const second = int64(time.Second)
	s := newSilence(0, 0)
	if got := s.tick(3*second, 0); got > 2*drainTick {
		t.Errorf("%v of silence after one tick", got)
	}
	now := 3 * second
	for range 100 {
		now += int64(drainTick)
		s.tick(now, 0)
	}
	if got := s.tick(now, 0); got < 100*drainTick || got > 102*drainTick {
		t.Errorf("%v of silence after 100 ticks of %v", got, drainTick)
	}
	if got := s.tick(now+1, now); got != 0 {
		t.Errorf("%v of silence when something came", got)
	}
}
