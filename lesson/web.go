package lesson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Request is what somebody said to a bare TCP server.
type Request struct {
	Port uint16 // of who said it
	At   int64  // CLOCK_REALTIME, ns
	Text string
}

// line is the first of a request's, without the version: "GET /".
func (r Request) line() string {
	first, _, _ := strings.Cut(r.Text, "\r\n")
	if i := strings.LastIndexByte(first, ' '); i > 0 {
		first = first[:i]
	}
	return first
}

// webPage is what the server gives, whatever it is asked for.
const webPage = "<!doctype html><title>netcmp</title><p>Hello.</p>\n"

// answerTo is the server's answer. Where it is the last of its connection, the end of
// the connection says where it ends.
func answerTo(keep bool) []byte {
	end := "Connection: close"
	if keep {
		end = "Content-Length: " + strconv.Itoa(len(webPage))
	}
	return []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + end + "\r\n\r\n" + webPage)
}

// web is what a bare server has heard. Its goroutines end with the program, whose
// sockets nobody else waits at.
type web struct {
	mu      sync.Mutex
	heard   []Request
	changed chan struct{} // closed, and made anew, with every request
}

// Serve begins to answer whoever connects to a listening socket, with nothing but
// calls of accept(), recv(), send() and close(). It hangs up when it has answered, or,
// with Keep, when the other end has.
func (h *host) Serve(o Order, _ *Done) error {
	listener, err := h.fd(&o)
	if err != nil {
		return err
	}
	h.web.changed = make(chan struct{})
	o.Patience = 10 * patience // the scene is over before
	go func() {
		for await(listener, unix.POLLIN, &o) == nil {
			fd, peer, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			if err != nil {
				continue // who called has gone
			}
			from := uint16(0)
			if p, ok := peer.(*unix.SockaddrInet4); ok {
				from = uint16(p.Port)
			}
			go func() {
				defer unix.Close(fd)
				for h.web.serve(fd, from, &o) && o.Keep {
				}
			}()
		}
	}()
	return nil
}

// serve takes one request and answers it, and says whether it could.
func (w *web) serve(fd int, from uint16, o *Order) bool {
	const most = 64 << 10
	text := make([]byte, 0, 4<<10)
	for !bytes.Contains(text, []byte("\r\n\r\n")) {
		if len(text) > most || await(fd, unix.POLLIN, o) != nil {
			return false
		}
		b := make([]byte, 4<<10)
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil || n == 0 {
			return false
		}
		text = append(text, b[:n]...)
	}
	w.mu.Lock()
	w.heard = append(w.heard, Request{from, now(), string(text)})
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	_, err := unix.SendmsgN(fd, answerTo(o.Keep), nil, nil, unix.MSG_NOSIGNAL)
	return err == nil
}

// Served waits until somebody has asked for Text, or as long as it has patience, and
// tells all that was asked.
func (h *host) Served(o Order, d *Done) error {
	w := &h.web
	ctx, cancel := context.WithTimeout(context.Background(), o.Patience)
	defer cancel()
	for {
		w.mu.Lock()
		d.Heard = append([]Request{}, w.heard...)
		changed := w.changed
		w.mu.Unlock()
		for _, r := range d.Heard {
			if r.line() == o.Text {
				return nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Get asks To for its page N times with Go's own client, over one connection if it
// may Keep it, and gives how many bytes it read of the answers.
func (h *host) Get(o Order, d *Done) error {
	t := &http.Transport{DisableKeepAlives: !o.Keep, DisableCompression: true}
	defer t.CloseIdleConnections()
	return get(&http.Client{Transport: t, Timeout: patience}, "http://"+o.To.String()+"/", &o, d)
}

func get(c *http.Client, url string, o *Order, d *Done) error {
	return d.call(func() error {
		for range o.N {
			r, err := c.Get(url)
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, r.Body)
			d.N += int(n)
			d.Text = r.Proto
			if err := errors.Join(err, r.Body.Close()); err != nil {
				return err
			}
			d.Times = append(d.Times, now())
		}
		return nil
	})
}

// Exec runs a program until it ends, or as long as there is patience, and gives what
// it wrote to its standard output. It has a directory for temporary files, which is
// also its home, that nobody else sees and that is gone with the lab: it is memory,
// in a mount namespace of the program's own.
func (h *host) Exec(o Order, d *Done) error {
	ctx, cancel := context.WithTimeout(context.Background(), o.Patience)
	defer cancel()
	runtime.LockOSThread() // never unlocked: the thread's namespace ends with the goroutine
	dir := os.TempDir()
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	if err != nil {
		return fmt.Errorf("a directory for the program: %w", err)
	}
	cmd := exec.CommandContext(ctx, o.Args[0], o.Args[1:]...) //nolint:gosec // the lesson's own
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "no_proxy=*")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	d.Began = now()
	err = cmd.Run()
	d.Ended = now()
	d.Text = out.String()
	var exit *exec.ExitError
	if errors.As(err, &exit) || ctx.Err() != nil {
		return nil // what it did is judged by what crossed
	}
	return err
}
