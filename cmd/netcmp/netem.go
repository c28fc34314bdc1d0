package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"netcmp/netem"
)

func (p *program) netemCommand() *cli.Command {
	return &cli.Command{
		Name: "netem", Usage: "path conditions in the words of tc netem",
		Subcommands: []*cli.Command{p.scriptCommand(), p.applyCommand(), p.showCommand(), p.clearCommand(), {
			Name: "profiles", Usage: "the paths that --profile knows, and where their figures come from",
			Action: func(c *cli.Context) error {
				if c.Args().Present() {
					return usagef("%q is not a flag, and profiles takes no arguments", c.Args().First())
				}
				for n, x := range netem.Profiles() {
					if n > 0 {
						fmt.Fprintln(p.stdout)
					}
					fmt.Fprintf(p.stdout, "%s: %s\n", x.Name, x.Note)
					if up, down := x.Path.Up.String(), x.Path.Down.String(); up == down {
						fmt.Fprintf(p.stdout, "  each way  %s\n", up)
					} else {
						fmt.Fprintf(p.stdout, "  up        %s\n  down      %s\n", up, down)
					}
					fmt.Fprintf(p.stdout, "  source    %s\n", x.Source)
				}
				return nil
			},
		}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("%q is not a command of netem; known: script, apply, show, clear, profiles", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}
