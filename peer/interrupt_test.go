package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"netcmp/message"
	"netcmp/transport"
	"netcmp/workload"
)

// long is a plan that no test sees the end of.
func long() workload.Plan { return workload.Plan{Count: 1 << 20, Size: 200, Rate: 1000} }

// checkPart holds the account of a session that ended early: all that was sent
// is there, and it was not all.
func checkPart(t *testing.T, name string, from *SendReport, to *EndReport, dropped int64) {
	t.Helper()
	if from == nil || to == nil || to.Received == nil {
		t.Fatalf("%s: a report is missing", name)
	}
	d := to.Received.Delivery
	if from.Sent == 0 || from.Sent >= 1<<20 || from.Scheduled != 1<<20 || d.Sent != from.Sent || *d.Delivered+dropped != from.Sent || sum(from.PerInterval) != from.Sent {
		t.Errorf("%s: %d sent of %d, %d delivered, %d dropped, %d in the intervals; the account says %d",
			name, from.Sent, from.Scheduled, *d.Delivered, dropped, sum(from.PerInterval), d.Sent)
	}
	if from.Error != "" || to.Error != "" {
		t.Errorf("%s: errors %q, %q", name, from.Error, to.Error)
	}
}

// An interrupted run stops sending, and accounts for what it sent.
func TestInterrupt(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		for _, d := range []Direction{Up, Down, Both, "there and back"} {
			t.Run(proto+"/"+string(d), func(t *testing.T) {
				spec := Spec{Proto: proto, Direction: d, Plan: long(), Quiet: 200 * time.Millisecond}
				if d == "there and back" {
					spec.Direction, spec.Pattern = Up, RequestResponse
				}
				r := newRig(t, real()...)
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				out := r.must(ctx, spec, once(interrupt))
				if !out.Interrupted || out.Error != "" {
					t.Errorf("interrupted %v, error %q", out.Interrupted, out.Error)
				}
				switch d {
				case "there and back":
					checkPart(t, "round trip", out.Client.Sent, out.Client, dropped(out.Client, out.Server))
				case Up, Both:
					checkPart(t, "up", out.Client.Sent, out.Server, dropped(out.Server))
				}
				if d == Down || d == Both {
					checkPart(t, "down", out.Server.Sent, out.Client, dropped(out.Client))
				}
				r.gone()
			})
		}
	}
}

// An interrupt before anything was measured is an error.
func TestInterruptBefore(t *testing.T) {
	r := newRig(t, real()...)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if out, err := r.run(ctx, Spec{Proto: "udp"}, nil); out != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", out, err)
	}
}

// An interrupt while the connection is being made.
func TestInterruptConnect(t *testing.T) {
	f := stream()
	r := newRig(t, deaf{f})
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		eventually(t, "a watcher", r.watched)
		interrupt()
	}()
	if out, err := r.run(ctx, Spec{Proto: "fake"}, nil); out != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", out, err)
	}
	r.gone()
}

// deaf is a transport whose listener never has a connection.
type deaf struct{ *fake }

func (d deaf) Dial(context.Context, netip.AddrPort, transport.Config) (transport.Conn, error) {
	c, _ := d.pair()
	return c, nil
}

// An interrupted run does not wait for a transport that takes nothing more, nor
// for messages that do not come, and still has both ends' accounts.
func TestInterruptHeldUp(t *testing.T) {
	for name, f := range map[string]*fake{"send": stream(), "arrival": stream()} {
		for _, d := range []Direction{Up, Down, Both} {
			t.Run(name+"/"+string(d), func(t *testing.T) {
				if name == "send" {
					f.taking = heldFrom(20)
				} else {
					f.fate = func(h message.Header) fate { return fate{lost: h.Number >= 20} }
				}
				r := newRig(t, f)
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				out, err := r.runGrace(ctx, Spec{Proto: "fake", Direction: d, Plan: long()}, 50*time.Millisecond, func(p Progress) {
					want := int64(20)
					if d == Both {
						want *= 2
					}
					if p.Delivered >= want {
						interrupt()
					}
				})
				if err != nil || !out.Interrupted || out.Error != "" {
					t.Fatalf("%+v, %v", out, err)
				}
				check := func(from *SendReport, to *EndReport) {
					t.Helper()
					if del := to.Received.Delivery; *del.Delivered != 20 || del.Sent != from.Sent || *del.Lost != from.Sent-20 || to.GaveUp != *del.Lost || from.Error != "" {
						t.Errorf("delivered %d, sent %d, gave up %d; %q", *del.Delivered, del.Sent, to.GaveUp, from.Error)
					}
					if from.Sent < 20 || name == "send" && from.Sent > 20 {
						t.Errorf("%d sent", from.Sent)
					}
				}
				if d != Down {
					check(out.Client.Sent, out.Server)
				}
				if d != Up {
					check(out.Server.Sent, out.Client)
				}
				r.gone()
			})
		}
	}
}

// The server goes away: by Close, or with its end of the channel.
func TestServerGoes(t *testing.T) {
	for name, leave := range map[string]func(*rig){
		"close": func(r *rig) { go r.server.Close() }, // which the handler of the watcher's request has a part in
		"cut":   func(r *rig) { r.control.Close() },
		"session": func(r *rig) {
			go r.session().close()
		},
	} {
		for _, proto := range []string{"tcp", "udp"} {
			for _, d := range []Direction{Up, Down, Both, "there and back"} {
				t.Run(name+"/"+proto+"/"+string(d), func(t *testing.T) {
					spec := Spec{Proto: proto, Direction: d, Plan: long(), Quiet: 200 * time.Millisecond}
					if d == "there and back" {
						spec.Direction, spec.Pattern = Up, RequestResponse
					}
					r := newRig(t, real()...)
					out := r.must(t.Context(), spec, once(func() { leave(r) }))
					if out.Error == "" || out.Interrupted {
						t.Errorf("error %q, interrupted %v", out.Error, out.Interrupted)
					}
					if out.Client == nil || out.Server == nil {
						t.Fatalf("%+v", out)
					}
					for _, e := range []*EndReport{out.Client, out.Server} {
						if m := e.Received; m != nil && (m.Delivery.Sent < *m.Delivery.Delivered || *m.Delivery.Delivered == 0) {
							t.Errorf("sent %d, delivered %d", m.Delivery.Sent, *m.Delivery.Delivered)
						}
					}
					if d == Down && out.Server.Sent.Sent != out.Client.Received.Delivery.Sent {
						t.Errorf("the ends disagree on what was sent: %d, %d", out.Server.Sent.Sent, out.Client.Received.Delivery.Sent)
					}
					r.gone()
				})
			}
		}
	}
}

// A server that goes while this end is held up in a Send.
func TestServerGoesHeldUp(t *testing.T) {
	f := stream()
	f.taking = heldFrom(20)
	r := newRig(t, f)
	out := r.must(t.Context(), Spec{Proto: "fake", Plan: long()}, func(p Progress) {
		if p.Delivered == 20 {
			r.control.Close()
		}
	})
	if out.Error == "" || out.Client.Sent.Sent != 20 {
		t.Errorf("error %q, %d sent", out.Error, out.Client.Sent.Sent)
	}
}

// A transport that takes nothing any more, while the control channel goes on as if
// nothing had happened, ends the run when its messages should all have gone: not before,
// and not much later.
func TestHeldUpForGood(t *testing.T) {
	const patience = 200 * time.Millisecond
	for _, d := range []Direction{Up, Down} {
		f := stream()
		f.taking = heldFrom(20)
		r := newRig(t, f)
		spec := Spec{Proto: "fake", Direction: d, Plan: workload.Plan{Count: 100, Rate: 200}, Patience: patience}
		begun := time.Now()
		out := r.must(t.Context(), spec, nil)
		if took := time.Since(begun); took < 500*time.Millisecond+patience || took > bound {
			t.Errorf("%s: it took %v", d, took)
		}
		sent, received := out.Client.Sent, out.Server.Received
		if d == Down {
			sent, received = out.Server.Sent, out.Client.Received
		}
		if out.Error != errStuck.Error() || sent.Sent != 20 || *received.Delivery.Delivered != 20 {
			t.Errorf("%s: %q, %d sent, %d delivered", d, out.Error, sent.Sent, *received.Delivery.Delivered)
		}
		r.gone()
	}
}

// The server goes before the session has begun.
func TestServerGoesBefore(t *testing.T) {
	f := stream()
	r := newRig(t, deaf{f})
	go func() {
		eventually(t, "a watcher", r.watched)
		r.control.Close()
	}()
	out, err := r.run(t.Context(), Spec{Proto: "fake"}, nil)
	if out != nil || err == nil || errors.Is(err, ErrUsage) {
		t.Errorf("%+v, %v", out, err)
	}
}

// No server at all.
func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := ClientConfig{Transports: real(), Control: Dialled(&tls.Config{MinVersion: tls.VersionTLS13}), Base: "https://" + l.Addr().String(), Remote: true, Server: loopback}
	if out, err := Run(t.Context(), c, Spec{Proto: "udp"}, nil); out != nil || err == nil {
		t.Errorf("%+v, %v", out, err)
	}
	used, other := socketPair(t)
	defer other.Close()
	used.Close()
	c.Control, c.Base = Over(used), "http://lab"
	if out, err := Run(t.Context(), c, Spec{Proto: "udp"}, nil); out != nil || err == nil {
		t.Errorf("%+v, %v", out, err)
	}
}

// The client goes away without a word: its process died, and its channel with
// it.
func TestClientGoes(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		for _, d := range []Direction{Up, Down, Both} {
			t.Run(proto+"/"+string(d), func(t *testing.T) {
				near, far := socketPair(t)
				// What the client has of the channel is a wire that the test cuts.
				wire, end := socketPair(t)
				var spliced [2]chan struct{}
				for i, x := range [][2]net.Conn{{end, near}, {near, end}} {
					spliced[i] = make(chan struct{})
					go func() {
						defer close(spliced[i])
						_, _ = io.Copy(x[0], x[1])
						x[0].Close()
					}()
				}
				r := newServer(t, ServerConfig{}, Listen(far), nil)
				r.client.Control, r.client.Base = Over(wire), "http://lab"
				gone := make(chan struct{})
				out := r.must(t.Context(), Spec{Proto: proto, Direction: d, Plan: long(), Quiet: 200 * time.Millisecond}, once(func() {
					defer close(gone)
					near.Close()
					end.Close()
				}))
				<-gone
				if out.Error == "" {
					t.Error("no error")
				}
				r.gone()
				for _, x := range spliced {
					within(t, "the wire", x)
				}
			})
		}
	}
}

// What the user reads of a server that did not tell what became of all.
func TestFinishError(t *testing.T) {
	for want, err := range map[string]error{
		"there is no such session":  &refusal{"there is no such session", nil},
		"the server is gone: reset": errors.New("reset"),
	} {
		if got := finishError(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
