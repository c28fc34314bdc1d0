package short

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"netcmp/message"
	"netcmp/transport"
)

// server takes all connections of a client, and what comes over them.
type server struct {
	listener transport.Listener
	from     netip.AddrPort

	ctx     context.Context
	leave   context.CancelFunc
	working sync.WaitGroup
	inbox   inbox
	failure failure

	mu    sync.Mutex // over what follows
	open  map[transport.Conn]bool
	asked map[uint64]transport.Conn // where the answer to a message has to go
	stats transport.Stats
}

func newServer(l transport.Listener, from netip.AddrPort) *server {
	s := &server{
		listener: l, from: from, failure: newFailure(),
		open: map[transport.Conn]bool{}, asked: map[uint64]transport.Conn{},
	}
	s.ctx, s.leave = context.WithCancel(context.Background())
	s.inbox = newInbox(s.ctx.Done())
	s.stats.Connections = &transport.Connections{}
	s.working.Go(s.accept)
	return s
}

// accept takes connections until Close, or until the listener's.
func (s *server) accept() {
	for {
		conn, err := s.listener.Accept(s.ctx, s.from)
		switch {
		case err == nil:
		case s.ctx.Err() != nil, errors.Is(err, transport.ErrClosed):
			return
		default:
			s.failure.fail(explain(err))
			return
		}
		s.mu.Lock()
		s.stats.Connections.Opened++
		s.open[conn] = true
		s.mu.Unlock()
		s.working.Go(func() { s.attend(conn) })
	}
}

// attend receives until the client ends the connection.
func (s *server) attend(conn transport.Conn) {
	stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	var own []uint64
	defer func() {
		stop()
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range own {
			delete(s.asked, n)
		}
		delete(s.open, conn)
		gather(&s.stats, conn.Stats())
	}()
	var batch [4]transport.Message
	for {
		n, err := conn.Receive(batch[:])
		for _, m := range batch[:n] {
			if h, err := message.Parse(m.Data); err == nil {
				own = append(own, h.Number)
				s.mu.Lock()
				s.asked[h.Number] = conn
				s.mu.Unlock()
			}
			if !s.inbox.put(m) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Send sends each answer over the connection that its question came by.
func (s *server) Send(batch [][]byte) (int, error) {
	for n, m := range batch {
		h, err := message.Parse(m)
		if err != nil {
			return n, err
		}
		s.mu.Lock()
		conn := s.asked[h.Number]
		s.mu.Unlock()
		if conn == nil {
			continue // its client has gone, and waits for nothing
		}
		if _, err := conn.Send(batch[n : n+1]); err != nil && !errors.Is(err, transport.ErrPeerGone) && !errors.Is(err, transport.ErrClosed) {
			return n, fmt.Errorf("message %d: %w", h.Number, err)
		}
	}
	return len(batch), nil
}

// Receive gives what came over any of the connections, in the order in which it came.
func (s *server) Receive(batch []transport.Message) (int, error) {
	return s.inbox.take(batch, s.failure.failed, s.failure.why)
}

// LocalAddr is where the connections come to.
func (s *server) LocalAddr() netip.AddrPort { return s.listener.Addr() }

// Stats are of all connections that have ended, taken together.
func (s *server) Stats() transport.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	told := *out.Connections
	out.Connections = &told
	return out
}

// Close takes no further connection, and ends those that there are.
func (s *server) Close() error {
	s.leave()
	s.working.Wait()
	return nil
}
