package peer

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"netcmp/transport/secure"
	"netcmp/workload"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// about are the messages said of clients that were sent away.
func (l *lines) about() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		var x struct{ Level, Client, Message string }
		if json.Unmarshal([]byte(line), &x) == nil && x.Level == "warn" && x.Client != "" {
			all = append(all, x.Message)
		}
	}
	return all
}

// refused reads a counter of the server's.
func (r *rig) counted(why string) uint64 {
	return r.server.count.set.GetOrCreateCounter(`netcmp_refused_total{why="` + why + `"}`).Get()
}

// Whoever is sent away is told why, so far as he listens; the server says so in a line
// that names him; and nothing has begun.
func TestRefusals(t *testing.T) {
	var log lines
	r := newRemote(t, ServerConfig{Token: "right", Log: zerolog.New(&log), Limits: Limits{Messages: 10}})
	addr := strings.TrimPrefix(r.client.Base, "https://")
	other, err := secure.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := secure.Pinned(secure.Fingerprint(other.Certificate[0]))
	if err != nil {
		t.Fatal(err)
	}
	raw := func(say string) func() (string, error) {
		return func() (string, error) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return "", err
			}
			defer c.Close()
			if say == "" {
				return "", nil
			}
			_, _ = io.WriteString(c, say)
			b, _ := io.ReadAll(c) // however the connection ends
			return string(b), nil
		}
	}
	run := func(alter func(*ClientConfig), count int64) func() (string, error) {
		return func() (string, error) {
			c := r.client
			alter(&c)
			_, err := Run(t.Context(), c, Spec{Proto: "udp", Plan: workload.Plan{Count: count, Rate: 100}}, nil)
			return fmt.Sprint(err), nil
		}
	}
	for _, x := range []struct {
		name, why, client, server string
		come                      func() (string, error)
	}{
		{"wrong token", "token", "wants a token", "wrong token", run(func(c *ClientConfig) { c.Token = "wrong" }, 1)},
		{"wrong fingerprint", "handshake", "not the server that was meant", "is its --fingerprint another's?", run(func(c *ClientConfig) { c.Control = Dialled(wrong) }, 1)},
		{"too much", "limit", "--max-messages", "--max-messages", run(func(*ClientConfig) {}, 11)},
		{"old version", "version", "one release of netcmp", `version "1"`, func() (string, error) {
			req, err := http.NewRequest("POST", r.client.Base+"/v1/sessions", strings.NewReader("{}"))
			if err != nil {
				return "", err
			}
			req.Header = http.Header{VersionHeader: {"1"}, "Authorization": {"Bearer right"}}
			resp, err := r.client.Control.Do(req)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			return string(b), err
		}},
		{"plain HTTP", "handshake", "HTTP request to an HTTPS server", "speaks HTTPS alone", raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"port scanner", "handshake", "", "a scan of ports", raw("")},
		{"another protocol", "handshake", "", "not TLS", raw("EHLO mail.example.org\r\n")},
		{"old TLS", "handshake", "protocol version", "version", func() (string, error) {
			_, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			return fmt.Sprint(err), nil
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			had, counted := len(log.about()), r.counted(x.why)
			told, err := x.come()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(told, x.client) || strings.Count(told, "\n") > 3 {
				t.Errorf("the client is told %q, want %q", told, x.client)
			}
			eventually(t, "the server's line", func() bool { return len(log.about()) > had })
			all := log.about()
			if len(all) != had+1 || !strings.Contains(all[had], x.server) || strings.Contains(all[had], "\n") {
				t.Errorf("the server says %q, want %q", all[had:], x.server)
			}
			if n := r.counted(x.why) - counted; n != 1 {
				t.Errorf("counted %d times", n)
			}
			if n := r.sessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// Of a flood the server says some lines, and counts all.
func TestRefusalsOfFlood(t *testing.T) {
	const scans = 200
	var log lines
	r := newRemote(t, ServerConfig{Log: zerolog.New(&log)})
	for range scans {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.client.Base, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	eventually(t, "all of them", func() bool { return r.counted("handshake") == scans })
	if n := len(log.about()); n == 0 || n > 2*refusalsAMinute { // a minute may end in between
		t.Errorf("%d lines", n)
	}
}

// Sessions listen at the ports that they are to; where others have these, a client is
// told so, and gets one when it is free.
func TestDataPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	r := newRemote(t, ServerConfig{DataPorts: [2]uint16{port, port}})
	spec := Spec{Proto: "tcp", Plan: plan(10, 500)}
	_, err = r.run(t.Context(), spec, nil)
	wantError(t, err, false, fmt.Sprintf("ports, %d to %d, are all taken", port, port))
	taken.Close()
	for range 3 { // each of which gives it back
		checkOutcome(t, spec, r.must(t.Context(), spec, nil))
		r.gone()
	}
	first := r.open(spec)
	if first.Port != port {
		t.Errorf("port %d, want %d", first.Port, port)
	}
	_, err = r.run(t.Context(), spec, nil)
	wantError(t, err, false, "are all taken")
}
