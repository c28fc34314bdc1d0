package lesson

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/peer"
	"netcmp/tcp"
	"netcmp/transport"
	"netcmp/transport/secure"
)

// talk is what a host has of conversations over netcmp's own transports, and with
// netcmp's own server.
type talk struct {
	sessions *secure.Sessions // of connections before
	working  sync.WaitGroup   // what goes on behind an order
	cpu      time.Duration    // that the program had used when it began
	server   *peer.Server
	held     []net.Conn // a client's, that are kept
}

// carrier is a transport by its name.
func carrier(name string) (transport.Transport, error) {
	if name == "tcp" {
		return tcp.New(), nil
	}
	return encrypted(name)
}

// used is the processor time of this program.
func used() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Reply opens a listener at To and answers each message, on N connections. When a
// client hangs up, it does so after Every: its own FIN is then not the ACK of the
// client's at the same time.
func (h *host) Reply(o Order, d *Done) error {
	t, err := carrier(o.Proto)
	if err != nil {
		return err
	}
	config := transport.Config{Resumable: o.Resume, Connections: o.N}
	l, err := t.Listen(context.Background(), o.To, config)
	if err != nil {
		return err
	}
	if c, ok := l.(transport.Certified); ok {
		d.Certificate = c.Certificate()
	}
	h.talk.cpu = used()
	h.talk.working.Go(func() {
		defer l.Close()
		var open sync.WaitGroup
		defer open.Wait()
		for range config.Accepts() {
			conn, err := l.Accept(context.Background(), netip.AddrPort{})
			if err != nil {
				return
			}
			open.Go(func() { reply(conn, o.Every) })
		}
	})
	return nil
}

// reply answers each message with itself, until the client hangs up.
func reply(conn transport.Conn, later time.Duration) {
	batch := make([]transport.Message, 1)
	for {
		n, err := conn.Receive(batch)
		if n > 0 {
			_, err = conn.Send([][]byte{batch[0].Data})
		}
		if err != nil {
			break
		}
	}
	<-time.After(later)
	_ = conn.Close()
}

// Exchange sends N messages of Size bytes to To, each when the one before has been
// answered, over one connection or a Short one each, and tells when it had the
// answers. A connection is closed while the next is made.
func (h *host) Exchange(o Order, d *Done) error {
	t, err := carrier(o.Proto)
	if err != nil {
		return err
	}
	config := transport.Config{Certificate: o.Certificate}
	if o.Resume {
		if h.talk.sessions == nil {
			h.talk.sessions = secure.NewSessions()
		}
		config.Sessions = h.talk.sessions
	}
	h.talk.cpu = used()
	return d.call(func() error {
		var conn transport.Conn
		hangUp := func() {
			if c := conn; c != nil {
				h.talk.working.Go(func() { _ = c.Close() })
			}
			conn = nil
		}
		defer hangUp()
		for i := range o.N {
			if conn == nil {
				ctx, cancel := soon()
				conn, err = t.Dial(ctx, o.To, config)
				cancel()
				if err != nil {
					return err
				}
				d.Sockets = append(d.Sockets, Listed{Local: conn.LocalAddr().Port()})
			}
			if err := roundTrip(conn, i, o.Size); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
			d.Times = append(d.Times, now())
			if o.Short {
				hangUp()
			}
		}
		return nil
	})
}

// roundTrip sends a message and waits for the answer.
func roundTrip(conn transport.Conn, number, size int) error {
	b := make([]byte, size)
	message.Seal(b, message.Header{Number: uint64(number), Sent: clock.Now()})
	if _, err := conn.Send([][]byte{b}); err != nil {
		return err
	}
	batch := make([]transport.Message, 1)
	if _, err := conn.Receive(batch); err != nil {
		return err
	}
	m, err := message.Parse(batch[0].Data)
	if err == nil && m.Number != uint64(number) {
		err = fmt.Errorf("the answer is one to message %d", m.Number)
	}
	return err
}

// Settle waits until all that Reply or Exchange has left to do is done, and tells what
// processor time it has taken.
func (h *host) Settle(_ Order, d *Done) error {
	h.talk.working.Wait()
	d.CPU = used() - h.talk.cpu
	return nil
}

// Resumable waits until there is a ticket of the connections of Exchange.
func (h *host) Resumable(_ Order, _ *Done) error { return awaitTicket(h.talk.sessions) }

// Daemon has netcmp's own server (netcmp serve) answer at To, which is idle for Every
// at the longest and gives a client address N connections; 0: any.
func (h *host) Daemon(o Order, _ *Done) error {
	l, err := (&net.ListenConfig{KeepAlive: unprobed}).Listen(context.Background(), "tcp", o.To.String())
	if err != nil {
		return err
	}
	h.talk.server = peer.NewServer(peer.ServerConfig{Addr: o.To.Addr(), IdleTimeout: o.Every, ClientLimit: o.N})
	go func() { _ = h.talk.server.Serve(l) }() // as long as the lab lasts
	return nil
}

// hands is how many connections are made at once.
const hands = 8

// unprobed leaves keep-alive probes off, as the kernel does (RFC 1122 §4.2.3.6). Go has
// one sent over each connection on which nothing was said for 15 s: many connections
// that are made slowly would not be at rest.
const unprobed = -1

// Hold makes N connections to To, asks one question over each, and keeps them. It
// ends with the first that fails, or is not answered.
func (h *host) Hold(o Order, d *Done) error {
	turns := make(chan struct{}, o.N)
	for range o.N {
		turns <- struct{}{}
	}
	close(turns)
	var mu sync.Mutex
	return d.call(func() error {
		var first error
		var working sync.WaitGroup
		for range min(hands, o.N) {
			working.Go(func() {
				for range turns {
					c, err := (&net.Dialer{KeepAlive: unprobed}).Dial("tcp", o.To.String())
					if err == nil {
						err = askTime(c)
					}
					mu.Lock()
					if err == nil {
						h.talk.held = append(h.talk.held, c)
					} else if first == nil {
						first = err
					}
					stop := first != nil
					mu.Unlock()
					if stop {
						return
					}
				}
			})
		}
		working.Wait()
		d.N = len(h.talk.held)
		return first
	})
}

// askTime asks netcmp's server what time it is, and reads the answer.
func askTime(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /v1/clock HTTP/1.1\r\nHost: netcmp\r\n"+peer.VersionHeader+": "+peer.ControlVersion+"\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// AskTime asks over a connection that is held, Socket by its number.
func (h *host) AskTime(o Order, d *Done) error {
	return d.call(func() error { return askTime(h.talk.held[o.Socket]) })
}

// Drop closes one.
func (h *host) Drop(o Order, d *Done) error {
	return d.call(h.talk.held[o.Socket].Close)
}

// Hung waits until the other end has hung up.
func (h *host) Hung(o Order, d *Done) error {
	c := h.talk.held[o.Socket]
	return d.call(func() error {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, c)
		d.N = int(n)
		return errors.Join(err, c.Close())
	})
}

// Descriptors is how many files this program may have open.
func (h *host) Descriptors(_ Order, d *Done) error {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	d.N = int(min(r.Cur, 1<<30))
	return nil
}

// Resident is the memory that this program has, after it has given back what it does
// not need.
func (h *host) Resident(_ Order, d *Done) error {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm") // proc(5): size, resident, …, in pages
	if err != nil {
		return err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return fmt.Errorf("/proc/self/statm is %q", b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	d.Memory = pages * int64(os.Getpagesize())
	return err
}

// kernelMemory is what the machine's kernel has in its slabs, of which its sockets
// are, bytes (proc(5), /proc/meminfo).
func kernelMemory() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if words, ok := strings.CutPrefix(line, "Slab:"); ok {
			n, err := strconv.ParseInt(strings.Fields(words)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo does not tell of slabs")
}
