package tc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Guard makes the command that runs this program as the guard: a process that
// ends in GuardMain. It is the dead man's switch: it undoes a setup at its time,
// whatever has become of who applied it, of his terminal and of his session.
type Guard func() *exec.Cmd

// guarding is a guard at work.
type guarding struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// start starts the guard of a record. Until it is confirmed it undoes the record
// when this process dies.
func (g Guard) start(r record) (*guarding, error) {
	if g == nil {
		return nil, errors.New("no guard to end it in time")
	}
	cmd := g()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	b, err := json.Marshal(r)
	if err == nil {
		_, err = in.Write(append(b, '\n'))
	}
	if err == nil {
		// It answers when it is ready.
		if _, readErr := bufio.NewReader(out).ReadByte(); readErr != nil {
			err = errors.New("guard: it did not begin")
		}
	}
	x := &guarding{cmd, in}
	if err != nil {
		x.end()
		return nil, err
	}
	return x, nil
}

// confirm leaves the record to the guard alone: it outlives this process.
func (g *guarding) confirm() error {
	_, err := g.in.Write([]byte{'\n'})
	return errors.Join(err, g.in.Close(), g.cmd.Process.Release())
}

// end ends a guard of which nothing is left to do; of nil there is none.
func (g *guarding) end() {
	if g == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}

// GuardMain is the guard: it reads its record, says that it is ready, and
// undoes the record when its time has come, when who applied it dies before it
// was done, or when it is told to end.
func GuardMain() int {
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return 1
	}
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return 1
	}
	if _, err := os.Stdout.Write([]byte{'\n'}); err != nil {
		return 1
	}
	os.Stdout.Close()
	applied := make(chan error, 1)
	go func() {
		_, err := in.ReadByte()
		applied <- err
	}()
	for waiting := true; waiting && time.Now().Before(r.Until); {
		select {
		case err := <-applied:
			applied = nil
			waiting = !errors.Is(err, io.EOF)
		case <-told:
			waiting = false
		// Cut, so that a machine that slept finds out what time it is.
		case <-time.After(min(time.Until(r.Until), time.Second)):
		}
	}
	for range 10 {
		if err = undoIfSame(r); err == nil {
			return 0
		}
		time.Sleep(time.Second)
	}
	return 1
}

// undoIfSame undoes a record that is still there.
func undoIfSame(r record) error {
	st, err := openStore()
	if err != nil {
		return err
	}
	unlock, err := st.lock()
	if err != nil {
		return err
	}
	defer unlock()
	now, err := st.read(r.Index)
	if err != nil || now == nil || now.ID != r.ID {
		return err
	}
	return st.undo(*now)
}

// guardName is by what a guard is known among all processes.
const guardName = "netcmp-guard"

// endGuard ends the guard of a record, if it is another process and still that.
func endGuard(r record) {
	if r.Guard == 0 || r.Guard == os.Getpid() {
		return
	}
	fd, err := unix.PidfdOpen(r.Guard, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.Guard))
	if err == nil && bytes.HasPrefix(name, []byte(guardName+"\x00")) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
