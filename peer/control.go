package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/transport"
	"netcmp/transport/secure"
)

// control is the client's side of the channel.
type control struct {
	http  *http.Client
	base  string
	token string
}

// health makes either end notice that the other one, or all between them, is
// gone without a word: a watched session is never silent for long.
var health = &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 10 * time.Second}

// dialPatience is how long a server may take to answer a call, and then to shake hands.
const dialPatience = 10 * time.Second

// idle is how long a channel that was dialled stays open unused.
const idle = 30 * time.Second

// Thin has the kernel repeat what a socket of a control channel has lost at an even
// pace, for the first six times: a channel says little, so that often nothing else tells
// of a loss, and waits that double from 0.2 s on outlast everybody's patience where a
// path loses in bursts (TCP_THIN_LINEAR_TIMEOUTS; tcp_retransmit_timer,
// net/ipv4/tcp_timer.c). It is a net.Dialer's Control, or a net.ListenConfig's. A kernel
// that does not know it does without.
func Thin(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_THIN_LINEAR_TIMEOUTS, 1)
	})
}

// Over gives an HTTP client that makes all its requests over one connection,
// with prior knowledge of HTTP/2 (RFC 9113 §3.3). CloseIdleConnections closes
// it for good.
func Over(conn net.Conn) *http.Client {
	var once sync.Once
	return over(0, func(context.Context, string, string) (net.Conn, error) {
		c := net.Conn(nil)
		once.Do(func() { c = conn })
		if c == nil {
			return nil, errors.New("the control channel is closed")
		}
		return c, nil
	})
}

// Dialled gives an HTTP client that reaches a server by HTTPS, and trusts it as that
// configuration has it. A connection that is no longer used closes by itself, or at
// CloseIdleConnections.
func Dialled(trust *tls.Config) *http.Client {
	c := over(idle, (&net.Dialer{Timeout: dialPatience, Control: Thin}).DialContext)
	t := c.Transport.(*http.Transport)
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP2(true)
	t.TLSClientConfig, t.TLSHandshakeTimeout = trust, dialPatience
	return c
}

func over(idle time.Duration, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	// A request that finds the connection made and not yet pooled, because the
	// machine has other things to do, has to wait for it and not to dial anew.
	return &http.Client{Transport: &http.Transport{
		Protocols: p, HTTP2: health, DialContext: dial, IdleConnTimeout: idle, MaxConnsPerHost: 1,
	}}
}

// explain says what an error of a channel's beginning means.
func explain(err error) error {
	var unverified *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0:
		return fmt.Errorf("nobody vouches for the server's certificate (%w); if this is what the server has printed: --fingerprint %s",
			unverified.Err, secure.Fingerprint(unverified.UnverifiedCertificates[0].Raw))
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: what answers there does not speak TLS: is it a netcmp serve of this release?", err)
	}
	return err
}

// call makes a request and reads its answer into out, unless that is nil.
func (c *control) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	return nil
}

// open makes a request and gives its answer, which is 2xx, to be read.
func (c *control) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set(VersionHeader, ControlVersion)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control channel: %w", explain(err))
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&f); err != nil || f.Error == "" {
		f.Error = "the server answered " + resp.Status
	}
	f.Error = words(f.Error)
	switch {
	case f.Usage:
		return nil, &refusal{fmt.Sprintf("%s (%v)", f.Error, ErrUsage), ErrUsage}
	case f.Unsupported:
		return nil, &refusal{f.Error, transport.ErrNotSupported}
	}
	return nil, &refusal{f.Error, nil}
}
