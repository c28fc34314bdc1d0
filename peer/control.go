package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"netcmp/ledger"
	"netcmp/result"
	"netcmp/transport"
)

// What the control channel carries, beside Spec. Times are of the server's
// clock unless they say otherwise.

type created struct {
	ID   string `json:"id"`
	Port uint16 `json:"port"`
	// Session is the number that every message of the session carries.
	Session uint64 `json:"session,string"`
}

type clockReading struct {
	NowNS  int64  `json:"now_ns"`
	BootID string `json:"boot_id"` // hosts that share it share one clock
}

type startOrder struct {
	Client  addrPort `json:"client"`
	StartNS int64    `json:"start_ns"`
	// OffsetNS is the server's clock less the client's.
	OffsetNS int64 `json:"offset_ns"`
}

type finishOrder struct {
	Sent *SendReport `json:"sent,omitempty"` // what the client sent
}

// EndReport is what one end tells of a session.
type EndReport struct {
	Sent     *SendReport      `json:"sent,omitempty"`
	Received *result.Measured `json:"received,omitempty"`
	// FirstNS is the time from the first planned send to the first delivery.
	FirstNS *int64 `json:"first_ns,omitempty"`
	// ReceiverDropped are datagrams that reached the host and found the
	// socket's buffer full.
	ReceiverDropped *int64          `json:"receiver_dropped,omitempty"`
	CPUNS           int64           `json:"cpu_ns"`
	Stats           transport.Stats `json:"stats"`
	GaveUp          int64           `json:"gave_up"` // messages of a reliable transport that did not come in time
	Waited          time.Duration   `json:"waited_ns"`
	Foreign         int64           `json:"foreign"`
	Error           string          `json:"error,omitempty"`
}

// watchLine is what a watcher reads.
type watchLine struct {
	Sent     int64           `json:"sent"`
	Progress ledger.Progress `json:"progress"`
	Report   *EndReport      `json:"report,omitempty"` // now and then
}

// failure is the body of an answer that is not 2xx.
type failure struct {
	Error string `json:"error"`
	Usage bool   `json:"usage,omitempty"` // what was asked is wrong, not what happened
}

// ErrUsage is wrapped by the error of a session that asks for something that
// cannot be.
var ErrUsage = errors.New("wrong usage")

const maxBody = 16 << 20

// control is the client's side of the channel.
type control struct {
	http  *http.Client
	base  string
	token string
}

// Over gives an HTTP client that makes all its requests over one connection,
// with prior knowledge of HTTP/2 (RFC 9113 §3.3).
func Over(conn net.Conn) *http.Client {
	var once sync.Once
	return over(func(context.Context, string, string) (net.Conn, error) {
		c := net.Conn(nil)
		once.Do(func() { c = conn })
		if c == nil {
			return nil, errors.New("the control channel is closed")
		}
		return c, nil
	})
}

// Dialled gives an HTTP client that reaches a server over TCP.
func Dialled() *http.Client { return over((&net.Dialer{Timeout: 10 * time.Second}).DialContext) }

func over(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: p, DialContext: dial}}
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
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(out); err != nil {
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
		body = strings.NewReader(string(b))
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
	if f.Usage {
		return nil, fmt.Errorf("%s (%w)", f.Error, ErrUsage)
	}
	return nil, errors.New(f.Error)
}

// bootID tells hosts apart.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
