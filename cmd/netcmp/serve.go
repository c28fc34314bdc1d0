package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/urfave/cli/v2"

	"netcmp/experiment"
	"netcmp/peer"
)

func (p *program) serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "the receiving end for another machine",
		UsageText: "netcmp serve [--listen HOST:PORT --token TOKEN]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:7700", Usage: "where to listen, `IP:PORT`; sessions open ports of their own at the same address"},
			&cli.StringFlag{Name: "token", Usage: "what a client must know; demanded beyond loopback", EnvVars: []string{"NETCMP_TOKEN"}},
			&cli.DurationFlag{Name: "idle-timeout", Value: 2 * time.Minute, Usage: "close a connection that has asked for nothing for so long, and a session of which no message has moved; 0 is never"},
			&cli.IntFlag{Name: "client-limit", Value: 16, Usage: "connections, and sessions, that a client address may have at once; 0 is any number"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "trace, debug, info, warn, error or disabled"},
		},
		Action: p.serve,
	}
}

func (p *program) serve(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("%q is not a flag, and serve takes no arguments", c.Args().First())
	}
	log, err := p.logger(c.String("log-level"))
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddrPort(c.String("listen"))
	if err != nil {
		return usagef("--listen %q: give IP:PORT, as 127.0.0.1:7700 or [::1]:7700", c.String("listen"))
	}
	if !addr.Addr().IsLoopback() && c.String("token") == "" {
		return usagef("--listen %v can be reached from other machines: give a --token (or NETCMP_TOKEN) that clients must know", addr)
	}
	if d := c.Duration("idle-timeout"); d < 0 {
		return usagef("--idle-timeout %v is negative; 0 is never", d)
	}
	if n := c.Int("client-limit"); n < 0 {
		return usagef("--client-limit %d is negative; 0 is any number", n)
	}
	l, err := (&net.ListenConfig{}).Listen(c.Context, "tcp", addr.String())
	if err != nil {
		return err
	}
	s := peer.NewServer(peer.ServerConfig{
		Transports: experiment.Transports(), Addr: addr.Addr(), Token: c.String("token"), Log: log,
		IdleTimeout: c.Duration("idle-timeout"), ClientLimit: c.Int("client-limit"),
	})
	fmt.Fprintf(p.stderr, "serving on %v; measure with: netcmp run --proto tcp --connect %v\n", l.Addr(), l.Addr())
	stop := context.AfterFunc(c.Context, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return exitError{code: exitInterrupted} // asked to: nothing to tell
}
