package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/capture"
	"netcmp/experiment"
	"netcmp/lab"
	"netcmp/netem"
)

func (p *program) labCommand() *cli.Command {
	return &cli.Command{
		Name: "lab", Usage: "two hosts and a path, for any program",
		Subcommands: []*cli.Command{
			{
				Name: "exec", Usage: "run a program on the lab's client host",
				UsageText: "netcmp lab exec [flags] -- PROGRAM [ARGUMENTS]",
				Description: "The program finds the server host's address in $NETCMP_SERVER (IPv6: $NETCMP_SERVER6).\n" +
					"Its exit code becomes netcmp's.",
				Flags:  append(labFlags(), pathFlags()...),
				Action: func(c *cli.Context) error { return p.labExec(c, c.Args().Slice()) },
			},
			{
				Name: "shell", Usage: "open a shell on the lab's client host",
				Flags: append(labFlags(), pathFlags()...),
				Action: func(c *cli.Context) error {
					shell := os.Getenv("SHELL")
					if shell == "" {
						shell = "/bin/sh"
					}
					return p.labExec(c, []string{shell})
				},
			},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("%q is not a command of lab; known: exec, shell", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func labFlags() []cli.Flag {
	return append(pcapFlags(outputCategory),
		&cli.StringFlag{Name: "server-exec", Usage: "a shell `COMMAND` for the server host, which gets 2 s to listen on a port; what it prints goes to standard error"},
		&cli.BoolFlag{Name: "quiet", Usage: "do not tell the path and the seed on standard error"},
	)
}

const (
	listenPatience = 2 * time.Second // for the server's program to listen
	endPatience    = 2 * time.Second // for it to end when told to
)

func (p *program) labExec(c *cli.Context, args []string) (failed error) {
	if len(args) == 0 {
		return usage(errNoProgram)
	}
	at, err := pathFrom(c)
	if err != nil {
		return err
	}
	seed, err := seedFrom(c)
	if err != nil {
		return err
	}
	engine, err := engineFrom(c)
	if err != nil {
		return err
	}
	if engine == experiment.None {
		return usagef("--engine none has no lab to run a program in; known here: auto, emulator, kernel")
	}
	p.warn(unitNotes(c, at.lines))
	file, err := exec.LookPath(args[0])
	if err != nil {
		return usage(err)
	}
	pcap, err := openPcap(c)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, pcap.close()) }()
	// The terminal's interrupt reaches the program by itself.
	ctx := context.WithoutCancel(c.Context)
	l, err := lab.Start(ctx, lab.Config{
		Path: at.path, Seed: seed, Fate: at.fate, Changes: at.changes, Engine: lab.Engine(engine), Exact: c.IsSet("seed"),
	})
	if err != nil {
		return err
	}
	defer l.Close()
	if !c.Bool("quiet") {
		fmt.Fprintf(p.stderr, "netcmp lab: %s · seed %d\n", describe(at), seed)
		defer p.tellOverrun(l)
	}
	if len(pcap.files) > 0 {
		x, err := capture.Start(ctx, l, capture.Config{Pcap: pcap.files, Application: "netcmp " + tool().Version})
		if err != nil {
			return err
		}
		defer func() {
			failed = errors.Join(failed, x.Stop(crossing(at)))
			if n := x.Missed(); n > 0 {
				fmt.Fprintf(p.stderr, "netcmp lab: %d frames, each a packet or a GSO batch of several, are not in the file: they came faster than this machine could store them\n", n)
			}
		}()
	}
	env := append(os.Environ(),
		"NETCMP_SERVER="+lab.Server.Addr().String(), "NETCMP_SERVER6="+lab.Server.Addr6().String(),
		"NETCMP_CLIENT="+lab.Client.Addr().String(), "NETCMP_CLIENT6="+lab.Client.Addr6().String(),
	)
	stdin, stdout, stderr := asFile(p.stdin), asFile(p.stdout), asFile(p.stderr)
	if c.IsSet("server-exec") {
		server, err := l.Run(ctx, lab.Server, lab.Command{
			File: "/bin/sh", Args: []string{"sh", "-c", c.String("server-exec")}, Env: env,
			Files: []*os.File{nil, stderr, stderr},
		})
		if err != nil {
			return err
		}
		defer endServer(server)
		soon, cancel := context.WithTimeout(ctx, listenPatience)
		listening := server.Listening(soon)
		cancel()
		if !listening {
			select {
			case <-server.Done():
				if e := server.Wait(); e.Code != 0 || e.Signal != 0 {
					return fmt.Errorf("--server-exec: %v", e)
				}
			default: // it may not be a server at all
			}
		}
	}
	program, err := l.Run(ctx, lab.Client, lab.Command{File: file, Args: args, Env: env, Files: []*os.File{stdin, stdout, stderr}})
	if err != nil {
		return err
	}
	return p.accompany(program, l)
}

// crossing is how long the last packets of a program may be on their way, there and
// back.
func crossing(at conditions) time.Duration {
	return min(at.path.Up.LongestHold(1500)+at.path.Down.LongestHold(1500)+100*time.Millisecond, endPatience)
}

// describe says what the path is, for a line on standard error.
func describe(at conditions) string {
	words := func(i netem.Impairment) string {
		if i.IsClean() {
			return "clean"
		}
		return i.String()
	}
	text := words(at.path.Up) + " each way"
	if at.path.Up != at.path.Down {
		text = "up " + words(at.path.Up) + ", down " + words(at.path.Down)
	}
	if at.byDefault {
		text += " (the default: no path flag was given)"
	}
	return text
}

// tellOverrun says how many frames of the program got lost between the devices, if any
// did: longer than an MTU, or faster than the emulator could take them. It would look
// like loss.
func (p *program) tellOverrun(l *lab.Lab) {
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	link, _, err := l.Link(soon, 0)
	if n := link.Up.Oversize + link.Down.Oversize; err == nil && n > 0 {
		fmt.Fprintf(p.stderr, "netcmp lab: %d frames were longer than the MTU of the device that was to take them and are lost: give both ends of a link one MTU (1500 here), or send smaller packets\n", n)
	}
	if n := link.Up.Overrun + link.Down.Overrun; err == nil && n > 0 {
		fmt.Fprintf(p.stderr, "netcmp lab: the emulator was overrun: %d frames, each a packet or a train of some, came faster than this machine can carry them, and are lost\n", n)
	}
}

// asFile gives the file behind a stream; programs cannot be given another.
func asFile(v any) *os.File {
	f, _ := v.(*os.File)
	return f
}

func endServer(s *lab.Process) {
	_ = s.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-s.Done():
	case <-time.After(endPatience):
	}
}

// accompany waits for the program's end and takes over its exit code. A signal
// that only netcmp was sent is passed on.
func (p *program) accompany(program *lab.Process, l *lab.Lab) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGINT && isTerminal(p.stdin) {
				continue // the terminal has sent it to the program, too
			}
			if n, ok := s.(syscall.Signal); ok {
				_ = program.Signal(n)
			}
		case <-program.Done():
			e := program.Wait()
			switch {
			case e.Lost:
				return errors.Join(errors.New("the lab ended under the program"), l.Err())
			case e.Signal != 0:
				return exitError{code: 128 + e.Signal}
			case e.Code != 0:
				return exitError{code: e.Code}
			}
			return nil
		}
	}
}
