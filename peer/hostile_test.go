package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/quic"
	"netcmp/tcp"
	"netcmp/workload"
)

// A stranger may say to a session's port what he likes, a hello of the session's own
// but for its number, too: he is never answered, the server keeps nothing of it, and an
// honest client beside him loses nothing but what the socket's buffer cannot hold.
func TestStrangerIsNotAnswered(t *testing.T) {
	datagrams := 1_000_000
	if testing.Short() {
		datagrams = 20_000
	}
	r := newRemote(t, ServerConfig{})
	c := r.open(Spec{Proto: "udp", Direction: Down, Plan: workload.Plan{Count: 1000, Rate: 1000}})
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, c.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	answered := make(chan int)
	go func() {
		buf, n := make([]byte, 1<<16), 0
		for {
			got, err := stranger.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				answered <- n
				return
			}
			n += got
		}
	}()
	accepted := make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		accepted <- r.channel().call(ctx, "POST", "/v1/sessions/"+c.ID+"/accept", acceptOrder{}, nil)
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	draws := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 1400)
	sent := 0
	for i := range datagrams {
		b := buf[:draws.IntN(len(buf))]
		switch i % 4 {
		case 0: // noise
			for j := range min(len(b), 64) {
				b[j] = byte(draws.Uint32())
			}
		case 1: // a hello of another session
			b = buf[:message.HeaderSize]
			message.Seal(b, message.Header{Kind: message.Hello, Session: draws.Uint64() | 1<<63&^c.Session})
		case 2: // the session's, damaged
			b = buf[:message.HeaderSize]
			message.Seal(b, message.Header{Kind: message.Hello, Session: c.Session})
			b[draws.IntN(len(b))] ^= 1 << draws.IntN(8)
		default: // a message of the session's
			b = buf[:message.HeaderSize+draws.IntN(500)]
			message.Seal(b, message.Header{Session: c.Session, Number: uint64(i)})
		}
		n, _ := stranger.Write(b)
		sent += n
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	_ = stranger.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n := <-answered; n != 0 {
		t.Errorf("%d bytes were answered to %d of a stranger's", n, sent)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d datagrams, and the heap has grown by %d bytes", datagrams, grown)
	}
	// An honest client beside it.
	spec := Spec{Proto: "tcp", Plan: plan(50, 500)}
	checkOutcome(t, spec, r.must(t.Context(), spec, nil))
	leave()
	if err := <-accepted; err == nil {
		t.Error("the stranger's was taken for the client's connection")
	}
}

// broken are requests as nobody's client makes them.
func broken(draws *rand.Rand, base, id string) (method, url string, header http.Header, body []byte) {
	methods := []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"}
	paths := []string{"/v1/sessions", "/v1/clock", "/metrics", "/healthz", "/", "/v1/sessions/" + id + "/watch", "/v2/sessions", "/%2e%2e/etc/passwd"}
	for _, verb := range []string{"visit", "expect", "accept", "start", "stop", "finish", "watch", "nothing"} {
		paths = append(paths, "/v1/sessions/"+id+"/"+verb, "/v1/sessions/0/"+verb)
	}
	bodies := []string{
		"", "{", "null", "[]", "0", `"x"`, "{}", `{"proto":"udp"}`, `{"proto":"warp"}`, `{"proto":"udp","plan":{"Count":-1}}`,
		`{"proto":"udp","plan":{"Count":9223372036854775807,"Size":2147483647}}`, `{"proto":"udp","unknown":1}`, `{"client":"nobody"}`,
		`{"sent":{"sent":-5}}`, `{"start_ns":-9223372036854775808}`, `{"within_ns":-1}`, strings.Repeat("[", 5000), `{"deadlines_ns":[` + strings.Repeat("1,", 999) + `1]}`,
	}
	b := []byte(bodies[draws.IntN(len(bodies))])
	if draws.IntN(3) == 0 && len(b) > 0 {
		b[draws.IntN(len(b))] = byte(draws.Uint32())
	}
	h := http.Header{VersionHeader: {ControlVersion}, "Authorization": {"Bearer sesame"}}
	switch draws.IntN(6) {
	case 0:
		h.Del("Authorization")
	case 1:
		h.Set("Authorization", "Bearer wrong")
	case 2:
		h.Set(VersionHeader, "1")
	}
	return methods[draws.IntN(len(methods))], base + paths[draws.IntN(len(paths))], h, b
}

// Ten thousand broken requests break nothing: honest clients beside them lose nothing,
// and no session and no goroutine of theirs is left.
func TestBrokenRequests(t *testing.T) {
	requests := 10_000
	if testing.Short() {
		requests = 1000
	}
	r := newRemote(t, ServerConfig{Token: "sesame", Sessions: 64})
	r.server.watchPatience = 200 * time.Millisecond
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: true,
	}, Timeout: time.Second}
	defer client.CloseIdleConnections()
	goroutines := runtime.NumGoroutine()
	draws := rand.New(rand.NewPCG(3, 4))
	statuses := map[int]int{}
	for i := range requests {
		method, url, header, body := broken(draws, r.client.Base, "1f")
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		if err != nil {
			continue
		}
		req.Header = header
		resp, err := client.Do(req)
		if err != nil {
			continue // a session that is watched by nobody may be in its place
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
		resp.Body.Close()
		statuses[resp.StatusCode]++
		if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusGatewayTimeout {
			t.Fatalf("%s %s %q: %s", method, url, body, resp.Status)
		}
		if i%(requests/5) == 0 {
			spec := Spec{Proto: []string{"tcp", "udp"}[i/(requests/5)%2], Plan: plan(20, 500)}
			checkOutcome(t, spec, r.must(t.Context(), spec, nil))
		}
	}
	// And connections that are no requests at all.
	addr := strings.TrimPrefix(r.client.Base, "https://")
	for i := range 200 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		junk := make([]byte, draws.IntN(2000))
		for j := range junk {
			junk[j] = byte(draws.Uint32())
		}
		if i%2 == 0 {
			junk = []byte("GET / HTTP/1.0\r\n\r\n")
		}
		_, _ = c.Write(junk)
		c.Close()
	}
	spec := Spec{Proto: "tcp", Plan: plan(50, 500)}
	checkOutcome(t, spec, r.must(t.Context(), spec, nil))
	t.Logf("statuses: %v", statuses)
	client.CloseIdleConnections()
	r.client.Control.CloseIdleConnections()
	eventually(t, "no session", func() bool { return r.sessions() == 0 })
	eventually(t, "no goroutine that was not there", func() bool { return runtime.NumGoroutine() <= goroutines+4 })
}

// FuzzControl asks a server for anything at all: it answers, and lives.
func FuzzControl(f *testing.F) {
	draws := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		method, url, _, body := broken(draws, "", "1f")
		f.Add(method, url, body)
	}
	f.Fuzz(func(t *testing.T, method, url string, body []byte) {
		s := NewServer(ServerConfig{Transports: real(), Addr: loopback})
		s.watchPatience = 0
		defer s.Close()
		req, err := http.NewRequest(method, "http://server/", bytes.NewReader(body))
		if err != nil {
			return
		}
		if req.URL, err = req.URL.Parse(url); err != nil {
			return
		}
		req.Header.Set(VersionHeader, ControlVersion)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, req.WithContext(ctx))
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable && w.Code != http.StatusGatewayTimeout {
			t.Errorf("%s %s %q: %d", method, url, body, w.Code)
		}
	})
}

// TestSoak has many clients run session after session over all protocols, and looks
// whether anything of them stays: make soak. Otherwise it is short.
func TestSoak(t *testing.T) {
	const clients = 50
	lasts := 3 * time.Second
	if text := os.Getenv("NETCMP_SOAK"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		t.Skip("make soak")
	}
	r := newRemote(t, ServerConfig{
		Transports: append(real(), tcp.NewTLS(), quic.New(), quic.NewStreams(), quic.NewDatagram()), Sessions: 2 * clients,
	})
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var working sync.WaitGroup
	var runs, failed atomic.Int64
	var rest sync.RWMutex // held by all clients while they work, and by who looks what is left when they do not
	client := func(i int) {
		draws := rand.New(rand.NewPCG(7, uint64(i)))
		protos := []string{"tcp", "udp", "tls", "quic", "quic-streams", "quic-datagram"}
		for ctx.Err() == nil {
			rest.RLock()
			spec := Spec{Proto: protos[draws.IntN(len(protos))], Plan: workload.Plan{Count: 20, Rate: 200}, Quiet: 300 * time.Millisecond}
			out, err := Run(ctx, r.client, spec, nil)
			runs.Add(1)
			if ctx.Err() == nil && (err != nil || out.Error != "") {
				failed.Add(1)
				t.Logf("%s: %v, %+v", spec.Proto, err, out)
			}
			rest.RUnlock()
			time.Sleep(time.Duration(draws.Int64N(int64(time.Second)))) // as people do; it leaves the machine to others
		}
	}
	for i := range clients {
		working.Go(func() { client(i) })
	}
	type state struct {
		heap              uint64
		files, goroutines int
	}
	look := func() (s state) {
		rest.Lock()
		defer rest.Unlock()
		r.gone()
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools have kept goes at the second
		runtime.ReadMemStats(&m)
		all, _ := os.ReadDir("/proc/self/fd")
		return state{m.HeapAlloc, len(all), runtime.NumGoroutine()}
	}
	var first, last []state
	tick := time.NewTicker(lasts / 20)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			continue
		}
		switch s := look(); {
		case n >= 2 && n < 7: // the first minute of ten is left out
			first = append(first, s)
		case n >= 14:
			last = append(last, s)
		}
	}
	working.Wait()
	r.gone()
	// Half of the looks found no more than that.
	half := func(all []state, of func(state) int) int {
		var values []int
		for _, x := range all {
			values = append(values, of(x))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	t.Logf("%d sessions in %v, %d failed; between them at first %+v, and at last %+v", runs.Load(), lasts, failed.Load(), first, last)
	if failed.Load() > 0 || runs.Load() < clients {
		t.Errorf("%d of %d sessions failed", failed.Load(), runs.Load())
	}
	for name, x := range map[string]struct {
		of   func(state) int
		room int // beside five in a hundred
	}{
		"bytes":       {func(s state) int { return int(s.heap) }, 1 << 19}, // what a look at 3 MB varies by
		"descriptors": {func(s state) int { return s.files }, 2},
		"goroutines":  {func(s state) int { return s.goroutines }, 2},
	} {
		if lasts < time.Minute {
			break
		}
		if a, b := half(first, x.of), half(last, x.of); b > a+a/20+x.room {
			t.Errorf("it grows: %d %s, and then %d", a, name, b)
		}
	}
	if n := r.sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// Two hundred clients at once are served, each with its own account.
func TestManyClients(t *testing.T) {
	const clients = 200
	r := newRemote(t, ServerConfig{Sessions: clients})
	var working sync.WaitGroup
	for i := range clients {
		working.Go(func() {
			spec := Spec{Proto: []string{"tcp", "udp"}[i%2], Plan: workload.Plan{Count: 10, Rate: 20}, Quiet: 2 * time.Second}
			out, err := Run(t.Context(), r.client, spec, nil)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			checkOutcome(t, spec, out)
		})
	}
	working.Wait()
	r.gone()
}
