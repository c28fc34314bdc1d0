package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/netem"
	"netcmp/netem/emulator"
	"netcmp/result"
)

// The lab's owner and its path process talk over a socket pair that keeps
// messages apart (SOCK_SEQPACKET): one JSON value a message, with open files
// beside it. When either end dies the other one sees the end of the stream.

// request is what the owner asks of the path process; exactly one of its
// members is set. The answer carries the same ID.
type request struct {
	ID     int
	Build  *buildRequest  `json:",omitempty"`
	Start  *startRequest  `json:",omitempty"`
	Signal *signalRequest `json:",omitempty"`
	Listen *listenRequest `json:",omitempty"`
	Link   bool           `json:",omitempty"`
	From   int64          `json:",omitempty"` // of Link: the instant from which on the path's lateness counts
	Begin  bool           `json:",omitempty"`
	Socket string         `json:",omitempty"` // of Devices
}

// buildRequest is a Config with its paths in tc netem's words.
type buildRequest struct {
	Path    pathWords
	Seed    uint64
	Fate    netem.Fate    `json:",omitempty"`
	Changes []changeWords `json:",omitempty"`
	Engine  Engine        `json:",omitempty"`
	Exact   bool          `json:",omitempty"`
	Held    *pathWords    `json:",omitempty"`
}

type pathWords struct{ Up, Down string }

type changeWords struct {
	At   time.Duration
	Path pathWords
}

func newBuildRequest(c Config) *buildRequest {
	words := func(p netem.Path) pathWords { return pathWords{p.Up.String(), p.Down.String()} }
	b := &buildRequest{Path: words(c.Path), Seed: c.Seed, Fate: c.Fate, Engine: c.Engine, Exact: c.Exact}
	if c.Held != nil {
		b.Held = new(words(*c.Held))
	}
	for _, x := range c.Changes {
		b.Changes = append(b.Changes, changeWords{x.At, words(x.Path)})
	}
	return b
}

func (w pathWords) parse() (p netem.Path, err error) {
	if p.Up, err = netem.Parse(w.Up); err == nil {
		p.Down, err = netem.Parse(w.Down)
	}
	return p, err
}

// config is the path to be made.
func (b *buildRequest) config() (c emulator.Config, err error) {
	c.Seed, c.Fate = b.Seed, b.Fate
	if c.Path, err = b.Path.parse(); err != nil {
		return c, err
	}
	for _, x := range b.Changes {
		p, err := x.Path.parse()
		if err != nil {
			return c, err
		}
		c.Changes = append(c.Changes, netem.Change{At: x.At, Path: p})
	}
	return c, nil
}

// startRequest comes with the files that become descriptors 0, 1, … of the
// program.
type startRequest struct {
	Host Host
	File string
	Args []string
	Env  []string
	Dir  string
}

type signalRequest struct {
	Process int
	Signal  int
}

type listenRequest struct {
	Host    Host
	Process int
}

// answer is the path process's reply to a request, or, with ID 0, the news
// that a program has ended.
type answer struct {
	ID      int
	Error   string       `json:",omitempty"`
	Missing string       `json:",omitempty"` // what the machine lacks, where that is the error
	Mend    string       `json:",omitempty"`
	Process int          `json:",omitempty"`
	Exit    *Exit        `json:",omitempty"`
	Link    *result.Link `json:",omitempty"`
	CPUNS   int64        `json:",omitempty"`
	OK      bool         `json:",omitempty"`
	Engine  Engine       `json:",omitempty"`
	Seeded  bool         `json:",omitempty"`
	Index   int          `json:",omitempty"` // of the device that a socket is for

	files []*os.File // go beside it
}

func (a *answer) err() error {
	switch {
	case a.Missing != "":
		return &UnsupportedError{Missing: a.Missing, Mend: a.Mend}
	case a.Error != "":
		return errors.New(a.Error)
	}
	return nil
}

// discard closes the files of an answer that nobody takes.
func (a *answer) discard() {
	for _, f := range a.files {
		f.Close()
	}
}

const (
	maxMessage = 1 << 20
	maxFiles   = 16
)

// channel is one end of the socket pair.
type channel struct {
	conn   *net.UnixConn
	buffer []byte
	oob    []byte
}

func newChannel(f *os.File) (*channel, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("lab channel: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("lab channel: not a unix socket")
	}
	_ = u.SetWriteBuffer(maxMessage)
	return &channel{conn: u, buffer: make([]byte, maxMessage), oob: make([]byte, unix.CmsgSpace(maxFiles*4))}, nil
}

func channelPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "lab"), os.NewFile(uintptr(fds[1]), "lab"), nil
}

func (c *channel) send(v any, files []*os.File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return fmt.Errorf("lab channel: a message of %d bytes is over %d", len(b), maxMessage)
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd()) // leaves the file blocking, as a program expects it
		}
		oob = syscall.UnixRights(fds...)
	}
	_, _, err = c.conn.WriteMsgUnix(b, oob, nil)
	return err
}

func (c *channel) receive(v any) (files []*os.File, err error) {
	n, oobn, flags, _, err := c.conn.ReadMsgUnix(c.buffer, c.oob)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	if oobn > 0 {
		messages, err := syscall.ParseSocketControlMessage(c.oob[:oobn])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			fds, err := syscall.ParseUnixRights(&m)
			if err != nil {
				return nil, err
			}
			for _, fd := range fds {
				syscall.CloseOnExec(fd)
				files = append(files, os.NewFile(uintptr(fd), "passed"))
			}
		}
	}
	if flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 {
		return files, errors.New("lab channel: a message was cut off")
	}
	return files, json.Unmarshal(c.buffer[:n], v)
}
