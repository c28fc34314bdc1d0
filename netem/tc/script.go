package tc

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"netcmp/netem"
)

// Setup is netem on a device.
type Setup struct {
	Device string
	Out    netem.Impairment  // of the packets that leave; a clean one beside In leaves them alone
	In     *netem.Impairment // of those that come in; nil leaves them alone
	Filter Filter            // which packets meet it
	// KeepOffloads leaves the device's offloads as they are. netem then decides
	// on trains of up to 64 KiB as if they were one packet.
	KeepOffloads bool
}

// A qdisc's number, and where the packets that a filter picks go.
const (
	childHandle = Handle + 1
	pickedBand  = 4
)

var deviceName = regexp.MustCompile(`^[A-Za-z0-9_.@:-]{1,15}$`)

// leaving says whether what leaves meets netem.
func (s Setup) leaving() bool { return s.In == nil || !s.Out.IsClean() }

// Validate says what is wrong with a setup.
func (s Setup) Validate() error {
	if !deviceName.MatchString(s.Device) {
		return fmt.Errorf("%q is not the name of a device: want one as eth0 (ip link)", s.Device)
	}
	if err := Refuse(s.Out); err != nil {
		return err
	}
	if s.In != nil {
		return Refuse(*s.In)
	}
	return nil
}

// ifb is the name of the device through which what comes in is led, since a
// queueing discipline is for what leaves.
func (s Setup) ifb() string {
	name := "nc-" + s.Device
	return name[:min(len(name), 15)]
}

// Warnings says what a user of the setup must know.
func (s Setup) Warnings() []string {
	var all []string
	add := func(way string, i netem.Impairment) {
		for _, w := range i.Warnings() {
			all = append(all, way+w)
		}
	}
	add("", s.Out)
	if s.In != nil {
		add("incoming: ", *s.In)
	}
	if !s.Out.IsClean() {
		all = append(all, "netem on the device of a TCP sender changes TCP itself (it sees its own queue, and drops as its own): for a path, put it on a router between the hosts, or on the receiver with --ingress")
	}
	if s.KeepOffloads {
		all = append(all, "with the device's offloads on, netem decides on trains of up to 64 KiB as if each were one packet")
	}
	return all
}

// Script is a POSIX shell script that does what Apply does and takes it away
// again. command is what made it, for its head; "" for nothing.
func (s Setup) Script(command string) (string, error) {
	if err := s.Validate(); err != nil {
		return "", err
	}
	out, err := asCommand(s.Out)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/sh")
	line("# Network conditions on %s by tc netem (tc-netem(8)).", s.Device)
	if command != "" {
		line("# Made by: %s", strings.ReplaceAll(command, "\n", " "))
	}
	line("#")
	line("#   sh SCRIPT start    begins, as root")
	line("#   sh SCRIPT stop     takes it all away again")
	line("#   sh SCRIPT show     what is there, with its counters")
	for _, w := range s.Warnings() {
		line("#")
		line("# Note: %s.", w)
	}
	if s.Out.Seed != 0 || s.In != nil && s.In.Seed != 0 {
		line("#")
		line("# Note: seed takes Linux 6.6, and an iproute2 that knows the word.")
	}
	line("set -eu")
	line("")
	line("dev=%s", s.Device)
	if s.In != nil {
		line("ifb=%s # what comes in is led through it", s.ifb())
	}
	line("# What there is to put back; it is there from start to stop.")
	line("kept=/run/netcmp-$dev-$(readlink /proc/self/ns/net | tr -dc 0-9)")
	line("")
	line("start() {")
	line("\tif [ -e \"$kept\" ]; then")
	line("\t\techo \"$dev: it has begun already: sh $0 stop\" >&2")
	line("\t\texit 1")
	line("\tfi")
	if s.In != nil {
		line("\tif tc qdisc show dev \"$dev\" | grep -q -e ingress -e clsact ||")
		line("\t\tip link show dev \"$ifb\" >/dev/null 2>&1; then")
		line("\t\techo \"$dev: what comes in is led elsewhere already\" >&2")
		line("\t\texit 1")
		line("\tfi")
	}
	line("\t# If a step fails, those before it are undone.")
	line("\ttrap 'stop 2>/dev/null || true' EXIT")
	line("\t: >\"$kept\"")
	if !s.KeepOffloads {
		line("\t# Trains of packets would meet netem as one.")
		line("\tethtool -k \"$dev\" | sed -n -e 's/^tcp-segmentation-offload: on$/tso on/p' \\")
		line("\t\t-e 's/^generic-segmentation-offload: on$/gso on/p' -e 's/^generic-receive-offload: on$/gro on/p' >\"$kept\"")
		line("\tethtool -K \"$dev\" tso off gso off gro off")
	}
	switch {
	case !s.leaving():
	case s.Filter.All():
		line("\t%s \"$dev\" root handle %x: netem%s", out.add, Handle, out.words)
	default:
		line("\t# Only what the filters pick goes to band %d, where netem is.", pickedBand)
		line("\ttc qdisc add dev \"$dev\" root handle %x: prio bands %d priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1", Handle, pickedBand)
		line("\t%s \"$dev\" parent %x:%d handle %x: netem%s", out.add, Handle, pickedBand, childHandle, out.words)
		for n, r := range s.Filter.rules() {
			line("\ttc filter add dev \"$dev\" parent %x: prio %d %s classid %x:%d", Handle, n+1, s.Filter.words(r), Handle, pickedBand)
		}
	}
	if s.In != nil {
		in, err := asCommand(*s.In)
		if err != nil {
			return "", err
		}
		line("\t# netem delays what leaves a device: what comes in leaves by the ifb.")
		line("\tip link add name \"$ifb\" type ifb")
		line("\tip link set dev \"$ifb\" up")
		line("\t%s \"$ifb\" root handle %x: netem%s", in.add, Handle, in.words)
		line("\ttc qdisc add dev \"$dev\" handle ffff: ingress")
		if s.Filter.All() {
			line("\ttc filter add dev \"$dev\" parent ffff: protocol all prio 1 matchall action mirred egress redirect dev \"$ifb\"")
		} else {
			for n, r := range s.Filter.rules() {
				line("\ttc filter add dev \"$dev\" parent ffff: prio %d %s action mirred egress redirect dev \"$ifb\"", n+1, s.Filter.words(r))
			}
		}
	}
	line("\ttrap - EXIT")
	line("}")
	line("")
	line("stop() {")
	line("\tif [ ! -e \"$kept\" ]; then")
	line("\t\techo \"$dev: nothing has begun\" >&2")
	line("\t\texit 1")
	line("\tfi")
	line("\tfailed=0")
	if s.In != nil {
		line("\ttc qdisc del dev \"$dev\" ingress || failed=1")
		line("\tip link del dev \"$ifb\" || failed=1")
	}
	if s.leaving() {
		line("\ttc qdisc del dev \"$dev\" root handle %x: || failed=1", Handle)
	}
	if !s.KeepOffloads {
		line("\tif [ -s \"$kept\" ]; then")
		line("\t\txargs ethtool -K \"$dev\" <\"$kept\" || failed=1")
		line("\tfi")
	}
	line("\trm -f \"$kept\"")
	line("\treturn \"$failed\"")
	line("}")
	line("")
	line("show() {")
	line("\ttc -s qdisc show dev \"$dev\"")
	if s.In != nil {
		line("\ttc -s qdisc show dev \"$ifb\"")
	}
	line("}")
	line("")
	line("case ${1-} in")
	line("start | stop | show) \"$1\" ;;")
	line("*)")
	line("\techo \"usage: sh $0 start|stop|show\" >&2")
	line("\texit 2")
	line("\t;;")
	line("esac")
	return b.String(), nil
}

// netemCommand is a tc command up to its device, and netem's arguments.
type netemCommand struct{ add, words string }

// asCommand is the impairment as arguments that tc takes. tc finds the table of
// a distribution by its name in a folder, which may be told to it.
func asCommand(i netem.Impairment) (c netemCommand, err error) {
	c.add = "tc qdisc add dev"
	var folder string
	for _, d := range []*netem.Distribution{&i.Distribution, &i.Slot.Distribution} {
		file, ok := d.File()
		if !ok {
			continue
		}
		name, isDist := strings.CutSuffix(filepath.Base(file), ".dist")
		if !isDist {
			return c, fmt.Errorf("distribution %s: tc wants a table in a file NAME.dist: rename it", file)
		}
		at, err := filepath.Abs(filepath.Dir(file))
		if err != nil {
			return c, err
		}
		if folder != "" && folder != at || strings.Contains(at, "'") {
			return c, errors.New("tc looks for its tables in one folder: put both there")
		}
		folder, *d = at, netem.Distribution(name)
		c.add = "TC_LIB_DIR='" + at + "' tc qdisc add dev"
	}
	if c.words = i.String(); c.words != "" {
		c.words = " " + c.words
	}
	return c, nil
}
