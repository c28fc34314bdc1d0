package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"netcmp/doctor"
)

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "what this machine can do, and how to mend what it cannot",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as a JSON array"}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("%q is not a flag, and doctor takes no arguments", c.Args().First())
			}
			checks := doctor.Examine(c.Context)
			if c.Context.Err() != nil {
				return exitError{code: exitInterrupted}
			}
			if c.Bool("json") {
				e := json.NewEncoder(p.stdout)
				e.SetIndent("", "  ")
				if err := e.Encode(checks); err != nil {
					return err
				}
			} else {
				for _, x := range checks {
					fmt.Fprintf(p.stdout, " %-8s %-12s %s\n", x.State, x.Name, x.Found)
					if x.Mend != "" {
						fmt.Fprintf(p.stdout, " %-8s %-12s   → %s\n", "", "", x.Mend)
					}
				}
			}
			for _, x := range checks {
				if x.Needs && x.State == doctor.Missing {
					return exitError{exitUnsupported, fmt.Errorf("this machine cannot hold a lab: netcmp run works with --engine none only")}
				}
			}
			return nil
		},
	}
}
