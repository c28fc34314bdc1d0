// Command netcmp sends the same numbered messages over TCP and UDP through a
// path with loss and delay, and accounts for every one of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"netcmp/doctor"
	"netcmp/experiment"
	"netcmp/lab"
	"netcmp/lesson"
	"netcmp/netem/tc"
	"netcmp/report"
	"netcmp/result"
)

// Set by the linker; see the Makefile.
var (
	version = "dev"
	commit  = "unknown"
)

// Exit codes; scripts hold us by them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnsupported = 3
	exitExpect      = 4
	exitInterrupted = 130
)

func main() {
	roles := experiment.Roles()
	maps.Copy(roles, doctor.Roles())
	maps.Copy(roles, lesson.Roles())
	roles[guardRole] = tc.GuardMain
	lab.Dispatch(roles)
	// A file that may not grow is an error of the write, not our end.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// A second signal ends the program there and then; the lab goes with it.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// program is what a command needs of its process.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// exitError makes run return its code. A command whose failure has already
// been told gives one without a cause.
type exitError struct {
	code  int
	cause error
}

func (e exitError) Error() string {
	if e.cause == nil {
		return ""
	}
	return e.cause.Error()
}

func (e exitError) Unwrap() error { return e.cause }

func usage(err error) error { return exitError{exitUsage, err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// run is the whole program. The first interrupt ends ctx, and what was
// measured until then is reported.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	app := &cli.App{
		Name:  "netcmp",
		Usage: "TCP is a phone call, UDP is a letter: measure it",
		Description: "Sends the same numbered messages over a transport through a path with loss and delay\n" +
			"(by default an emulated one: no root, no kernel module), and accounts for every message.",
		Version:              version,
		Reader:               stdin,
		Writer:               stdout,
		ErrWriter:            stderr,
		HideHelpCommand:      true,
		EnableBashCompletion: true,
		Suggest:              true,
		ExitErrHandler:       func(*cli.Context, error) {}, // cli.Exit would skip what is deferred
		OnUsageError:         func(_ *cli.Context, err error, _ bool) error { return usage(err) },
		Commands: []*cli.Command{
			p.runCommand(), p.compareCommand(), p.findRateCommand(), p.monitorCommand(), p.reportCommand(), p.serveCommand(), p.labCommand(), p.netemCommand(), p.lessonCommand(), p.doctorCommand(), manCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("%q is not a command; known: run, compare, find-rate, monitor, report, serve, lab, netem, lesson, doctor (netcmp --help)", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		usageErrors(c)
	}
	return p.code(app.RunContext(ctx, joinChanges(args)))
}

// usageErrors makes a wrong flag of a command one line, and not its help.
func usageErrors(c *cli.Command) {
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usage(err) }
	for _, sub := range c.Subcommands {
		usageErrors(sub)
	}
}

// code tells the user of an error and gives the exit code for it.
func (p *program) code(err error) int {
	if err == nil {
		return exitDone
	}
	// Of which kind it is, the exit code says.
	if text := strings.TrimSuffix(err.Error(), " ("+experiment.ErrUsage.Error()+")"); text != "" {
		fmt.Fprintln(p.stderr, "netcmp:", text)
	}
	var e exitError
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, experiment.ErrUsage):
		return exitUsage
	case errors.Is(err, lab.ErrUnsupported), errors.Is(err, experiment.ErrUnsupported),
		errors.Is(err, tc.ErrNoNetem), errors.Is(err, tc.ErrPrivilege):
		return exitUnsupported
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

func (p *program) logger(level string) (zerolog.Logger, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), usagef("log level %q is unknown; known: trace, debug, info, warn, error, disabled", level)
	}
	w := zerolog.ConsoleWriter{Out: p.stderr, NoColor: !report.UseColor(isTerminal(p.stderr), os.Getenv)}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is that of the terminal, in columns; 0 for anything else.
func width(v any) int {
	f, ok := v.(*os.File)
	if !ok {
		return 0
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

func tool() result.Tool { return result.Tool{Version: version, Commit: commit} }

func manCommand() *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page (netcmp man | man -l -)", Hidden: true,
		Action: func(c *cli.Context) error {
			page, err := c.App.ToManWithSection(1)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.App.Writer, page)
			return err
		},
	}
}
