package lesson

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// narrowest is the width below which text is not broken any further.
const narrowest = 60

// Text writes the lesson for a terminal that is so many columns wide; 0 is a usual
// one.
func (d *Document) Text(w io.Writer, width int) error {
	if width <= 0 {
		width = 100
	}
	width = max(width, narrowest)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", d.Name, d.Title)
	for _, c := range d.Claims {
		b.WriteByte('\n')
		fold(&b, fmt.Sprintf("“%s” %s", c.Claim, c), " ▪ ", width)
		fold(&b, d.words("That is: %s.", c.Means), "   ", width)
		for _, f := range c.Findings {
			fold(&b, f.String(), "   · ", width)
		}
	}
	for i, s := range d.Scenes {
		fmt.Fprintf(&b, "\n%d. %s\n   %s\n\n", i+1, s.Title, s.path())
		for _, x := range s.Steps {
			fold(&b, x.Text, " · ", width)
		}
		b.WriteByte('\n')
		if err := s.Ladder.Text(&b, width); err != nil {
			return err
		}
		if s.Axis != "" {
			b.WriteString("\n" + s.Axis)
		}
		if len(s.Table) > 0 {
			b.WriteByte('\n')
			s.table(&b)
		}
		if len(s.States) > 0 {
			b.WriteByte('\n')
			for _, x := range s.States {
				line := fmt.Sprintf("%12s ms  %-26s %-11s  %s", x.at(s.Ladder.From()), x.socket(), x.State, strings.Join(x.With, ", "))
				b.WriteString(strings.TrimRight(line, " ") + "\n")
			}
		}
		b.WriteByte('\n')
		for _, a := range s.Assertions {
			fold(&b, a.in(s.language), a.mark(s.language), width)
		}
	}
	failed := d.Failed()
	all := 0
	for _, s := range d.Scenes {
		all += len(s.Assertions)
	}
	b.WriteString("\n" + d.words("%d of %d assertions hold", all-len(failed), all) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// table writes the scene's table in columns.
func (s *Scene) table(b *strings.Builder) {
	rows := [][]string{append([]string{""}, s.Columns()...)}
	for _, r := range s.Table {
		rows = append(rows, append([]string{r.Name}, r.Cells()...))
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(b, "   %-*s", widths[0], row[0])
		for i := 1; i < len(row); i++ {
			fmt.Fprintf(b, "  %*s", widths[i], row[i])
		}
		b.WriteByte('\n')
	}
}

// Columns are the names of the figures of the scene's table.
func (s *Scene) Columns() (names []string) {
	if len(s.Table) > 0 {
		for _, f := range s.Table[0].Figures {
			names = append(names, f.Name)
		}
	}
	return names
}

// Cells are the row's figures in words, under Columns.
func (r Row) Cells() (cells []string) {
	for _, f := range r.Figures {
		if f.Unit == "ns" {
			cells = append(cells, ms(time.Duration(f.Value)))
		} else {
			cells = append(cells, strconv.FormatInt(f.Value, 10))
		}
	}
	return cells
}

// path says what the scene's path does.
func (s *Scene) path() string {
	if s.Up == "" && s.Down == "" {
		return s.language.words("the path: nothing happens on it")
	}
	if s.Up == s.Down {
		return fmt.Sprintf(s.language.words("the path: %s each way"), s.Up)
	}
	return fmt.Sprintf(s.language.words("the path: up %s, down %s"), s.Up, s.Down)
}

// in is the assertion, and what was measured, in a line.
func (a Assertion) in(l Language) string {
	if a.Expected == a.Measured {
		return a.Name + ": " + a.Measured
	}
	return a.Name + ": " + a.Measured + " " + fmt.Sprintf(l.words("(expected: %s)"), a.Expected)
}

func (a Assertion) mark(l Language) string {
	if a.Holds {
		return " ✓ "
	}
	if a.Disturbed {
		return " ~ " + l.words("DISTURBED, so nothing follows") + ": "
	}
	return " ✗ " + l.words("DOES NOT HOLD") + ": "
}

// at is when the state was first seen, milliseconds from an origin on.
func (s State) at(origin int64) string { return fmt.Sprintf("%.3f", float64(s.Since-origin)/1e6) }

// socket says whose state it is.
func (s State) socket() string {
	if s.Peer == 0 {
		return fmt.Sprintf("%s :%d, for any", s.Host, s.Local)
	}
	return fmt.Sprintf("%s :%d, for :%d", s.Host, s.Local, s.Peer)
}

// fold writes words on lines of so many columns, the first behind a mark.
func fold(b *strings.Builder, text, mark string, width int) {
	at := utf8.RuneCountInString(mark)
	indent := strings.Repeat(" ", min(at, 3))
	b.WriteString(mark)
	begun := false
	for word := range strings.FieldsSeq(text) {
		space := 1
		for _, part := range breakable(word) {
			n := uniseg.StringWidth(part)
			if begun && at+space+n > width {
				b.WriteString("\n" + indent)
				at, begun = len(indent), false
			}
			if begun {
				b.WriteString(strings.Repeat(" ", space))
				at += space
			}
			b.WriteString(part)
			at += n
			begun, space = true, 0
		}
	}
	b.WriteByte('\n')
}

// breakable are the parts of a word between which a line may end: of Chinese, which
// has no spaces, those of UAX #14; of what is narrow, the word.
func breakable(word string) (parts []string) {
	if uniseg.StringWidth(word) == utf8.RuneCountInString(word) {
		return []string{word}
	}
	for state := -1; word != ""; {
		var part string
		part, word, _, state = uniseg.FirstLineSegmentInString(word, state)
		parts = append(parts, part)
	}
	return parts
}
