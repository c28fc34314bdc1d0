package tc

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offloads are what a device does for the host by trains of packets. netem
// decides on a train as if it were one packet, so on its path they are off.
type Offloads struct {
	TSO bool `json:"tso"` // cutting TCP's trains
	GSO bool `json:"gso"` // the kernel's own cutting, late
	GRO bool `json:"gro"` // joining what comes in
}

// SetOffloads sets the offloads of the interface of that name and gives what
// they were (ethtool's legacy commands, include/uapi/linux/ethtool.h). What a
// device does not have is off and may be set to that.
func SetOffloads(name string, want Offloads) (before Offloads, err error) {
	return offloads(name, &want)
}

func readOffloads(name string) (Offloads, error) { return offloads(name, nil) }

func offloads(name string, want *Offloads) (before Offloads, err error) {
	all := want
	if all == nil {
		all = &Offloads{}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return before, err
	}
	defer unix.Close(fd)
	for _, o := range []struct {
		name     string
		get, set uint32
		want     bool
		before   *bool
	}{
		{"tso", unix.ETHTOOL_GTSO, unix.ETHTOOL_STSO, all.TSO, &before.TSO},
		{"gso", unix.ETHTOOL_GGSO, unix.ETHTOOL_SGSO, all.GSO, &before.GSO},
		{"gro", unix.ETHTOOL_GGRO, unix.ETHTOOL_SGRO, all.GRO, &before.GRO},
	} {
		value := [2]uint32{o.get, 0}
		err := ethtool(fd, name, &value)
		*o.before = err == nil && value[1] != 0
		if want == nil || *o.before == o.want {
			continue
		}
		if err == nil {
			value = [2]uint32{o.set, 0}
			if o.want {
				value[1] = 1
			}
			err = ethtool(fd, name, &value)
		}
		switch {
		case errors.Is(err, unix.EPERM):
			return before, ErrPrivilege
		case err != nil:
			return before, fmt.Errorf("%s of %s: %w", o.name, name, err)
		}
	}
	return before, nil
}

// ethtool is the ioctl SIOCETHTOOL with a struct ethtool_value.
func ethtool(fd int, name string, value *[2]uint32) error {
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq's union
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.data = unsafe.Pointer(value)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}
