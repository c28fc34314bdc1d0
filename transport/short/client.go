package short

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netcmp/clock"
	"netcmp/result"
	"netcmp/transport"
)

// How many connections a client has at once, at the most: who sends faster than they
// end is held up. One that has always more to send stays below what quic-go's listener
// lets wait (protocol.MaxAcceptQueueSize, 32): it refuses the rest.
const atOnce, atOnceBulk = 4096, 30

// client connects for each message.
type client struct {
	local    netip.AddrPort
	answered bool
	dial     func(context.Context) (transport.Conn, error)

	ctx     context.Context
	leave   context.CancelFunc
	turns   chan struct{} // has one for each connection that there is
	working sync.WaitGroup
	inbox   inbox
	failure failure
	failed  atomic.Int64

	mu                 sync.Mutex // over what follows
	connected, secured *hdrhistogram.Histogram
	stats              transport.Stats
}

func newClient(local netip.AddrPort, answered bool, most int, dial func(context.Context) (transport.Conn, error)) *client {
	c := &client{
		local: local, answered: answered, dial: dial, turns: make(chan struct{}, most), failure: newFailure(),
		connected: hdrhistogram.New(1, int64(time.Hour), 3), secured: hdrhistogram.New(1, int64(time.Hour), 3),
	}
	c.ctx, c.leave = context.WithCancel(context.Background())
	c.inbox = newInbox(c.ctx.Done())
	c.stats.Connections = &transport.Connections{}
	return c
}

// Send begins a connection for each message, and does not wait for it.
func (c *client) Send(batch [][]byte) (int, error) {
	for n, m := range batch {
		if err := c.failure.why(); err != nil {
			return n, err
		}
		select {
		case c.turns <- struct{}{}:
		case <-c.ctx.Done():
			return n, transport.ErrClosed
		}
		c.mu.Lock()
		if c.ctx.Err() != nil {
			c.mu.Unlock()
			return n, transport.ErrClosed
		}
		c.working.Add(1)
		c.mu.Unlock()
		go func(m []byte) {
			defer c.working.Done()
			defer func() { <-c.turns }()
			if err := c.converse(m); err != nil {
				c.failed.Add(1)
				c.failure.fail(explain(err))
			}
		}(slices.Clone(m))
	}
	return len(batch), nil
}

// converse brings one message over, and its answer.
func (c *client) converse(m []byte) error {
	begun := clock.Now()
	conn, err := c.dial(c.ctx)
	if err != nil {
		return err
	}
	c.opened(begun, clock.Now(), conn.Stats())
	defer func() { c.add(conn.Stats()) }()
	if !c.answered {
		// Close waits for what is under way, within bounds, whatever becomes of us.
		_, err = conn.Send([][]byte{m})
		return errors.Join(err, conn.Close())
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { _ = conn.Close() })()
	if _, err = conn.Send([][]byte{m}); err != nil {
		return err
	}
	var answer [1]transport.Message
	if _, err = conn.Receive(answer[:]); err == nil {
		c.inbox.put(answer[0])
	}
	if c.ctx.Err() != nil && errors.Is(err, transport.ErrClosed) {
		return nil // it is no failure that the run is over
	}
	return err
}

// opened enters a connection that was begun and may send: as its transport tells of
// itself, if it does.
func (c *client) opened(begun, ready int64, s transport.Stats) {
	if s.Connected > 0 {
		ready = s.Connected
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Connections.Opened++
	_ = c.connected.RecordValue(ready - begun) // no dial takes an hour
	if s.Secured > 0 {
		_ = c.secured.RecordValue(s.Secured - begun)
	}
}

// quantiles are those of a histogram; nil of an empty one.
func quantiles(h *hdrhistogram.Histogram) *result.Quantiles {
	if h.TotalCount() == 0 {
		return nil
	}
	return &result.Quantiles{P50: h.ValueAtQuantile(50), P99: h.ValueAtQuantile(99), Max: h.Max()}
}

// add enters what a connection knew of itself at its end.
func (c *client) add(s transport.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gather(&c.stats, s)
}

// Receive gives the answers, in the order in which they come. That a connection fails
// ends Send and not this: others still bring theirs.
func (c *client) Receive(batch []transport.Message) (int, error) {
	return c.inbox.take(batch, nil, nil)
}

// LocalAddr is where connections come from, each from another port.
func (c *client) LocalAddr() netip.AddrPort { return c.local }

// Stats are of all connections that have ended, taken together.
func (c *client) Stats() transport.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	told := *s.Connections
	told.Failed = c.failed.Load()
	told.ConnectNS, told.SecureNS = quantiles(c.connected), quantiles(c.secured)
	if err := c.failure.why(); err != nil {
		told.Error = err.Error()
	}
	s.Connections = &told
	return s
}

// Settle waits until the connections that were begun have done their work, or
// cancelled, and says how many could not.
func (c *client) Settle(cancelled <-chan struct{}) (failed int64) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.working.Wait()
	}()
	select {
	case <-done:
	case <-cancelled:
	case <-c.ctx.Done():
	}
	return c.failed.Load()
}

// Close lets no connection begin any more, and ends those that wait for one or for
// an answer.
func (c *client) Close() error {
	c.mu.Lock()
	c.leave()
	c.mu.Unlock()
	c.working.Wait()
	return nil
}

// gather adds what one connection knew to what is known of all.
func gather(all *transport.Stats, s transport.Stats) {
	all.Congestion, all.SendBuffer, all.ReceiveBuffer = s.Congestion, s.SendBuffer, s.ReceiveBuffer
	if s.Retransmitted != nil {
		sum := *s.Retransmitted
		if all.Retransmitted != nil {
			sum += *all.Retransmitted
		}
		all.Retransmitted = &sum
	}
}
