package lesson

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

type pageScene struct {
	*Scene
	Path    string
	Drawing template.HTML
	States  []pageState
}

type pageState struct{ At, Socket, State, With string }

// HTML writes the lesson as a page: one file that needs nothing else.
func (d *Document) HTML(w io.Writer) error {
	page := struct {
		Title, Language string
		Claims          []*Claim
		Scenes          []pageScene
		Words           func(string) string
	}{Title: d.Title, Language: string(d.language()), Claims: d.Claims, Words: d.options.Language.words}
	for _, s := range d.Scenes {
		x := pageScene{Scene: s, Path: s.path()}
		var b strings.Builder
		if err := s.SVG(&b); err != nil {
			return err
		}
		x.Drawing = template.HTML(b.String()) //nolint:gosec // drawn by capture, which escapes words
		for _, state := range s.States {
			x.States = append(x.States, pageState{state.at(s.Ladder.From()), state.socket(), state.State, strings.Join(state.With, ", ")})
		}
		page.Scenes = append(page.Scenes, x)
	}
	return pageTemplate.Execute(w, page)
}

// SVG writes the scene's ladder as a drawing.
func (s *Scene) SVG(w io.Writer) error {
	l := *s.Ladder
	l.Title = s.Title
	return l.SVG(w)
}

// Markdown writes the lesson as a page of a repository, whose drawings are files
// by the names that drawing gives them.
func (d *Document) Markdown(w io.Writer, drawing func(scene int) string) error {
	var b strings.Builder
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	fmt.Fprintf(&b, "# %s\n\n%s\n", d.Title, d.words("Made by `netcmp lesson %s`, which plays it anew.", d.Name))
	head := func(columns ...string) string {
		var line strings.Builder
		line.WriteString("|")
		for _, c := range columns {
			line.WriteString(" " + d.words(c) + " |")
		}
		return "\n" + line.String() + "\n" + "|" + strings.Repeat("---|", len(columns)) + "\n"
	}
	if len(d.Claims) > 0 {
		b.WriteString(head("claim", "verdict", "when", "measured", ""))
		for _, c := range d.Claims {
			sentence, verdict := "**"+c.Claim+"** "+d.words("That is: %s.", c.Means), fmt.Sprintf("**%s**", c)
			for _, f := range c.Findings {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(sentence), cell(verdict), cell(f.When), cell(f.Measured), f.answer())
				sentence, verdict = "", "" // they stand in the first of the rows
			}
		}
	}
	for i, s := range d.Scenes {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.Title, s.path())
		for _, x := range s.Steps {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(x.Text, "*", `\*`)) // a request's "*/*" is no emphasis
		}
		fmt.Fprintf(&b, "\n![%s](%s)\n", d.words("The packets"), drawing(i))
		if s.Axis != "" {
			fmt.Fprintf(&b, "\n```\n%s```\n", s.Axis)
		}
		if len(s.Table) > 0 {
			names := s.Columns()
			fmt.Fprintf(&b, "\n| | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
			for _, r := range s.Table {
				fmt.Fprintf(&b, "| %s | %s |\n", cell(r.Name), strings.Join(r.Cells(), " | "))
			}
		}
		if len(s.States) > 0 {
			b.WriteString(head("ms", "socket", "state", "with"))
			for _, x := range s.States {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", x.at(s.Ladder.From()), x.socket(), x.State, strings.Join(x.With, ", "))
			}
		}
		b.WriteString(head("what", "expected", "measured", "holds"))
		for _, a := range s.Assertions {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(a.Name), cell(a.Expected), cell(a.Measured), a.answer(s.language))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (a Assertion) answer(l Language) string {
	if a.Holds {
		return l.words("yes")
	}
	if a.Disturbed {
		return "**" + l.words("disturbed") + "**"
	}
	return "**" + l.words("no") + "**"
}
