package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/lab"
	"netcmp/netem"
	"netcmp/netem/tc"
)

// guardRole is the part of the process that ends a netem in time.
const guardRole = "guard"

const deviceCategory = "Device"

func deviceFlag() cli.Flag {
	return &cli.StringFlag{Name: "dev", Usage: "the network `DEVICE`, as eth0 (ip link)", Category: deviceCategory}
}

// setupFlags are what script and apply share.
func setupFlags() []cli.Flag {
	flags := []cli.Flag{
		deviceFlag(),
		&cli.StringFlag{Name: "ingress", Usage: "tc netem `ARGUMENTS` for what comes in; alone, what leaves stays as it is", Category: deviceCategory},
		&cli.StringFlag{Name: "filter", Usage: "only these packets, `MATCHES` as 'dst 10.0.0.5 dport 5001' (src, dst, proto, sport, dport, port), as they stand in the packet, coming in, too", Category: deviceCategory},
		&cli.BoolFlag{Name: "keep-offloads", Usage: "leave TSO, GSO and GRO on: netem then decides on whole trains of packets", Category: deviceCategory},
	}
	for _, i := range impairments {
		flags = append(flags, &cli.StringFlag{Name: i.name, Usage: i.usage, Category: pathCategory})
	}
	return append(flags, &cli.StringFlag{Name: "netem", Usage: "what leaves the device, as tc netem `ARGUMENTS`: 'delay 20ms 5ms loss gemodel 1% 10%'", Category: pathCategory})
}

// deviceFrom is the device that a command is about.
func deviceFrom(c *cli.Context) (string, error) {
	switch {
	case c.Args().Present():
		return "", usagef("%q is not a flag; give the device as --dev %s", c.Args().First(), c.Args().First())
	case c.String("dev") == "":
		return "", usagef("no device given: --dev eth0 (ip link lists them)")
	}
	return c.String("dev"), nil
}

// setupFrom makes the setup that the flags ask for.
func setupFrom(c *cli.Context) (s tc.Setup, err error) {
	if s.Device, err = deviceFrom(c); err != nil {
		return s, err
	}
	spec, given, err := wordsFrom(c)
	switch {
	case err != nil:
		return s, err
	case c.IsSet("netem") && len(given) > 0:
		return s, usagef("--netem is all: %s cannot stand beside it", given[0])
	case c.IsSet("netem"):
		spec = c.String("netem")
	case len(given) == 0 && !c.IsSet("ingress"):
		return s, usagef("no conditions given: --netem 'delay 20ms loss 1%%', or --delay, --loss …")
	}
	if s.Out, err = netem.Parse(spec); err != nil {
		return s, usage(fmt.Errorf("netem %q: %w", spec, err))
	}
	if c.IsSet("ingress") {
		i, err := netem.Parse(c.String("ingress"))
		if err != nil {
			return s, usage(fmt.Errorf("--ingress %q: %w", c.String("ingress"), err))
		}
		s.In = &i
	}
	if c.IsSet("filter") {
		if s.Filter, err = tc.ParseFilter(c.String("filter")); err != nil {
			return s, usagef("--filter %q: %w", c.String("filter"), err)
		}
	}
	s.KeepOffloads = c.Bool("keep-offloads")
	if err := s.Validate(); err != nil {
		return s, usage(err)
	}
	return s, nil
}

func (p *program) scriptCommand() *cli.Command {
	return &cli.Command{
		Name: "script", Usage: "print a shell script that puts the conditions on a device, and takes them away",
		Flags: setupFlags(),
		Action: func(c *cli.Context) error {
			s, err := setupFrom(c)
			if err != nil {
				return err
			}
			p.warn(unitNotes(c, nil))
			text, err := s.Script(again(c, "netem script"))
			if err != nil {
				return usage(err)
			}
			_, err = fmt.Fprint(p.stdout, text)
			return err
		},
	}
}

func (p *program) applyCommand() *cli.Command {
	return &cli.Command{
		Name: "apply", Usage: "put the conditions on a device of this machine, with the kernel's netem (root)",
		Flags: append(setupFlags(),
			timeFlag("for", 0, "undo it after this `TIME` as 60s, whatever becomes of this terminal", deviceCategory),
			&cli.BoolFlag{Name: "replace", Usage: "take the place of a qdisc that is there; clear puts it back", Category: deviceCategory},
		),
		Action: func(c *cli.Context) error {
			s, err := setupFrom(c)
			if err != nil {
				return err
			}
			p.warn(unitNotes(c, nil))
			o := tc.Options{Replace: c.Bool("replace"), For: c.Duration("for"), Guard: guard}
			if c.IsSet("for") && (o.For < time.Second || o.For > 365*24*time.Hour) {
				return usagef("--for %v is out of range: 1s to 8760h", o.For)
			}
			until, err := tc.Apply(s, o)
			if err != nil {
				return err
			}
			for _, w := range s.Warnings() {
				fmt.Fprintln(p.stderr, "netcmp: note:", w)
			}
			if until.IsZero() {
				fmt.Fprintf(p.stdout, "%s: %s; until: netcmp netem clear --dev %s\n", s.Device, saying(s), s.Device)
			} else {
				fmt.Fprintf(p.stdout, "%s: %s; until %s, or: netcmp netem clear --dev %s\n", s.Device, saying(s), until.Format(time.DateTime), s.Device)
			}
			return nil
		},
	}
}

// guard is the process that undoes a setup in time.
func guard() *exec.Cmd {
	self := lab.Self(guardRole)
	return &exec.Cmd{Path: self.File, Args: self.Args, Env: self.Env}
}

// saying is the setup in a line.
func saying(s tc.Setup) string {
	words := func(i netem.Impairment) string {
		if i.IsClean() {
			return "nothing"
		}
		return i.String()
	}
	text := words(s.Out)
	if s.In != nil {
		text += ", incoming " + words(*s.In)
	}
	if !s.Filter.All() {
		text += ", only " + s.Filter.String()
	}
	return text
}

func (p *program) showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "what netem a device has, with its counters",
		Flags: []cli.Flag{deviceFlag(), &cli.BoolFlag{Name: "json", Usage: "as JSON"}},
		Action: func(c *cli.Context) error {
			device, err := deviceFrom(c)
			if err != nil {
				return err
			}
			s, err := tc.Show(device)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				e := json.NewEncoder(p.stdout)
				e.SetIndent("", "  ")
				return e.Encode(s)
			}
			p.showState(s)
			return nil
		},
	}
}

func (p *program) showState(s tc.State) {
	var notes []string
	switch {
	case s.Ours && s.Until != nil:
		notes = append(notes, "netcmp's, until "+s.Until.Format(time.DateTime))
	case s.Ours:
		notes = append(notes, "netcmp's")
	case s.Out != nil:
		notes = append(notes, "not netcmp's")
	default:
		notes = append(notes, "no netem; its qdisc is "+s.Qdisc)
	}
	if s.Filter != "" {
		notes = append(notes, "only "+s.Filter)
	}
	fmt.Fprintf(p.stdout, "%s (%s)\n", s.Device, strings.Join(notes, "; "))
	for _, way := range []struct {
		name string
		n    *tc.Netem
	}{{"out", s.Out}, {"in ", s.In}} {
		if way.n == nil {
			continue
		}
		fmt.Fprintf(p.stdout, "  %s  %s\n", way.name, way.n.Spec)
		n := way.n.Counters
		fmt.Fprintf(p.stdout, "       %d packets sent, %d dropped, %d waiting\n", n.Packets, n.Drops, n.QueueLength)
	}
}

func (p *program) clearCommand() *cli.Command {
	return &cli.Command{
		Name: "clear", Usage: "take away what apply has put on a device, and put back what was there",
		Flags: []cli.Flag{deviceFlag()},
		Action: func(c *cli.Context) error {
			device, err := deviceFrom(c)
			if err != nil {
				return err
			}
			found, err := tc.Clear(device)
			switch {
			case errors.Is(err, tc.ErrNoDevice):
				return err
			case err != nil:
				return fmt.Errorf("%s is not yet as it was: %w", device, err)
			case found:
				fmt.Fprintf(p.stdout, "%s is as it was\n", device)
			default:
				fmt.Fprintf(p.stdout, "nothing of netcmp's on %s\n", device)
			}
			return nil
		},
	}
}
