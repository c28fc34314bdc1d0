package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/urfave/cli/v2"

	"netcmp/experiment"
	"netcmp/netem"
)

// defaultPath is taken when no path flag is given.
const defaultPath = "delay 20ms loss 2%"

const pathCategory = "Path, in the words of tc netem (each way; delay is one-way)"

// impairments are the flags that are words of tc netem, in its order.
var impairments = []struct{ name, usage string }{
	{"delay", "one-way delay, `TIME` as 20ms"},
	{"jitter", "variation of the delay, `TIME`"},
	{"distribution", "of the jitter: uniform or normal"},
	{"loss", "random loss, `PERCENT` as 2%"},
	{"duplicate", "duplicated packets, `PERCENT`"},
	{"corrupt", "packets with a flipped bit, `PERCENT`"},
	{"reorder", "packets that skip the delay, `PERCENT`"},
	{"gap", "with reorder: of every `N` packets one may skip"},
	{"rate", "of the bottleneck, `RATE` as 10mbit"},
	{"limit", "packets that the path holds at most, the delayed ones included (1000)"},
}

func pathFlags() []cli.Flag {
	var flags []cli.Flag
	for _, i := range impairments {
		flags = append(flags, &cli.StringFlag{Name: i.name, Usage: i.usage, Category: pathCategory})
	}
	return append(flags,
		&cli.StringFlag{Name: "netem", Usage: "the whole path as tc netem `ARGUMENTS`: 'delay 20ms 5ms loss 1%'", Category: pathCategory},
		&cli.StringFlag{Name: "netem-up", Usage: "`ARGUMENTS` for client to server alone", Category: pathCategory},
		&cli.StringFlag{Name: "netem-down", Usage: "`ARGUMENTS` for server to client alone", Category: pathCategory},
		&cli.BoolFlag{Name: "clean", Usage: "a path that does nothing to packets", Category: pathCategory},
		&cli.StringFlag{Name: "engine", Value: "auto", Usage: "what makes the path: auto, emulator, none (loopback)", Category: pathCategory},
		&cli.StringFlag{Name: "seed", Usage: "`NUMBER` from which all chance is drawn; printed always (random)", Category: pathCategory},
	)
}

// pathFrom makes the path that the flags ask for; byDefault says that none
// did.
func pathFrom(c *cli.Context) (p netem.Path, byDefault bool, err error) {
	var words []string
	var given []string
	for _, i := range impairments {
		if !c.IsSet(i.name) {
			continue
		}
		given = append(given, "--"+i.name)
		value := c.String(i.name)
		if strings.ContainsAny(value, " \t") || value == "" {
			return p, false, usagef("--%s %q: one value, without spaces; --netem takes whole tc netem arguments", i.name, value)
		}
		switch i.name {
		case "jitter":
			if !c.IsSet("delay") {
				return p, false, usagef("--jitter varies the delay: give --delay, too")
			}
			words = append(words, value) // stands behind the delay
		case "gap":
			words = append(words, "gap", value)
		default:
			words = append(words, i.name, value)
		}
	}
	spec := strings.Join(words, " ")
	whole := c.IsSet("netem")
	oneWay := c.IsSet("netem-up") || c.IsSet("netem-down")
	switch {
	case whole && len(given) > 0:
		return p, false, usagef("--netem is the whole path: %s cannot stand beside it", given[0])
	case c.Bool("clean") && (whole || oneWay || len(given) > 0):
		return p, false, usagef("--clean is a path that does nothing: no other path flag can stand beside it")
	case whole:
		spec = c.String("netem")
	case !c.Bool("clean") && !oneWay && len(given) == 0:
		spec, byDefault = defaultPath, true
	}
	up, down := spec, spec
	if c.IsSet("netem-up") {
		up = c.String("netem-up")
	}
	if c.IsSet("netem-down") {
		down = c.String("netem-down")
	}
	if p.Up, err = netem.Parse(up); err != nil {
		return p, false, usage(fmt.Errorf("path %q: %w", up, err))
	}
	if p.Down, err = netem.Parse(down); err != nil {
		return p, false, usage(fmt.Errorf("path %q: %w", down, err))
	}
	return p, byDefault, nil
}

func engineFrom(c *cli.Context) (experiment.Engine, error) {
	e, err := experiment.ParseEngine(c.String("engine"))
	if err != nil {
		return "", usage(err)
	}
	return e, nil
}

func seedFrom(c *cli.Context) (uint64, error) {
	if !c.IsSet("seed") {
		return uint64(rand.Uint32()), nil
	}
	var seed uint64
	if _, err := fmt.Sscanf(c.String("seed"), "%d", &seed); err != nil || fmt.Sprint(seed) != c.String("seed") {
		return 0, usagef("--seed %q is not a whole number from 0 to 18446744073709551615", c.String("seed"))
	}
	return seed, nil
}

// again is the command line that makes the same experiment: the command, the
// flags that were given and matter, and the seed.
func again(c *cli.Context, command string, leave ...string) string {
	words := []string{"netcmp", command}
	skip := map[string]bool{"seed": true}
	for _, name := range leave {
		skip[name] = true
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) || skip[name] {
			continue
		}
		switch v := c.Value(name).(type) {
		case bool:
			if v {
				words = append(words, "--"+name)
			} else {
				words = append(words, "--"+name+"=false")
			}
		case cli.StringSlice:
			for _, s := range v.Value() {
				words = append(words, "--"+name, quote(s))
			}
		default:
			words = append(words, "--"+name, quote(fmt.Sprint(v)))
		}
	}
	return strings.Join(words, " ")
}

// quote makes a word that a shell reads back as it is.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_µ", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

var errNoProgram = errors.New("no program given: netcmp lab exec [flags] -- PROGRAM [ARGUMENTS]")
