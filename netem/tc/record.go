package tc

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/netem"
)

// record is what netcmp has put on a device and has to take away again. It is
// written before the device is touched, so that whatever becomes of who wrote
// it, it can be undone.
type record struct {
	Device   string
	Index    int
	Out      string
	In       *string   `json:",omitempty"`
	Filter   string    `json:",omitempty"`
	IFB      string    `json:",omitempty"`
	Offloads *Offloads `json:",omitempty"` // as they were; nil: left alone
	Previous *previous `json:",omitempty"` // the root queueing discipline that was there; nil: the default
	Until    time.Time `json:",omitzero"`  // when it ends by itself
	Guard    int       `json:",omitempty"` // the process that sees to it
	ID       string    // of this record among all
}

// previous is a queueing discipline to be put back.
type previous struct {
	Kind    string
	Handle  uint32
	Options []byte
}

// store is where the records of a network namespace lie.
type store struct{ folder, namespace string }

func openStore() (s store, err error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return s, fmt.Errorf("network namespace: %w", err)
	}
	s.namespace = fmt.Sprint(st.Ino)
	tried := []string{"/run/netcmp"}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		tried = append(tried, filepath.Join(d, "netcmp"))
	}
	tried = append(tried, filepath.Join(os.TempDir(), fmt.Sprintf("netcmp-%d", os.Getuid())))
	for _, d := range tried {
		if err = os.MkdirAll(d, 0o700); err != nil { //nolint:gosec // root's own
			continue
		}
		if err = unix.Access(d, unix.W_OK); err == nil {
			s.folder = d
			return s, nil
		}
	}
	return s, fmt.Errorf("no folder to keep records in: %w", err)
}

func (s store) file(index int) string {
	return filepath.Join(s.folder, fmt.Sprintf("netem-%s-%d.json", s.namespace, index))
}

// lock keeps others from the records until unlock.
func (s store) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.folder, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func (s store) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.folder, ".netem")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.file(r.Index))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// read gives the record of a device; nil if there is none.
func (s store) read(index int) (*record, error) {
	b, err := os.ReadFile(s.file(index))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", s.file(index), err)
	}
	return &r, nil
}

func (s store) remove(r record) error {
	if err := os.Remove(s.file(r.Index)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// setup is what the record tells of.
func (r record) setup() (s Setup, err error) {
	s.Device, s.KeepOffloads = r.Device, r.Offloads == nil
	if s.Out, err = netem.Parse(r.Out); err != nil {
		return s, err
	}
	if r.In != nil {
		i, err := netem.Parse(*r.In)
		if err != nil {
			return s, err
		}
		s.In = &i
	}
	if r.Filter != "" {
		s.Filter, err = ParseFilter(r.Filter)
	}
	return s, err
}
