package report

import (
	"errors"
	"syscall"
)

// lock keeps other netcmp processes from appending until unlock: what is
// taken back after a failed write must be nobody else's. It is advisory, and
// where the file system has no locks the write goes on without.
func lock(fd uintptr) (unlock func()) {
	for {
		switch err := syscall.Flock(int(fd), syscall.LOCK_EX); {
		case err == nil:
			return func() { _ = syscall.Flock(int(fd), syscall.LOCK_UN) }
		case errors.Is(err, syscall.EINTR):
		default:
			return func() {}
		}
	}
}
