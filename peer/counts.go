package peer

import (
	"net/http"

	"github.com/VictoriaMetrics/metrics"
)

// counts are what a server tells Prometheus of itself. It has a set of its own, so that
// two servers of one process do not meet.
type counts struct{ set *metrics.Set }

func newCounts(s *Server) *counts {
	c := &counts{metrics.NewSet()}
	c.set.NewGauge("netcmp_sessions", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(len(s.sessions))
	})
	return c
}

// opened counts a session.
func (c *counts) opened(proto string) {
	c.set.GetOrCreateCounter(`netcmp_sessions_opened_total{proto="` + proto + `"}`).Inc()
}

// closed counts a session that has ended, and what it moved.
func (c *counts) closed(proto string, moved, bytes int64, cut bool) {
	how := "done"
	if cut {
		how = "cut"
	}
	c.set.GetOrCreateCounter(`netcmp_sessions_closed_total{proto="` + proto + `",how="` + how + `"}`).Inc()
	c.set.GetOrCreateCounter(`netcmp_messages_total{proto="` + proto + `"}`).AddInt64(moved)
	c.set.GetOrCreateCounter(`netcmp_bytes_total{proto="` + proto + `"}`).AddInt64(bytes)
}

// refused counts a request that was turned away: for its token, its version or a limit.
func (c *counts) refused(why string) {
	c.set.GetOrCreateCounter(`netcmp_refused_total{why="` + why + `"}`).Inc()
}

// write answers in Prometheus' text format.
func (c *counts) write(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	c.set.WritePrometheus(w)
}
