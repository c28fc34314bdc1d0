package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"netcmp/lesson"
	"netcmp/report"
)

func (p *program) lessonCommand() *cli.Command {
	command := &cli.Command{
		Name: "lesson", Usage: "what TCP and UDP do, played for real and drawn packet by packet",
		UsageText: "netcmp lesson NAME [flags]",
		Description: "A lesson is played in a lab of its own. What it says stands on what was measured then; what it\n" +
			"claims is checked, and if a claim does not hold, the exit code is 1.",
		Flags: append(lessonFlags(), &cli.BoolFlag{Name: "list", Usage: "the lessons that there are"}),
		Action: func(c *cli.Context) error {
			switch {
			case c.Bool("list"):
				return p.listLessons(c)
			case c.Args().Present():
				_, err := lesson.Find(c.Args().First())
				return usage(err)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
	for _, l := range lesson.Lessons() {
		command.Subcommands = append(command.Subcommands, &cli.Command{
			Name: l.Name, Usage: l.Title, Flags: lessonFlags(),
			Action: func(c *cli.Context) error { return p.lesson(c, l) },
		})
	}
	return command
}

func lessonFlags() []cli.Flag {
	return append(pcapFlags(""),
		&cli.BoolFlag{Name: "json", Usage: "print one JSON document (" + lesson.Schema + ") and nothing else"},
		&cli.StringFlag{Name: "html", Usage: "write the lesson as one page to `FILE`, too"},
		&cli.StringFlag{Name: "lang", Value: string(lesson.English), Usage: "of titles and sentences: en or zh"},
		&cli.BoolFlag{Name: "quick", Usage: "do not wait for what takes a minute: state what the rest would be, by the kernel's own timer"},
		&cli.StringFlag{Name: "markdown", Usage: "write it as NAME.md with its drawings into `DIR`, too"},
	)
}

// given is where a flag was given: it may stand in front of the lesson's name or
// behind it.
func given(c *cli.Context, flag string) *cli.Context {
	for _, x := range c.Lineage() {
		if x.IsSet(flag) {
			return x
		}
	}
	return c
}

func (p *program) listLessons(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("--list takes no arguments, and %q is one", c.Args().First())
	}
	type entry struct {
		Name  string `json:"name"`
		Title string `json:"title"`
	}
	language, err := lesson.ParseLanguage(given(c, "lang").String("lang"))
	if err != nil {
		return usagef("--lang: %w", err)
	}
	var all []entry
	for _, l := range lesson.Lessons() {
		all = append(all, entry{l.Name, l.In(language)})
	}
	if c.Bool("json") {
		return p.encode(all)
	}
	for _, l := range all {
		fmt.Fprintf(p.stdout, "%-16s %s\n", l.Name, l.Title)
	}
	return nil
}

func (p *program) encode(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (p *program) lesson(c *cli.Context, l lesson.Lesson) error {
	if c.Args().Present() {
		return usagef("%q is not a flag, and a lesson takes no arguments", c.Args().First())
	}
	for _, flag := range []string{"html", "markdown"} {
		if x := given(c, flag); x.IsSet(flag) && x.String(flag) == "" {
			return usagef("--%s needs a name, and it is empty", flag)
		}
	}
	language, err := lesson.ParseLanguage(given(c, "lang").String("lang"))
	if err != nil {
		return usagef("--lang: %w", err)
	}
	pcap, err := openPcap(c)
	if err != nil {
		return err
	}
	o := lesson.Options{Language: language, Quick: given(c, "quick").Bool("quick"), Pcap: pcap.files}
	done := func() {}
	if isTerminal(p.stderr) {
		line := report.NewProgressLine(p.stderr, width(p.stderr), report.UseColor(true, os.Getenv))
		o.Waiting, done = line.Wait, line.Done
	}
	d, err := l.Run(c.Context, o)
	done()
	err = errors.Join(err, pcap.close())
	if c.Context.Err() != nil {
		return exitError{exitInterrupted, errors.New("interrupted: a lesson that was not played to its end says nothing")}
	}
	if err != nil {
		return err
	}
	d.Tool = tool()
	var failed error
	if name := given(c, "html").String("html"); name != "" {
		failed = writeFile(name, d.HTML)
	}
	if dir := given(c, "markdown").String("markdown"); dir != "" {
		failed = errors.Join(failed, writeLesson(dir, d))
	}
	if given(c, "json").Bool("json") {
		failed = errors.Join(failed, p.encode(d))
	} else {
		failed = errors.Join(failed, d.Text(p.stdout, width(p.stdout)))
	}
	if n := d.Disturbed(); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("lesson %s: this machine disturbed %d of its assertions, so nothing follows from them: close other programs and repeat", d.Name, n))
	}
	if n := len(d.Failed()) - d.Disturbed(); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("lesson %s: %d of its assertions did not hold", d.Name, n))
	}
	return failed
}

// writeLesson writes the lesson as a page and a drawing for each of its scenes.
func writeLesson(dir string, d *lesson.Document) error {
	drawing := func(scene int) string { return fmt.Sprintf("%s-%d.svg", d.Name, scene+1) }
	failed := writeFile(filepath.Join(dir, d.Name+".md"), func(w io.Writer) error { return d.Markdown(w, drawing) })
	for i, s := range d.Scenes {
		failed = errors.Join(failed, writeFile(filepath.Join(dir, drawing(i)), s.SVG))
	}
	return failed
}
