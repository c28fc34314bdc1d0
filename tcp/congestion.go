package tcp

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

const sysctl = "/proc/sys/net/ipv4/"

// setCongestion asks for a congestion control by name, which the kernel loads
// as a module if need be; "" leaves the system's.
func setCongestion(fd int, name string) error {
	if name == "" {
		return nil
	}
	err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w %q: this kernel has %s", transport.ErrUnknownCongestion, name, list("tcp_available_congestion_control"))
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: congestion control %q is for privileged users, others may use %s; allow it with: sysctl -w net.ipv4.tcp_allowed_congestion_control=%q",
			transport.ErrNotSupported, name, list("tcp_allowed_congestion_control"), strings.Join(append(names("tcp_allowed_congestion_control"), name), " "))
	case err != nil:
		return fmt.Errorf("congestion control %q: %w", name, err)
	}
	// The kernel cuts a name to 15 bytes: what it found may not be what was meant.
	if got := congestion(fd); got != name {
		return fmt.Errorf("%w %q: the kernel took it for %q and has %s", transport.ErrUnknownCongestion, name, got, list("tcp_available_congestion_control"))
	}
	return nil
}

// congestion is the congestion control in force.
func congestion(fd int) string {
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err != nil {
		return ""
	}
	return name
}

func names(file string) []string {
	b, err := os.ReadFile(sysctl + file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

func list(file string) string {
	if all := names(file); len(all) > 0 {
		return strings.Join(all, ", ")
	}
	return "what " + sysctl + file + " lists"
}
