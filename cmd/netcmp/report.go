package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"netcmp/compare"
	"netcmp/report"
)

func (p *program) reportCommand() *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "show saved results again",
		UsageText: "netcmp report [--format FORMAT] FILE…   (- is standard input)",
		Description: "Single runs are shown one after the other; as markdown and CSV they stand beside each\n" +
			"other. Trials of a comparison are judged anew, all that belong together.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: formatNames},
			&cli.BoolFlag{Name: "json", Usage: "the same as --format json"},
		},
		Action: p.report,
	}
}

func (p *program) report(c *cli.Context) error {
	format, show, err := formatFrom(c)
	if err != nil {
		return err
	}
	if !c.Args().Present() {
		return usagef("which results? give the names of files (--out FILE wrote them), or - for standard input")
	}
	saved, failed := p.readAll(c.Args().Slice())
	o := report.Options{Color: report.UseColor(isTerminal(p.stdout), os.Getenv), Width: width(p.stdout)}
	first := true
	gap := func() {
		if !first && format != "json" {
			fmt.Fprintln(p.stdout)
		}
		first = false
	}
	documents := saved.Documents
	if format == "text" || format == "json" {
		// Alone they are what they were.
		var trials = documents[:0:0]
		for _, d := range documents {
			if d.Trial != nil {
				trials = append(trials, d)
				continue
			}
			gap()
			if err := p.show(p.stdout, d, format == "json"); err != nil {
				return err
			}
		}
		documents = trials
	}
	for _, x := range saved.Comparisons {
		documents = append(documents, x.Trials...)
	}
	for _, x := range compare.Saved(documents) {
		gap()
		if err := show(p.stdout, x, o); err != nil {
			return err
		}
	}
	return failed
}

// readAll reads files, and - for standard input. With an error comes what could
// be read.
func (p *program) readAll(names []string) (report.Saved, error) {
	var all report.Saved
	var failed error
	for _, name := range names {
		var saved report.Saved
		var err error
		if name == "-" {
			saved, err = readFrom(p.stdin, "standard input")
		} else {
			saved, err = readFiles(name)
		}
		failed = errors.Join(failed, err)
		all.Documents = append(all.Documents, saved.Documents...)
		all.Comparisons = append(all.Comparisons, saved.Comparisons...)
	}
	return all, failed
}

func readFiles(name string) (report.Saved, error) {
	f, err := os.Open(name)
	if err != nil {
		return report.Saved{}, err
	}
	defer f.Close()
	return readFrom(f, name)
}

var errNoResults = errors.New("it holds no results")

func readFrom(r io.Reader, name string) (report.Saved, error) {
	saved, err := report.Read(r)
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", name, err)
	case len(saved.Documents)+len(saved.Comparisons) == 0:
		err = fmt.Errorf("%s: %w", name, errNoResults)
	}
	return saved, err
}
