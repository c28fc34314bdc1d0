package secure

import (
	"crypto/tls"
	"sync"
)

// Sessions keeps the latest ticket of one server, and tells when there is one. Its
// methods may be called from any goroutine.
type Sessions struct {
	tls.ClientSessionCache
	got  chan struct{}
	once sync.Once
}

// NewSessions makes an empty one.
func NewSessions() *Sessions {
	return &Sessions{ClientSessionCache: tls.NewLRUClientSessionCache(1), got: make(chan struct{})}
}

// Put keeps a ticket; nil takes one out.
func (s *Sessions) Put(key string, ticket *tls.ClientSessionState) {
	s.ClientSessionCache.Put(key, ticket)
	if ticket != nil {
		s.once.Do(func() { close(s.got) })
	}
}

// Got is closed when the first ticket has come.
func (s *Sessions) Got() <-chan struct{} { return s.got }
