package peer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"netcmp/clock"
	"netcmp/transport"
)

// ServerConfig is what a server is made from.
type ServerConfig struct {
	Transports []transport.Transport
	Addr       netip.Addr     // where sessions listen
	Private    bool           // this host is the session's alone, so its counters tell of it
	Token      string         // demanded of every request; "" demands none
	Sessions   int            // at most so many at once; 0 is 16
	Log        zerolog.Logger // silent if zero
}

// Server is the receiving side of the control channel.
type Server struct {
	config ServerConfig
	http   *http.Server

	mu       sync.Mutex
	sessions map[string]*session
	closed   bool
}

const (
	acceptPatience = 10 * time.Second // for the client's connection
	watchPatience  = 10 * time.Second // for somebody to watch a new session
	watchTick      = 250 * time.Millisecond
	reportEvery    = 4 // ticks
)

// NewServer makes a server; Serve makes it work.
func NewServer(c ServerConfig) *Server {
	if c.Sessions == 0 {
		c.Sessions = 16
	}
	s := &Server{config: c, sessions: map[string]*session{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/clock", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, clockReading{NowNS: clock.Now(), BootID: bootID()})
	})
	mux.HandleFunc("POST /v1/sessions", s.create)
	mux.HandleFunc("GET /v1/sessions/{id}/watch", s.with((*session).watch))
	mux.HandleFunc("POST /v1/sessions/{id}/start", s.with((*session).begin))
	mux.HandleFunc("POST /v1/sessions/{id}/stop", s.with((*session).halt))
	mux.HandleFunc("POST /v1/sessions/{id}/finish", s.with((*session).finish))
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler: s.admit(mux), Protocols: p,
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 1 << 14,
	}
	return s
}

// Serve answers on the listener until Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends every session, and Serve.
func (s *Server) Close() error {
	err := s.http.Close()
	s.mu.Lock()
	s.closed = true
	left := make([]*session, 0, len(s.sessions))
	for _, x := range s.sessions {
		left = append(left, x)
	}
	s.mu.Unlock()
	for _, x := range left {
		x.close()
	}
	return err
}

// admit lets in who knows the token.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if s.config.Token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.config.Token)) != 1 {
			s.config.Log.Warn().Str("client", r.RemoteAddr).Msg("wrong token")
			answerJSON(w, http.StatusUnauthorized, failure{Error: "the server wants a token, and this is not it (--token)"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var spec Spec
	if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
		answerJSON(w, http.StatusBadRequest, failure{Error: "session: " + err.Error(), Usage: true})
		return
	}
	spec = spec.WithDefaults()
	if err := spec.Validate(s.config.Transports); err != nil {
		answerJSON(w, http.StatusBadRequest, failure{Error: err.Error(), Usage: true})
		return
	}
	x, err := s.open(spec, r.RemoteAddr)
	if err != nil {
		answerJSON(w, http.StatusServiceUnavailable, failure{Error: err.Error()})
		return
	}
	answerJSON(w, http.StatusCreated, created{ID: x.id, Port: x.listener.Addr().Port(), Session: x.number})
}

// open makes a session with a listener of its own.
func (s *Server) open(spec Spec, client string) (*session, error) {
	t, err := find(s.config.Transports, spec.Proto)
	if err != nil {
		return nil, err
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	x := &session{
		server: s, spec: spec, transport: t, number: binary.BigEndian.Uint64(random[:]), done: make(chan struct{}),
	}
	x.id = strconv.FormatUint(x.number, 16)
	x.log = s.config.Log.With().Str("session", x.id).Str("client", client).Str("proto", spec.Proto).Logger()
	if host, _, err := net.SplitHostPort(client); err == nil {
		// In the lab the channel is a socket pair and has no address.
		x.control, _ = netip.ParseAddr(host)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the server is stopping")
	}
	if len(s.sessions) >= s.config.Sessions {
		return nil, fmt.Errorf("the server has its %d sessions; try again later", s.config.Sessions)
	}
	if x.listener, err = t.Listen(context.Background(), netip.AddrPortFrom(s.config.Addr, 0), spec.config(x.number)); err != nil {
		return nil, err
	}
	s.sessions[x.id] = x
	x.unwatched = time.AfterFunc(watchPatience, x.close)
	x.log.Info().Msg("session opened")
	return x, nil
}

// with finds the session of a request.
func (s *Server) with(handle func(*session, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		x := s.sessions[r.PathValue("id")]
		s.mu.Unlock()
		if x == nil {
			answerJSON(w, http.StatusNotFound, failure{Error: "there is no such session, or it has ended"})
			return
		}
		handle(x, w, r)
	}
}

// session is one session of a server. Its requests come from one client, but
// at the same time.
type session struct {
	server    *Server
	id        string
	number    uint64
	spec      Spec
	transport transport.Transport
	listener  transport.Listener
	control   netip.Addr // the client's, as the control channel sees it
	log       zerolog.Logger
	unwatched *time.Timer
	done      chan struct{}

	mu     sync.Mutex
	end    *end // nil before begin
	closed bool
}

func (x *session) close() {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return
	}
	x.closed = true
	e := x.end
	x.mu.Unlock()
	close(x.done)
	x.unwatched.Stop()
	_ = x.listener.Close()
	if e != nil {
		e.close()
	}
	x.server.mu.Lock()
	delete(x.server.sessions, x.id)
	x.server.mu.Unlock()
	x.log.Info().Msg("session closed")
}

func (x *session) running() *end {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.end
}

// watch tells how the session goes until it ends or the watcher leaves, which
// ends it.
func (x *session) watch(w http.ResponseWriter, r *http.Request) {
	if !x.unwatched.Stop() {
		answerJSON(w, http.StatusConflict, failure{Error: "the session is watched already, or has ended"})
		return
	}
	defer x.close()
	w.Header().Set("Content-Type", "application/jsonl")
	out := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for n := 0; ; n++ {
		var line watchLine
		if e := x.running(); e != nil {
			if e.sender != nil {
				line.Sent = e.sender.count.Load()
			}
			if e.receiver != nil {
				line.Progress = e.receiver.progress()
			}
			if n%reportEvery == 0 {
				line.Report = e.report(nil)
			}
		}
		if lines.Encode(line) != nil || out.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-x.done:
			return
		}
	}
}

// begin takes the client's connection and starts this end.
func (x *session) begin(w http.ResponseWriter, r *http.Request) {
	var order startOrder
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		answerJSON(w, http.StatusBadRequest, failure{Error: "start: " + err.Error(), Usage: true})
		return
	}
	from := order.Client
	if x.control.IsValid() && from.IsValid() {
		// Nothing is ever sent to an address but the one that asks for it.
		from = netip.AddrPortFrom(x.control.Unmap(), from.Port())
	}
	ctx, cancel := context.WithTimeout(r.Context(), acceptPatience)
	defer cancel()
	conn, err := x.listener.Accept(ctx, from)
	if err != nil {
		answerJSON(w, http.StatusGatewayTimeout, failure{Error: fmt.Sprintf("the client's connection from %v did not come: %v", from, err)})
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.end != nil {
		_ = conn.Close()
		answerJSON(w, http.StatusConflict, failure{Error: "the session has ended, or was started before"})
		return
	}
	x.end = newEnd(x.spec, x.transport.Properties(), conn, x.number, false, x.server.config.Private, order.StartNS, -order.OffsetNS)
	x.end.run(x.number, order.StartNS)
	x.log.Info().Stringer("from", from).Msg("session started")
	answerJSON(w, http.StatusOK, struct{}{})
}

// halt ends this end's sending before its time.
func (x *session) halt(w http.ResponseWriter, _ *http.Request) {
	if e := x.running(); e != nil {
		e.stop()
	}
	answerJSON(w, http.StatusOK, struct{}{})
}

// finish waits until this end has sent its last and the client's messages are
// all there or lost, and tells what became of them.
func (x *session) finish(w http.ResponseWriter, r *http.Request) {
	var order finishOrder
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		answerJSON(w, http.StatusBadRequest, failure{Error: "finish: " + err.Error(), Usage: true})
		return
	}
	e := x.running()
	if e == nil {
		answerJSON(w, http.StatusConflict, failure{Error: "the session was not started"})
		return
	}
	if e.sent != nil {
		select {
		case <-e.sent:
		case <-r.Context().Done():
			return
		}
	}
	var gaveUp int64
	var waited time.Duration
	if order.Sent != nil && x.spec.Pattern == Stream {
		gaveUp, waited = e.drain(order.Sent.Sent, r.Context().Done())
	}
	report := e.report(order.Sent)
	report.GaveUp, report.Waited = gaveUp, waited
	answerJSON(w, http.StatusOK, report)
}
