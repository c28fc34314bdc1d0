package peer

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/tcp"
	"netcmp/transport"
	"netcmp/transport/secure"
	"netcmp/udp"
	"netcmp/workload"
)

// bound is what no wait of these tests comes near, on a busy machine too.
const bound = 20 * time.Second

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func real() []transport.Transport { return []transport.Transport{tcp.New(), udp.New()} }

// hello is a request as somebody writes it by hand, up to its empty line.
const hello = "GET /v1/clock HTTP/1.1\r\nHost: x\r\n" + VersionHeader + ": " + ControlVersion + "\r\n"

// dial is a connection to the server's control channel, encrypted, and nothing said yet.
func (r *rig) dial() (net.Conn, error) {
	return tls.Dial("tcp", strings.TrimPrefix(r.client.Base, "https://"), &tls.Config{InsecureSkipVerify: true})
}

// rig is a server and what a client needs to reach it.
type rig struct {
	t       testing.TB
	server  *Server
	client  ClientConfig
	control net.Conn // the server's side of the channel, where it is a socket pair
	served  chan struct{}
}

// newRig joins a server to a client by a socket pair, as the lab does.
func newRig(t testing.TB, transports ...transport.Transport) *rig {
	return newRigWith(t, nil, transports...)
}

// newRigWith is newRig with a server that was altered before it serves.
func newRigWith(t testing.TB, alter func(*Server), transports ...transport.Transport) *rig {
	near, far := socketPair(t)
	r := newServer(t, ServerConfig{Transports: transports}, Listen(far), alter)
	r.control = far
	r.client.Control, r.client.Base = Over(near), "http://lab"
	t.Cleanup(func() { near.Close() })
	return r
}

// newRemote has the server listen on TCP, as between machines.
func newRemote(t testing.TB, c ServerConfig) *rig {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := secure.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{identity}}
	trust, err := secure.Pinned(secure.Fingerprint(identity.Certificate[0]))
	if err != nil {
		t.Fatal(err)
	}
	r := newServer(t, c, l, nil)
	r.client.Control, r.client.Base, r.client.Token, r.client.Remote = Dialled(trust), "https://"+l.Addr().String(), c.Token, true
	return r
}

func newServer(t testing.TB, c ServerConfig, l net.Listener, alter func(*Server)) *rig {
	if c.Transports == nil {
		c.Transports = real()
	}
	c.Addr = loopback
	r := &rig{t: t, server: NewServer(c), served: make(chan struct{})}
	r.server.watchTick = 10 * time.Millisecond
	if alter != nil {
		alter(r.server)
	}
	r.client = ClientConfig{Transports: c.Transports, Server: loopback}
	go func() {
		defer close(r.served)
		if err := r.server.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		r.client.Control.CloseIdleConnections()
		if err := r.server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		within(t, "Serve", r.served)
		if n := r.sessions(); n != 0 {
			t.Errorf("%d sessions are left of a closed server", n)
		}
	})
	return r
}

func (r *rig) channel() *control {
	return &control{http: r.client.Control, base: r.client.Base, token: r.client.Token}
}

func (r *rig) sessions() int {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return len(r.server.sessions)
}

// session is the server's only one.
func (r *rig) session() *session {
	r.t.Helper()
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, x := range r.server.sessions {
		return x
	}
	r.t.Fatal("there is no session")
	return nil
}

// watched says that there is a session, and somebody watches it.
func (r *rig) watched() bool {
	if r.sessions() == 0 {
		return false
	}
	x := r.session()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.watched
}

// gone waits until the server has no session.
func (r *rig) gone() {
	r.t.Helper()
	eventually(r.t, "the session's end", func() bool { return r.sessions() == 0 })
}

// run carries a session out, and fails if that takes beyond reason.
func (r *rig) run(ctx context.Context, s Spec, progress func(Progress)) (*Outcome, error) {
	r.t.Helper()
	return r.runGrace(ctx, s, 0, progress)
}

// runGrace is run with another grace for an interrupted session.
func (r *rig) runGrace(ctx context.Context, s Spec, grace time.Duration, progress func(Progress)) (out *Outcome, err error) {
	r.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if grace == 0 {
			out, err = Run(ctx, r.client, s, progress)
			return
		}
		s = s.WithDefaults()
		t, e := s.over(r.client.Transports)
		if e != nil {
			err = e
			return
		}
		x := newRun(r.client, s, progress)
		x.grace = grace
		out, err = x.do(ctx, t)
	}()
	within(r.t, "Run", ended)
	return out, err
}

// must is run without an error.
func (r *rig) must(ctx context.Context, s Spec, progress func(Progress)) *Outcome {
	r.t.Helper()
	out, err := r.run(ctx, s, progress)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func within(t testing.TB, what string, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(bound):
		t.Fatalf("%s did not end", what)
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func socketPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "control")
		conns[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return conns[0], conns[1]
}

// plan is count messages at a rate that loopback bears with ease.
func plan(count int64, size int) workload.Plan {
	return workload.Plan{Count: count, Size: size, Rate: 1000}
}

func sum(n []int64) (all int64) {
	for _, x := range n {
		all += x
	}
	return all
}

// checkStream holds the account of one direction against itself: sent is
// delivered and dropped at the receiver, and loopback does nothing else.
func checkStream(t *testing.T, name string, s Spec, from *SendReport, to *EndReport, dropped int64) {
	t.Helper()
	if from == nil || to == nil || to.Received == nil {
		t.Fatalf("%s: a report is missing: %+v, %+v", name, from, to)
	}
	d := to.Received.Delivery
	if from.Error != "" || to.Error != "" {
		t.Errorf("%s: errors %q, %q", name, from.Error, to.Error)
	}
	if from.Sent == 0 || d.Sent != from.Sent || d.Scheduled != from.Scheduled {
		t.Errorf("%s: the sender says %d of %d sent, the account %d of %d", name, from.Sent, from.Scheduled, d.Sent, d.Scheduled)
	}
	if *d.Delivered+dropped != from.Sent || *d.Delivered+*d.Lost != from.Sent {
		t.Errorf("%s: %d sent, but %d delivered, %d lost, %d dropped by the receiver", name, from.Sent, *d.Delivered, *d.Lost, dropped)
	}
	if *d.Received != *d.Delivered || *d.Duplicated != 0 || *d.Corrupted != 0 || to.Foreign != 0 {
		t.Errorf("%s: %+v, %d foreign", name, d, to.Foreign)
	}
	if sum(from.PerInterval) != from.Sent {
		t.Errorf("%s: the intervals hold %v, which are not %d", name, from.PerInterval, from.Sent)
	}
	if (from.PacingErrorNS == nil) != s.Plan.Saturate {
		t.Errorf("%s: pacing error %v, saturate %v", name, from.PacingErrorNS, s.Plan.Saturate)
	}
	if to.FirstNS == nil || *to.FirstNS <= 0 || *to.FirstNS > int64(bound) {
		t.Errorf("%s: first message after %v", name, to.FirstNS)
	}
	if to.Received.Delay == nil || *to.Received.Delay.MinNS < 0 || *to.Received.Delay.MaxNS > int64(bound) {
		t.Errorf("%s: delay %+v", name, to.Received.Delay)
	}
	if to.GaveUp != 0 {
		t.Errorf("%s: gave up %d", name, to.GaveUp)
	}
}

func dropped(ends ...*EndReport) (n int64) {
	for _, e := range ends {
		if e != nil && e.ReceiverDropped != nil {
			n += *e.ReceiverDropped
		}
	}
	return n
}

// checkOutcome holds the outcome of a whole session over a clean path.
func checkOutcome(t *testing.T, s Spec, out *Outcome) {
	t.Helper()
	s = s.WithDefaults()
	if out.Interrupted || out.Error != "" {
		t.Errorf("interrupted %v, error %q", out.Interrupted, out.Error)
	}
	if !strings.HasPrefix(out.ClockSource, "one host") || out.OffsetNS != 0 || out.UncertaintyNS != 0 {
		t.Errorf("clock %q, %d ± %d", out.ClockSource, out.OffsetNS, out.UncertaintyNS)
	}
	if (out.ConnectNS != nil) != (s.Proto != "udp" && s.Connection == Long) {
		t.Errorf("connect %v", out.ConnectNS)
	}
	if age := time.Since(time.Unix(0, out.StartedNS)); age < 0 || age > bound {
		t.Errorf("started %v ago", age)
	}
	if out.Client == nil || out.Server == nil {
		t.Fatalf("%+v", out)
	}
	if out.Client.CPUNS <= 0 || out.Server.CPUNS <= 0 || out.Client.Stats.ReceiveBuffer == 0 || out.Server.Stats.SendBuffer == 0 {
		t.Errorf("an end tells nothing of itself: %+v, %+v", out.Client, out.Server)
	}
	if s.Pattern == RequestResponse {
		checkStream(t, "round trip", s, out.Client.Sent, out.Client, dropped(out.Client, out.Server))
		if out.Server.Received != nil || out.Server.Sent != nil {
			t.Errorf("the echo reports %+v", out.Server)
		}
		return
	}
	if s.Direction != Down {
		checkStream(t, "up", s, out.Client.Sent, out.Server, dropped(out.Server))
	}
	if s.Direction != Up {
		checkStream(t, "down", s, out.Server.Sent, out.Client, dropped(out.Client))
	}
	if slices.Contains([]Direction{Up, Down}, s.Direction) {
		for _, e := range []*EndReport{out.Client, out.Server} {
			if e.Sent != nil && e.Received != nil {
				t.Errorf("an end of a one-way session sent and received")
			}
		}
	}
}
