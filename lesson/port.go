package lesson

import (
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/clock"
)

// sysctl is where the settings of the calling process's network namespace are files
// (proc(5)).
const sysctl = "/proc/sys/"

// Setting gives a setting of the host's a value, or none where that is "", and tells what
// it was.
func (h *host) Setting(o Order, d *Done) error {
	b, err := os.ReadFile(sysctl + o.Setting)
	if err != nil {
		return err
	}
	d.Value = strings.Join(strings.Fields(string(b)), " ")
	if o.Value == "" {
		return nil
	}
	return os.WriteFile(sysctl+o.Setting, []byte(o.Value+"\n"), 0)
}

// Free tries to bind a socket to a port, once Every so often, until the kernel lets
// it: N is how often it did not, and Times has when it last did not.
func (h *host) Free(o Order, d *Done) error {
	return d.call(func() error {
		end := clock.Now() + int64(o.Patience)
		d.Times = []int64{now()}
		tick := time.NewTicker(o.Every)
		defer tick.Stop()
		for {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			asked := now()
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(o.Port)})
			_ = unix.Close(fd)
			if !errors.Is(err, unix.EADDRINUSE) || clock.Now() > end {
				return err
			}
			d.N++
			d.Times[0] = asked
			<-tick.C
		}
	})
}
