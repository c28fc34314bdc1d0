package peer

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"netcmp/transport"
	"netcmp/workload"
)

// liar is a server that answers whatever it likes.
type liar struct{ clock, created, watch, finish []byte }

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte("{}")
	status := http.StatusOK
	var rest io.Reader = eof{} // what comes behind it
	switch path := r.URL.Path; {
	case path == "/v1/clock":
		body = l.clock
	case path == "/v1/sessions":
		body, status = l.created, http.StatusCreated
	case strings.HasSuffix(path, "/watch"):
		body, rest = l.watch, until{r.Context()}
	case strings.HasSuffix(path, "/finish"):
		body = l.finish
	}
	if bytes.HasPrefix(body, []byte("!")) {
		body, status = body[1:], http.StatusTeapot
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(io.MultiReader(bytes.NewReader(body), rest))}, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// until is a stream of nothing, until its request ends.
type until struct{ ctx context.Context }

func (u until) Read([]byte) (int, error) { <-u.ctx.Done(); return 0, u.ctx.Err() }

// FuzzServer has a client meet a server that lies: it ends with an outcome or an error,
// in time, and what it repeats of the server's words does nothing to a terminal.
func FuzzServer(f *testing.F) {
	clock, created := `{"now_ns":5,"boot_id":"x"}`, `{"id":"1","port":1,"session":"7"}`
	for _, x := range [][4]string{
		{clock, created, "", `{"received":{"delivery":{"delivered":1}}}`},
		{clock, created, `{"sent":9223372036854775807,"report":{"received":{},"sent":{"sent":-4}}}`, "null"},
		{clock, created, `{"ended":"\u001b[2Jgo away\n"}`, `{}`},
		{clock, created, `{"report":null}{"report":{"sent":{"sent":1,"per_interval":[1,2]}}}`, `{"error":"\u009b31m","sent":{"sent":100000,"error":"x"}}`},
		{clock, created, "", `!{"error":"\u0007no"}`},
		{clock, `!{"error":"a\r\nb","usage":true}`, "", ""},
		{clock, `{"id":"../..","port":2,"notes":["\u001b]0;x"]}`, "", ""},
		{`{"now_ns":-9223372036854775808}`, created, "", "{}"},
		{"", "", "", ""},
	} {
		f.Add([]byte(x[0]), []byte(x[1]), []byte(x[2]), []byte(x[3]), uint8(len(f.Name())))
	}
	f.Fuzz(func(t *testing.T, clock, created, watch, finish []byte, how uint8) {
		fake := datagrams()
		if how&1 != 0 {
			fake = stream()
		}
		fake.listeners = map[uint16]*fakeListener{1: {fake: fake, conns: make(chan *fakeConn, 4), closed: make(chan struct{})}}
		c := ClientConfig{
			Transports: []transport.Transport{fake}, Server: loopback, Base: "http://liar",
			Control: &http.Client{Transport: liar{clock, created, watch, finish}}, Remote: how&2 != 0,
		}
		spec := Spec{
			Proto: "fake", Direction: []Direction{Up, Down, Both}[how>>2%3], Plan: workload.Plan{Count: 3, Rate: 1000, Size: 64},
			Quiet: time.Millisecond, Patience: 5 * time.Millisecond,
		}
		if how&16 != 0 {
			spec.Direction, spec.Pattern = Up, RequestResponse
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		out, err := Run(ctx, c, spec, func(Progress) {})
		if took := time.Since(begun); took > bound {
			t.Errorf("it took %v", took)
		}
		var said []string
		if err != nil {
			said = append(said, err.Error())
		}
		if out != nil {
			said = append(append(said, out.Error), out.Notes...)
			for _, e := range []*EndReport{out.Client, out.Server} {
				if e != nil {
					said = append(said, e.Error, e.Stats.Congestion)
				}
			}
		}
		for _, s := range said {
			if strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("%q", s)
			}
		}
	})
}
