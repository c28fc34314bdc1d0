package peer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/transport"
	"netcmp/workload"
)

// post makes a request with a body that need not be JSON, and gives the answer.
func (r *rig) post(path, body string) (status int, answer string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "POST", r.client.Base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.client.Token)
	req.Header.Set(VersionHeader, ControlVersion)
	resp, err := r.client.Control.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// call makes a request of a session that does what it asks for.
func (r *rig) call(path string, in, out any) error {
	return r.channel().call(r.t.Context(), "POST", path, in, out)
}

// refused is the error of a request whose answer is a stream.
func (r *rig) refused(path string) error {
	resp, err := r.channel().open(r.t.Context(), "GET", path, nil)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// open opens a session, and watches it.
func (r *rig) open(s Spec) created {
	r.t.Helper()
	var c created
	if err := r.call("/v1/sessions", s, &c); err != nil {
		r.t.Fatal(err)
	}
	r.watch(c)
	return c
}

func (r *rig) watch(c created) {
	r.t.Helper()
	resp, err := r.channel().open(r.t.Context(), "GET", "/v1/sessions/"+c.ID+"/watch", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
}

func wantError(t *testing.T, err error, usage bool, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", words)
		return
	}
	if errors.Is(err, ErrUsage) != usage {
		t.Errorf("%v: usage %v, want %v", err, !usage, usage)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestToken(t *testing.T) {
	r := newRemote(t, ServerConfig{Token: "right"})
	for _, token := range []string{"", "wrong", "righ", "rightt", "Bearer right"} {
		r.client.Token = token
		_, err := r.run(t.Context(), Spec{Proto: "udp"}, nil)
		wantError(t, err, false, "token")
		if status, _ := r.post("/v1/sessions", "{}"); status != http.StatusUnauthorized {
			t.Errorf("token %q: status %d", token, status)
		}
	}
	// A token is a bearer token, or none.
	req, _ := http.NewRequest("GET", r.client.Base+"/v1/clock", nil)
	req.Header.Set("Authorization", "right")
	resp, err := r.client.Control.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a bare token: status %d", resp.StatusCode)
	}
	r.client.Token = "right"
	if _, err := r.channel().readClock(t.Context(), ClockAuto); err != nil {
		t.Error(err)
	}
	if r.sessions() != 0 {
		t.Error("a session without a token")
	}
}

// What the server refuses of a new session.
func TestCreateRefused(t *testing.T) {
	r := newRig(t, real()...)
	for name, x := range map[string]struct {
		body   string
		status int
		words  string
	}{
		"no JSON":       {"{", 400, "malformed"},
		"nothing":       {"", 400, "malformed"},
		"a list":        {"[]", 400, "malformed"},
		"wrong type":    {`{"proto":1}`, 400, "proto"},
		"unknown field": {`{"proto":"udp","colour":"red"}`, 400, "colour"},
		"protocol":      {`{"proto":"sctp"}`, 400, "known: tcp, udp"},
		"direction":     {`{"proto":"udp","direction":"left"}`, 400, "up, down, both"},
		"pattern":       {`{"proto":"udp","pattern":"chess"}`, 400, "stream, request-response"},
		"count":         {`{"proto":"udp","plan":{"count":-1}}`, 400, "count -1"},
		"congestion":    {`{"proto":"tcp","congestion":"hopeful"}`, 400, "hopeful"},
		"too large":     {`{"proto":"` + strings.Repeat("x", maxBody) + `"}`, 413, "16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := r.post("/v1/sessions", x.body)
			if status != x.status || !strings.Contains(answer, x.words) || !strings.Contains(answer, `"usage":true`) {
				t.Errorf("status %d, %s; want %d with %q", status, answer, x.status, x.words)
			}
		})
	}
	// The client says it just as clearly, before it asks and after.
	for _, s := range []Spec{
		{Proto: "sctp"}, {Proto: "udp", Direction: "left"}, {Proto: "udp", Plan: workload.Plan{Size: 60_001, Count: -5}},
		{Proto: "tcp", Congestion: "hopeful"},
	} {
		_, err := r.run(t.Context(), s, nil)
		wantError(t, err, true)
		wantError(t, r.call("/v1/sessions", s, nil), true)
	}
	if r.sessions() != 0 {
		t.Errorf("%d sessions", r.sessions())
	}
	if status, _ := r.post("/v1/nonsense", ""); status != 404 {
		t.Errorf("an unknown path: status %d", status)
	}
}

// A feature that the server's machine has not is told from a failure.
func TestNotSupported(t *testing.T) {
	r := newRig(t, unsupported{datagrams()})
	_, err := r.run(t.Context(), Spec{Proto: "fake"}, nil)
	wantError(t, err, false, "buy a bigger machine")
	if !errors.Is(err, transport.ErrNotSupported) {
		t.Error(err)
	}
}

type unsupported struct{ *fake }

func (unsupported) Listen(context.Context, netip.AddrPort, transport.Config) (transport.Listener, error) {
	return nil, errors.Join(transport.ErrNotSupported, errors.New("buy a bigger machine"))
}

// Requests of a session that does not exist, at the wrong time, or malformed.
func TestSessionRefuses(t *testing.T) {
	r := newRig(t, datagrams())
	for _, verb := range []string{"accept", "start", "stop", "finish"} {
		wantError(t, r.call("/v1/sessions/0/"+verb, struct{}{}, nil), false, "no such session")
	}
	wantError(t, r.refused("/v1/sessions/0/watch"), false, "no such session")

	spec := Spec{Proto: "fake", Direction: Down, Plan: workload.Plan{Count: 10, Rate: 1000}}
	c := r.open(spec)
	at := "/v1/sessions/" + c.ID + "/"
	for _, verb := range []string{"accept", "start", "stop", "finish"} {
		if status, answer := r.post(at+verb, "{"); status != 400 || !strings.Contains(answer, `"usage":true`) {
			t.Errorf("%s: status %d, %s", verb, status, answer)
		}
	}
	wantError(t, r.call(at+"start", startOrder{}, nil), false, "no connection yet")
	wantError(t, r.call(at+"finish", finishOrder{}, nil), false, "not started")
	if err := r.call(at+"stop", stopOrder{}, nil); err != nil {
		t.Errorf("there is nothing to stop: %v", err)
	}
	wantError(t, r.refused(at+"watch"), false, "watched already")

	conn, err := r.client.Transports[0].Dial(t.Context(), netip.AddrPortFrom(loopback, c.Port), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := r.call(at+"accept", acceptOrder{}, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.call(at+"accept", acceptOrder{}, nil), false, "has its connection")
	if err := r.call(at+"start", startOrder{}, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.call(at+"start", startOrder{}, nil), false, "started before")

	// To finish twice, or at the same time, is to be told twice.
	var both sync.WaitGroup
	reports := make([]EndReport, 2)
	for i := range reports {
		both.Go(func() {
			if err := r.call(at+"finish", finishOrder{}, &reports[i]); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for _, e := range reports {
		if e.Sent == nil || e.Sent.Sent != 10 || sum(e.Sent.PerInterval) != 10 || e.Error != "" {
			t.Errorf("%+v", e)
		}
	}
}

// What a client says of itself may be nonsense, and harms nobody.
func TestNonsense(t *testing.T) {
	r := newRig(t, datagrams())
	spec := Spec{Proto: "fake", Direction: Both, Plan: plan(10, 100), Quiet: time.Millisecond, Patience: time.Millisecond}
	c := r.open(spec)
	at := "/v1/sessions/" + c.ID + "/"
	conn, err := r.client.Transports[0].Dial(t.Context(), netip.AddrPortFrom(loopback, c.Port), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := r.call(at+"accept", acceptOrder{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.call(at+"start", startOrder{StartNS: -1 << 63, OffsetNS: -1 << 63}, nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*SendReport{nil, {}, {Sent: -1, Scheduled: -1}, {Sent: 1<<63 - 1, PerInterval: make([]int64, 5000)}} {
		var e EndReport
		if err := r.call(at+"finish", finishOrder{Sent: s}, &e); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestTooManySessions(t *testing.T) {
	r := newRemote(t, ServerConfig{Sessions: 2})
	r.open(Spec{Proto: "udp"})
	r.open(Spec{Proto: "tcp"})
	_, err := r.run(t.Context(), Spec{Proto: "udp"}, nil)
	wantError(t, err, false, "2 sessions")
	r.session().close()
	checkOutcome(t, Spec{Proto: "udp"}, r.must(t.Context(), Spec{Proto: "udp", Plan: plan(5, 100)}, nil))
}

// A session that nobody watches ends by itself; one that is watched does not.
func TestUnwatched(t *testing.T) {
	r := newRig(t, real()...)
	r.server.watchPatience = 20 * time.Millisecond
	var left created
	if err := r.call("/v1/sessions", Spec{Proto: "tcp"}, &left); err != nil {
		t.Fatal(err)
	}
	r.gone()
	wantError(t, r.refused("/v1/sessions/"+left.ID+"/watch"), false, "no such session")

	r.server.watchPatience = time.Hour
	c := r.open(Spec{Proto: "tcp"})
	x := r.session()
	x.unwatched.Reset(0) // it fires all the same, but finds a watcher
	time.Sleep(20 * time.Millisecond)
	if r.sessions() != 1 || c.ID != x.id {
		t.Error("a session that is watched was closed")
	}
	// At no patience at all, nothing breaks.
	r.server.watchPatience = 0
	for range 20 {
		if err := r.call("/v1/sessions", Spec{Proto: "udp"}, &left); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the end of the rest", func() bool { return r.sessions() == 1 })
}

// The server sends to the host that asks for it, whatever host that names, and to the
// port there that has said hello.
func TestClientAddress(t *testing.T) {
	r := newRemote(t, ServerConfig{})
	c := r.open(Spec{Proto: "udp", Direction: Down, Plan: workload.Plan{Count: 5, Rate: 1000}})
	at := "/v1/sessions/" + c.ID + "/"
	u, _ := find(real(), "udp")
	conn, err := u.Dial(t.Context(), netip.AddrPortFrom(loopback, c.Port), transport.Config{Session: c.Session})
	if err != nil {
		t.Fatal(err)
	}
	victim := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), conn.LocalAddr().Port())
	hello := make([]byte, message.HeaderSize)
	message.Seal(hello, message.Header{Kind: message.Hello, Session: c.Session})
	if _, err := conn.Send([][]byte{hello}); err != nil {
		t.Fatal(err)
	}
	if err := r.call(at+"accept", acceptOrder{Client: victim}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.call(at+"start", startOrder{}, nil); err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{})
	go func() {
		defer close(got)
		_, err = conn.Receive(make([]transport.Message, 1))
	}()
	select {
	case <-got:
	case <-time.After(bound):
	}
	conn.Close() // which ends a Receive that nothing came to
	<-got
	if err != nil {
		t.Error(err)
	}

	for control, want := range map[string]string{
		"":                 "192.0.2.1:7", // a channel without addresses: the lab's
		"198.51.100.9":     "198.51.100.9:0",
		"::ffff:192.0.2.3": "192.0.2.3:0",
		"2001:db8::1":      "[2001:db8::1]:0",
	} {
		x := &session{}
		x.control, _ = netip.ParseAddr(control)
		if got := x.clientAt(netip.MustParseAddrPort("192.0.2.1:7")).String(); got != want {
			t.Errorf("over %q: %s, want %s", control, got, want)
		}
		if control == "" && x.clientAt(netip.AddrPort{}).IsValid() {
			t.Errorf("over %q: no address became one", control)
		}
	}
}

// A connection that does not come is waited for as long as the session's
// patience lasts, and not after the session.
func TestAcceptPatience(t *testing.T) {
	r := newRig(t, real()...)
	c := r.open(Spec{Proto: "tcp", Patience: 20 * time.Millisecond})
	at := "/v1/sessions/" + c.ID + "/"
	wantError(t, r.call(at+"accept", acceptOrder{}, nil), false, "did not come")
	wantError(t, r.call(at+"accept", acceptOrder{}, nil), false, "did not come") // and may be asked for again

	c = r.open(Spec{Proto: "tcp"})
	failed := make(chan error, 1)
	go func() { failed <- r.call("/v1/sessions/"+c.ID+"/accept", acceptOrder{}, nil) }()
	r.server.mu.Lock()
	x := r.server.sessions[c.ID]
	r.server.mu.Unlock()
	eventually(t, "accept", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.accepting
	})
	x.close()
	wantError(t, <-failed, false, "did not come")
}

// Close ends what runs, and a closed server takes nothing on.
func TestCloseServer(t *testing.T) {
	r := newRig(t, real()...)
	for _, proto := range []string{"tcp", "udp"} {
		r.open(Spec{Proto: proto})
	}
	for range 2 {
		if err := r.server.Close(); err != nil {
			t.Error(err)
		}
		if r.sessions() != 0 {
			t.Errorf("%d sessions", r.sessions())
		}
	}
	if _, err := r.server.open(Spec{Proto: "udp"}.WithDefaults(), "", loopback); !errors.Is(err, errStopping) {
		t.Error(err)
	}
	if r.server.enter() {
		t.Error("a closed server took a request")
	}
}
