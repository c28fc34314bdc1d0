package peer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log" //nolint:depguard // net/http takes no other
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/netem"
	"netcmp/netem/tc"
	"netcmp/records"
	"netcmp/transport"
)

// ServerConfig is what a server is made from.
type ServerConfig struct {
	Transports []transport.Transport
	Addr       netip.Addr // where sessions listen
	Private    bool       // this host is the session's alone, so its counters tell of it
	Sole       bool       // this process has no other session at a time; see collect
	// Records are the files for its one session's messages; without, none are kept.
	Records  records.Files
	QlogDir  string         // see transport.Traces; a client cannot ask for it
	Token    string         // demanded of every request; "" demands none
	Sessions int            // at most so many at once; 0 is 16
	Log      zerolog.Logger // silent if zero
	// IdleTimeout ends a connection that has asked for nothing for so long, and a
	// session of which no message has moved; 0: none.
	IdleTimeout time.Duration
	// ClientLimit is how many connections, and how many sessions, a client address
	// may have at once; 0: any number.
	ClientLimit int
	// TLS is how the control channel is encrypted; nil where it is not: in the lab it
	// does not leave the machine.
	TLS *tls.Config
	// DataPorts are the first and the last port that sessions listen at; zero: any.
	DataPorts [2]uint16
	Limits    Limits
	Path      ServerPath
}

// Limits are the most that a session may ask for, and move. A zero field is no limit.
type Limits struct {
	Messages int64      // each way
	Bytes    int64      // of messages, each way
	Rate     netem.Rate // of messages, each way
	Duration time.Duration
}

// Server is the receiving side of the control channel.
type Server struct {
	config        ServerConfig
	http          *http.Server
	watchPatience time.Duration
	watchTick     time.Duration
	handlers      sync.WaitGroup
	count         *counts
	refusals      refusals

	mu       sync.Mutex
	sessions map[string]*session
	draining bool // no further session is opened
	closed   bool
}

const (
	defaultSessions = 16
	headerPatience  = 10 * time.Second // for a request's header, once it has begun
	watchPatience   = 10 * time.Second // for somebody to watch a new session
	watchTick       = 250 * time.Millisecond
	reportEvery     = 4 // ticks
)

// NewServer makes a server; Serve makes it work.
func NewServer(c ServerConfig) *Server {
	if c.Sessions == 0 {
		c.Sessions = defaultSessions
	}
	s := &Server{config: c, watchPatience: watchPatience, watchTick: watchTick, sessions: map[string]*session{}}
	s.count = newCounts(s)
	s.refusals = newRefusals(c.Log, s.count)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.count.write)
	mux.HandleFunc("GET /v1/clock", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, ownReading())
	})
	mux.HandleFunc("POST /v1/sessions", s.create)
	mux.HandleFunc("GET /v1/sessions/{id}/watch", s.with((*session).watch))
	mux.HandleFunc("POST /v1/sessions/{id}/visit", s.with((*session).visit))
	mux.HandleFunc("POST /v1/sessions/{id}/expect", s.with((*session).expect))
	mux.HandleFunc("POST /v1/sessions/{id}/accept", s.with((*session).accept))
	mux.HandleFunc("POST /v1/sessions/{id}/start", s.with((*session).start))
	mux.HandleFunc("POST /v1/sessions/{id}/offset", s.with((*session).offset))
	mux.HandleFunc("POST /v1/sessions/{id}/stop", s.with((*session).stop))
	mux.HandleFunc("POST /v1/sessions/{id}/settled", s.with((*session).settled))
	mux.HandleFunc("POST /v1/sessions/{id}/finish", s.with((*session).finish))
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(c.TLS == nil)
	p.SetHTTP2(c.TLS != nil)
	s.http = &http.Server{
		Handler: s.admit(mux), Protocols: p, HTTP2: health, TLSConfig: c.TLS, ErrorLog: log.New(s.refusals, "", 0),
		ReadHeaderTimeout: headerPatience, MaxHeaderBytes: 1 << 14, IdleTimeout: c.IdleTimeout,
		ConnState: (&door{idle: c.IdleTimeout, limit: c.ClientLimit, refusals: s.refusals}).state,
	}
	return s
}

// Serve answers on the listener until Close.
func (s *Server) Serve(l net.Listener) error {
	serve := s.http.Serve
	if s.config.TLS != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends every session, and Serve. When it returns, nothing of the
// server's runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.http.Close()
	s.mu.Lock()
	var closing sync.WaitGroup
	for _, x := range s.sessions {
		closing.Go(x.close)
	}
	s.mu.Unlock()
	closing.Wait()
	s.handlers.Wait()
	return err
}

// Drain opens no further session, and returns when those that there are have ended, or
// ctx has.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.draining = true
	var open []*session
	for _, x := range s.sessions {
		open = append(open, x)
	}
	s.mu.Unlock()
	for _, x := range open {
		select {
		case <-x.gone:
		case <-ctx.Done():
			return
		}
	}
}

// admit lets in who knows the token.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			answerJSON(w, http.StatusServiceUnavailable, failure{Error: errStopping.Error()})
			return
		}
		defer s.handlers.Done()
		if r.URL.Path == "/healthz" && r.Method == http.MethodGet { // says nothing but that
			w.WriteHeader(http.StatusOK)
			return
		}
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if s.config.Token != "" && (!bearer || subtle.ConstantTimeCompare([]byte(given), []byte(s.config.Token)) != 1) {
			s.refusals.tell(r.RemoteAddr, "token", "request refused: wrong token")
			answerJSON(w, http.StatusUnauthorized, failure{Error: "the server wants a token, and this is not it (--token)"})
			return
		}
		if spoken := r.Header.Get(VersionHeader); spoken != ControlVersion && r.URL.Path != "/metrics" {
			s.refusals.tell(r.RemoteAddr, "version", fmt.Sprintf("request refused: the client speaks version %q of the control channel, and this server %s", spoken, ControlVersion))
			answerJSON(w, http.StatusUpgradeRequired, failure{Error: fmt.Sprintf(
				"the server speaks version %s of the control channel and the client %q: use one release of netcmp on both machines", ControlVersion, spoken)})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

var errStopping = errors.New("the server is stopping")

// enter counts a request that Close has to wait for.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handlers.Add(1)
	}
	return !s.closed
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

// order reads what a request asks for, or refuses it.
func order(w http.ResponseWriter, r *http.Request, into any) bool {
	return orderFrom(w, json.NewDecoder(r.Body), into)
}

func orderFrom(w http.ResponseWriter, d *json.Decoder, into any) bool {
	err := d.Decode(into)
	if err == nil {
		return true
	}
	status := http.StatusBadRequest
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		status = http.StatusRequestEntityTooLarge
		err = fmt.Errorf("more than %d bytes", large.Limit)
	}
	answerJSON(w, status, failure{Error: "malformed request: " + err.Error(), Usage: true})
	return false
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	// A field that this server does not know is refused: to leave it aside
	// would be to do something else than was asked.
	asked := json.NewDecoder(r.Body)
	asked.DisallowUnknownFields()
	var spec Spec
	if !orderFrom(w, asked, &spec) {
		return
	}
	spec = spec.WithDefaults()
	refuse := func(why string, status int, f failure) {
		s.refusals.tell(r.RemoteAddr, why, "session refused: "+f.Error)
		answerJSON(w, status, f)
	}
	if err := spec.Validate(s.config.Transports); err != nil {
		refuse("request", http.StatusBadRequest, failure{Error: err.Error(), Usage: true})
		return
	}
	if err := s.config.Limits.check(spec); err != nil {
		refuse("limit", http.StatusBadRequest, failure{Error: err.Error(), Usage: true})
		return
	}
	x, err := s.open(spec, r.RemoteAddr, s.addrFor(r))
	if errors.Is(err, transport.ErrUnknownCongestion) {
		refuse("request", http.StatusBadRequest, failure{Error: err.Error(), Usage: true})
		return
	}
	var notes []string
	if err == nil && spec.Impair != nil {
		if notes, err = x.impair(); err != nil {
			x.close()
		}
	}
	if err != nil {
		refuse("session", http.StatusServiceUnavailable, failure{Error: err.Error(), Unsupported: notHere(err)})
		return
	}
	x.answerCreated(w, notes)
}

// notHere says that the server's machine does not have or allow what was asked.
func notHere(err error) bool {
	for _, e := range []error{transport.ErrNotSupported, errNoImpair, tc.ErrNoNetem, tc.ErrPrivilege, tc.ErrNoDevice, tc.ErrNoSeed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (x *session) answerCreated(w http.ResponseWriter, notes []string) {
	c := created{ID: x.id, Port: x.listener.Addr().Port(), Session: x.number, Notes: notes}
	if l, ok := x.listener.(transport.Certified); ok {
		c.Certificate = l.Certificate()
	}
	answerJSON(w, http.StatusCreated, c)
}

// open makes a session with a listener of its own.
func (s *Server) open(spec Spec, client string, at netip.Addr) (*session, error) {
	t, err := spec.over(s.config.Transports)
	if err != nil {
		return nil, err
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	x := &session{
		server: s, spec: spec, transport: t, number: binary.BigEndian.Uint64(random[:]),
		done: make(chan struct{}), gone: make(chan struct{}),
	}
	x.id = strconv.FormatUint(x.number, 16)
	x.log = s.config.Log.With().Str("session", x.id).Str("client", client).Str("proto", spec.Proto).Logger()
	if host, _, err := net.SplitHostPort(client); err == nil {
		// In the lab the channel is a socket pair and has no address.
		x.control, _ = netip.ParseAddr(host)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.draining {
		return nil, errStopping
	}
	if len(s.sessions) >= s.config.Sessions {
		return nil, fmt.Errorf("the server has its %d sessions; try again later", s.config.Sessions)
	}
	if n := s.config.ClientLimit; n > 0 && s.sessionsOf(x.control) >= n {
		return nil, fmt.Errorf("the server has %d sessions of %v, which is all that one address may have; try again later", n, x.control)
	}
	asked := spec.config(x.number)
	asked.Traces.QlogDir, asked.From = s.config.QlogDir, x.clientAt(netip.AddrPort{}).Addr()
	if x.listener, err = s.listen(t, at, asked); err != nil {
		return nil, err
	}
	x.opened = clock.Now()
	s.sessions[x.id] = x
	s.count.opened(spec.Proto)
	x.awaitWatcher(s.watchPatience)
	x.log.Info().Msg("session opened")
	return x, nil
}

// addrFor is where the session of a request listens: where the server is to, or, if
// that is everywhere, where the client has found it.
func (s *Server) addrFor(r *http.Request) netip.Addr {
	at := s.config.Addr
	if found, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && at.IsUnspecified() {
		at = found.AddrPort().Addr().Unmap()
	}
	return at
}

// listen opens a session's listener, at the first of the data ports that is free.
func (s *Server) listen(t transport.Transport, at netip.Addr, c transport.Config) (l transport.Listener, err error) {
	first, last := s.config.DataPorts[0], s.config.DataPorts[1]
	for p := int(first); p <= int(last); p++ {
		l, err = t.Listen(context.Background(), netip.AddrPortFrom(at, uint16(p)), c)
		if !errors.Is(err, unix.EADDRINUSE) {
			return l, err
		}
	}
	return nil, fmt.Errorf("the server's data ports, %d to %d, are all taken; try again later", first, last)
}

// sessionsOf counts the sessions of a client's address; there are none of one that
// is not known. mu is held.
func (s *Server) sessionsOf(client netip.Addr) (n int) {
	own, ok := network(client)
	for _, x := range s.sessions {
		if other, known := network(x.control); ok && known && other == own {
			n++
		}
	}
	return n
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
