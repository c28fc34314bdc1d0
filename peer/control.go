package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"netcmp/transport"
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

// idle is how long a channel that was dialled stays open unused.
const idle = 30 * time.Second

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

// Dialled gives an HTTP client that reaches a server over TCP. A connection
// that is no longer used closes by itself, or at CloseIdleConnections.
func Dialled() *http.Client {
	return over(idle, (&net.Dialer{Timeout: 10 * time.Second}).DialContext)
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
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control channel: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&f); err != nil || f.Error == "" {
		f.Error = "the server answered " + resp.Status
	}
	switch {
	case f.Usage:
		return nil, &refusal{fmt.Sprintf("%s (%v)", f.Error, ErrUsage), ErrUsage}
	case f.Unsupported:
		return nil, &refusal{f.Error, transport.ErrNotSupported}
	}
	return nil, &refusal{f.Error, nil}
}
