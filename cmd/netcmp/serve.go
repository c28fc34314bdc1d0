package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"netcmp/experiment"
	"netcmp/netem"
	"netcmp/netem/tc"
	"netcmp/peer"
	"netcmp/transport/secure"
)

const (
	trustCategory = "Who may come, and whom they meet"
	limitCategory = "Limits"
)

func (p *program) serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "the receiving end for another machine",
		UsageText: "netcmp serve [--listen IP:PORT --token-file FILE] [flags]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:7700", Usage: "where to listen, `IP:PORT`; sessions open ports of their own at the same address"},
			&cli.StringFlag{Name: "data-ports", Usage: "the ports that sessions open, `FIRST-LAST` as 7701-7710 (any)"},
			&cli.StringFlag{Name: "token", Usage: "what a client must know; demanded beyond loopback", EnvVars: []string{"NETCMP_TOKEN"}, Category: trustCategory},
			&cli.StringFlag{Name: "token-file", Usage: "the same, the first line of `FILE`", Category: trustCategory},
			&cli.BoolFlag{Name: "open", Usage: "let in whoever can reach the server, without a token", Category: trustCategory},
			&cli.StringFlag{Name: "identity", Usage: "keep the server's key and self-made certificate in `FILE`, so that its fingerprint stays; made if it is not there", Category: trustCategory},
			&cli.StringFlag{Name: "tls-cert", Usage: "a certificate that an authority has signed, `FILE` in PEM, instead of a self-made one", Category: trustCategory},
			&cli.StringFlag{Name: "tls-key", Usage: "its key, `FILE` in PEM", Category: trustCategory},
			&cli.BoolFlag{Name: "print-fingerprint", Usage: "print the fingerprint of --identity or --tls-cert, and do no more", Category: trustCategory},
			&cli.StringFlag{Name: "allow-netem", Usage: "let clients have netem on this network `DEVICE` for their session's packets while it lasts (run --impair; root)", Category: trustCategory},
			&cli.IntFlag{Name: "sessions", Value: 16, Usage: "sessions at once", Category: limitCategory},
			&cli.IntFlag{Name: "client-limit", Value: 16, Usage: "connections, and sessions, that a client address may have at once; 0 is any number", Category: limitCategory},
			timeFlag("idle-timeout", 2*time.Minute, "close a connection that has asked for nothing for so long, and a session of which no message has moved; 0 is never", limitCategory),
			timeFlag("max-duration", time.Hour, "of a session; 0 is any", limitCategory),
			&cli.Int64Flag{Name: "max-messages", Usage: "of a session, each way; 0 is any number", Category: limitCategory},
			&cli.StringFlag{Name: "max-rate", Usage: "of a session's messages, each way, `RATE` as 100mbit; sessions then may not saturate (any)", Category: limitCategory},
			&cli.Int64Flag{Name: "max-bytes", Usage: "of a session's messages, each way; 0 is any number", Category: limitCategory},
			timeFlag("grace", 30*time.Second, "how long a server that is asked to end lets its sessions go on", ""),
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "trace, debug, info, warn, error or disabled"},
		},
		Action: p.serve,
	}
}

// tokenFrom is the token that the flags give, or the file that they name.
func tokenFrom(c *cli.Context) (string, error) {
	name := c.String("token-file")
	switch {
	case !c.IsSet("token-file"):
		return c.String("token"), nil
	case c.IsSet("token"):
		return "", usagef("--token-file has the token: --token (or NETCMP_TOKEN) cannot stand beside it")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", usagef("--token-file: %w", err)
	}
	token, _, _ := strings.Cut(string(b), "\n")
	if token = strings.TrimSpace(token); token == "" {
		return "", usagef("--token-file %s: its first line is empty, and is to be the token", name)
	}
	return token, nil
}

// portsFrom reads a range of ports.
func portsFrom(text string) (ports [2]uint16, err error) {
	if text == "" {
		return ports, nil
	}
	a, b, _ := strings.Cut(text, "-")
	first, err1 := strconv.ParseUint(a, 10, 16)
	last, err2 := strconv.ParseUint(b, 10, 16)
	if err1 != nil || err2 != nil || first == 0 || first > last {
		return ports, usagef("--data-ports %q is no range of ports: give one as 7701-7710", text)
	}
	return [2]uint16{uint16(first), uint16(last)}, nil
}

// identityFrom is what the server is known by.
func identityFrom(c *cli.Context) (identity tls.Certificate, err error) {
	given := c.String("tls-cert") != "" || c.String("tls-key") != ""
	switch {
	case given && c.IsSet("identity"):
		return identity, usagef("--identity is a self-made certificate: --tls-cert cannot stand beside it")
	case given && (c.String("tls-cert") == "" || c.String("tls-key") == ""):
		return identity, usagef("--tls-cert and --tls-key go together")
	case given:
		if identity, err = tls.LoadX509KeyPair(c.String("tls-cert"), c.String("tls-key")); err != nil {
			return identity, usagef("--tls-cert: %w", err)
		}
	case c.IsSet("identity"):
		if identity, err = secure.LoadIdentity(c.String("identity")); err != nil {
			return identity, usagef("--identity: %w", err)
		}
	default:
		identity, err = secure.NewIdentity()
	}
	return identity, err
}

// serverPathFrom is how the server makes paths on a device.
func serverPathFrom(device string) (peer.ServerPath, error) {
	if _, err := tc.Show(device); err != nil {
		return peer.ServerPath{}, usagef("--allow-netem: %w", err)
	}
	if err := tc.Privileged(); err != nil {
		return peer.ServerPath{}, fmt.Errorf("--allow-netem: %w", err)
	}
	return peer.ServerPath{Device: device, Guard: guard}, nil
}

// serveFrom makes the server that the flags ask for, but for its token's file.
func serveFrom(c *cli.Context) (s peer.ServerConfig, addr netip.AddrPort, err error) {
	if addr, err = netip.ParseAddrPort(c.String("listen")); err != nil {
		return s, addr, usagef("--listen %q: give IP:PORT, as 127.0.0.1:7700 or [::1]:7700", c.String("listen"))
	}
	if s.Token, err = tokenFrom(c); err != nil {
		return s, addr, err
	}
	switch {
	case c.Bool("open") && s.Token != "":
		return s, addr, usagef("--open lets everybody in: a token cannot stand beside it")
	case !addr.Addr().IsLoopback() && s.Token == "" && !c.Bool("open"):
		return s, addr, usagef("--listen %v can be reached from other machines: give a --token-file or --token (or NETCMP_TOKEN) that clients must know, or say --open", addr)
	}
	if c.IsSet("allow-netem") {
		if s.Path, err = serverPathFrom(c.String("allow-netem")); err != nil {
			return s, addr, err
		}
	}
	if s.DataPorts, err = portsFrom(c.String("data-ports")); err != nil {
		return s, addr, err
	}
	for _, name := range []string{"idle-timeout", "max-duration", "grace"} {
		if d := c.Duration(name); d < 0 {
			return s, addr, usagef("--%s %v is negative; 0 is never, or any", name, d)
		}
	}
	for _, name := range []string{"client-limit", "max-messages", "max-bytes"} {
		if n := c.Int64(name); n < 0 {
			return s, addr, usagef("--%s %d is negative; 0 is any number", name, n)
		}
	}
	if n := c.Int("sessions"); n < 1 {
		return s, addr, usagef("--sessions %d: at least 1", n)
	}
	var rate netem.Rate // any
	if c.IsSet("max-rate") {
		if rate, err = netem.ParseRate(c.String("max-rate")); err != nil {
			return s, addr, usagef("--max-rate: %w", err)
		}
	}
	s.Transports, s.Addr = experiment.Transports(), addr.Addr()
	s.Sessions, s.ClientLimit, s.IdleTimeout = c.Int("sessions"), c.Int("client-limit"), c.Duration("idle-timeout")
	s.Limits = peer.Limits{Messages: c.Int64("max-messages"), Bytes: c.Int64("max-bytes"), Rate: rate, Duration: c.Duration("max-duration")}
	return s, addr, nil
}

func (p *program) serve(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("%q is not a flag, and serve takes no arguments", c.Args().First())
	}
	if c.Bool("print-fingerprint") {
		if !c.IsSet("identity") && !c.IsSet("tls-cert") {
			return usagef("--print-fingerprint is of an --identity or a --tls-cert: any other is made anew each time")
		}
		identity, err := identityFrom(c)
		if err == nil {
			_, err = fmt.Fprintln(p.stdout, secure.Fingerprint(identity.Certificate[0]))
		}
		return err
	}
	log, err := p.logger(c.String("log-level"))
	if err != nil {
		return err
	}
	config, addr, err := serveFrom(c)
	if err != nil {
		return err
	}
	p.warn(unitNotes(c, nil))
	identity, err := identityFrom(c)
	if err != nil {
		return err
	}
	config.Log, config.TLS = log, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{identity}}
	l, err := (&net.ListenConfig{Control: peer.Thin}).Listen(c.Context, "tcp", addr.String())
	if err != nil {
		return err
	}
	s := peer.NewServer(config)
	fmt.Fprintf(p.stderr, "serving on %v; measure with: netcmp run --proto tcp --connect %v --fingerprint %s%s\n",
		l.Addr(), l.Addr(), secure.Fingerprint(identity.Certificate[0]), map[bool]string{true: " --token-file FILE"}[config.Token != ""])
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // sd_notify(3); nobody may be listening
	ended := make(chan struct{})
	stop := context.AfterFunc(c.Context, func() {
		defer close(ended)
		_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
		log.Info().Stringer("grace", c.Duration("grace")).Msg("stopping: sessions that go on may end; once more, and they are cut")
		ctx, cancel := context.WithTimeout(context.Background(), c.Duration("grace"))
		defer cancel()
		s.Drain(ctx)
		_ = s.Close()
	})
	err = s.Serve(l)
	if !stop() {
		<-ended
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return exitError{code: exitInterrupted} // asked to: nothing to tell
}
