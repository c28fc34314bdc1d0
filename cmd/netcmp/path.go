package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
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
	{"distribution", "of the jitter: uniform, normal, pareto, paretonormal or a `FILE` of tc's"},
	{"loss", "random loss, `PERCENT` as 2%; other models by --netem"},
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
		&cli.StringFlag{Name: "netem", Usage: "the whole path as tc netem `ARGUMENTS`: 'delay 20ms 5ms loss gemodel 1% 10%'", Category: pathCategory},
		&cli.StringFlag{Name: "netem-up", Usage: "`ARGUMENTS` for client to server alone", Category: pathCategory},
		&cli.StringFlag{Name: "netem-down", Usage: "`ARGUMENTS` for server to client alone", Category: pathCategory},
		&cli.StringFlag{Name: "profile", Usage: "a path by `NAME`: netcmp netem profiles", Category: pathCategory},
		&cli.BoolFlag{Name: "clean", Usage: "a path that does nothing to packets", Category: pathCategory},
		&cli.StringFlag{Name: "trace-up", Usage: "the link's capacity, client to server, as a packet-delivery trace in `FILE` (Mahimahi's format)", Category: pathCategory},
		&cli.StringFlag{Name: "trace-down", Usage: "the same, server to client, in `FILE`", Category: pathCategory},
		&cli.StringSliceFlag{Name: "at", Usage: "a change in the middle, `TIME ARGUMENTS` as --at 5s 'loss 100%'; repeatable", Category: pathCategory},
		&cli.StringFlag{Name: "timeline", Usage: "`FILE` with such changes, one a line: TIME [up|down] ARGUMENTS", Category: pathCategory},
		&cli.StringFlag{Name: "fate", Value: string(netem.FateByPacket), Usage: "losses go by packet, or by time: then every protocol meets the same bursts", Category: pathCategory},
		&cli.StringFlag{Name: "engine", Value: "auto", Usage: "what makes the path: auto, emulator, kernel (tc netem), none (loopback)", Category: pathCategory},
		&cli.StringFlag{Name: "seed", Usage: "`NUMBER` from which all chance is drawn; printed always (random)", Category: pathCategory},
	)
}

// conditions are a path as the flags ask for it.
type conditions struct {
	path      netem.Path
	byDefault bool // no flag asked for it
	fate      netem.Fate
	changes   []netem.Change
	lines     []string // that the changes were read from
}

// wholePaths are the flags of which one makes the whole path.
var wholePaths = []string{"netem", "profile", "clean"}

// pathFrom makes the path that the flags ask for.
func pathFrom(c *cli.Context) (x conditions, err error) {
	if x.path, x.byDefault, err = steadyPathFrom(c); err != nil {
		return x, err
	}
	if x.fate, err = netem.ParseFate(c.String("fate")); err != nil {
		return x, usagef("--fate: %w", err)
	}
	if c.IsSet("timeline") && c.IsSet("at") {
		return x, usagef("--timeline has all the changes: --at cannot stand beside it")
	}
	x.lines = c.StringSlice("at")
	if c.IsSet("timeline") {
		b, err := os.ReadFile(c.String("timeline"))
		if err != nil {
			return x, usagef("--timeline: %w", err)
		}
		x.lines = strings.Split(string(b), "\n")
	}
	if x.changes, err = x.path.Timeline(x.lines); err != nil {
		return x, usage(err)
	}
	return x, nil
}

// steadyPathFrom makes the path as it begins.
func steadyPathFrom(c *cli.Context) (p netem.Path, byDefault bool, err error) {
	spec, given, err := wordsFrom(c)
	if err != nil {
		return p, false, err
	}
	for _, name := range wholePaths {
		if c.IsSet(name) {
			given = append(given, "--"+name)
		}
	}
	oneWay := c.IsSet("netem-up") || c.IsSet("netem-down")
	traced := c.IsSet("trace-up") || c.IsSet("trace-down")
	switch {
	case len(given) > 1 && (c.IsSet("netem") || c.IsSet("profile") || c.Bool("clean")):
		return p, false, usagef("%s is the whole path: %s cannot stand beside it", given[len(given)-1], given[0])
	case c.Bool("clean") && oneWay:
		return p, false, usagef("--clean is a path that does nothing: --netem-up and --netem-down cannot stand beside it")
	case c.IsSet("netem"):
		spec = c.String("netem")
	case !oneWay && !traced && len(given) == 0:
		spec, byDefault = defaultPath, true
	}
	up, down := spec, spec
	if c.IsSet("profile") {
		x, err := netem.LookupProfile(c.String("profile"))
		if err != nil {
			return p, false, usagef("--profile: %w", err)
		}
		up, down = x.Path.Up.String(), x.Path.Down.String()
	}
	for _, way := range []struct {
		name string
		spec *string
		to   *netem.Impairment
	}{{"up", &up, &p.Up}, {"down", &down, &p.Down}} {
		if c.IsSet("netem-" + way.name) {
			*way.spec = c.String("netem-" + way.name)
		}
		if file := c.String("trace-" + way.name); file != "" {
			if strings.ContainsAny(file, " \t\n") {
				return p, false, usagef("--trace-%s %q: the name of a trace may not hold spaces", way.name, file)
			}
			*way.spec += " trace " + file
		}
		if *way.to, err = netem.Parse(*way.spec); err != nil {
			return p, false, usage(fmt.Errorf("path %q: %w", strings.TrimSpace(*way.spec), err))
		}
	}
	return p, byDefault, nil
}

// wordsFrom makes a specification out of the flags that are words of tc netem,
// and names those that were given.
func wordsFrom(c *cli.Context) (spec string, given []string, err error) {
	var words []string
	for _, i := range impairments {
		if !c.IsSet(i.name) {
			continue
		}
		given = append(given, "--"+i.name)
		value := c.String(i.name)
		if strings.ContainsAny(value, " \t") || value == "" {
			return "", nil, usagef("--%s %q: one value, without spaces; --netem takes whole tc netem arguments", i.name, value)
		}
		if i.name == "jitter" {
			if !c.IsSet("delay") {
				return "", nil, usagef("--jitter varies the delay: give --delay, too")
			}
			words = append(words, value) // stands behind the delay
		} else {
			words = append(words, i.name, value)
		}
	}
	return strings.Join(words, " "), given, nil
}

// joinChanges makes one argument of the two behind --at, TIME and ARGUMENTS,
// where they are two.
func joinChanges(args []string) []string {
	var all []string
	for n := 0; n < len(args); n++ {
		if args[n] == "--" {
			return append(all, args[n:]...)
		}
		all = append(all, args[n])
		if args[n] != "--at" && args[n] != "-at" || n+2 >= len(args) {
			continue
		}
		if t, rest := args[n+1], args[n+2]; !strings.Contains(t, " ") && !strings.HasPrefix(rest, "-") {
			all = append(all, t+" "+rest)
			n += 2
		}
	}
	return all
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
