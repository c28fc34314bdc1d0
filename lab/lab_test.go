package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netcmp/netem"
)

func TestMain(m *testing.M) {
	Dispatch(map[string]func() int{
		"sleep": func() int { time.Sleep(time.Minute); return 0 },
	})
	goleak.VerifyTestMain(m)
}

// start builds a lab for a test, or skips it where the machine cannot hold one.
func start(t *testing.T, spec string) *Lab {
	t.Helper()
	i, err := netem.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Start(t.Context(), Config{Path: netem.Path{Up: i, Down: i}, Seed: 1})
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// sh runs a shell command on a host and returns what it printed.
func sh(t *testing.T, l *Lab, h Host, command string) (string, Exit) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := l.Run(t.Context(), h, Command{File: "/bin/sh", Args: []string{"sh", "-c", command}, Files: []*os.File{nil, w, w}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), p.Wait()
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

func TestPingTakesTwiceTheDelay(t *testing.T) {
	need(t, "ping")
	l := start(t, "delay 20ms")
	for _, address := range []string{Server.Addr().String(), Server.Addr6().String()} {
		out, exit := sh(t, l, Client, "ping -c 20 -i 0.02 "+address)
		if exit.Code != 0 {
			t.Fatalf("ping %s: %v\n%s", address, exit, out)
		}
		m := regexp.MustCompile(`= ([\d.]+)/([\d.]+)/`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no times in:\n%s", out)
		}
		least, _ := strconv.ParseFloat(m[1], 64)
		mean, _ := strconv.ParseFloat(m[2], 64)
		t.Logf("%s: least %.3f ms, mean %.3f ms", address, least, mean)
		if least < 40 || mean > 42 {
			t.Errorf("round trip to %s: least %v ms, mean %v ms, want 40", address, least, mean)
		}
	}
}

var _ = bytes.NewReader
var _ = fmt.Sprint
var _ = filepath.Join
var _ = strings.Join
var _ = syscall.SIGKILL
var _ = context.Background
