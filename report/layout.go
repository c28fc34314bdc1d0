package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A row of the text: a label, up to two aligned cells, and what is said
// beside them. A row with no cells says it from the first cell's column on.
type row struct {
	label string
	a, b  string
	c     string
	loud  bool // the cells differ from what one hopes for
}

const (
	labelWidth = 11
	cellGap    = 2
	minA, minB = 16, 10
	hanging    = 30 // columns a folded text needs beside the cells, or it goes below them
)

// nbsp holds a figure and its word together when a line is folded; it is
// written as a plain space.
const nbsp = "\u00a0"

// page lays rows and paragraphs out on lines.
type page struct {
	b strings.Builder
	o Options
}

func (p *page) blank() { p.b.WriteByte('\n') }

// rows writes rows whose cells line up with each other.
func (p *page) rows(rows []row) {
	widthA, widthB := minA, minB
	for _, r := range rows {
		widthA, widthB = max(widthA, columns(r.a)), max(widthB, columns(r.b))
	}
	for _, r := range rows {
		cells := ""
		if r.a != "" || r.b != "" {
			cells = pad(r.a, widthA+cellGap) + pad(r.b, widthB+cellGap)
		}
		p.row(r, cells)
	}
}

func (p *page) row(r row, cells string) {
	room := p.room()
	label := p.dim(pad(r.label, labelWidth))
	if r.label == "warning" {
		label = p.bold(pad(r.label, labelWidth))
	}
	emphasis := func(s string) string {
		if !r.loud {
			return s
		}
		return p.bold(s)
	}
	room -= labelWidth
	body := strings.TrimRight(cells+r.c, " ")
	if columns(body) <= room {
		p.line(label, emphasis(strings.TrimRight(cells, " "))+body[len(strings.TrimRight(cells, " ")):])
		return
	}
	indent := strings.Repeat(" ", labelWidth)
	if beside := room - columns(cells); beside >= hanging {
		for i, part := range fold(r.c, beside) {
			if i == 0 {
				p.line(label, emphasis(cells)+part)
			} else {
				p.line(indent, strings.Repeat(" ", columns(cells))+part)
			}
		}
		return
	}
	first := true
	for _, text := range []string{strings.Join(strings.Fields(r.a+"  "+r.b), " "), r.c} {
		for _, part := range fold(text, room) {
			switch {
			case part == "":
				continue
			case first:
				p.line(label, emphasis(part))
			default:
				p.line(indent, part)
			}
			first = false
		}
	}
}

// paragraph writes sentences, folded to the page.
func (p *page) paragraph(text string) {
	for _, part := range fold(text, p.room()) {
		p.line("", part)
	}
}

// verbatim writes a row that is never folded, so that it can be copied.
func (p *page) verbatim(label, text string) {
	p.line(p.dim(pad(label, labelWidth)), text)
}

func (p *page) line(label, body string) {
	p.b.WriteString(" ")
	p.b.WriteString(strings.TrimRight(strings.ReplaceAll(label+body, nbsp, " "), " "))
	p.b.WriteByte('\n')
}

// room is the width of a line without the space it begins with.
func (p *page) room() int {
	if p.o.Width <= 0 {
		return 1 << 30
	}
	return max(p.o.Width-1, labelWidth+8)
}

func (p *page) bold(s string) string { return p.marked("1", s) }
func (p *page) dim(s string) string  { return p.marked("2", s) }

func (p *page) marked(code, s string) string {
	if !p.o.Color || strings.TrimSpace(s) == "" {
		return s
	}
	text := strings.TrimRight(s, " ")
	return "\x1b[" + code + "m" + text + "\x1b[0m" + s[len(text):]
}

// fold breaks text into lines of at most width columns, at spaces. A figure
// stays with what follows it: its unit, or the thing it counts.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range unbroken(text) {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = strings.TrimPrefix(word, "· ")
		}
	}
	return append(lines, line)
}

// unbroken splits text into the pieces that a line end may come between.
func unbroken(text string) []string {
	var pieces []string
	for word := range strings.SplitSeq(text, " ") {
		if word == "" {
			continue
		}
		if n := len(pieces); n > 0 && (endsInFigure(pieces[n-1]) || pieces[n-1] == "·") {
			pieces[n-1] += " " + word
		} else {
			pieces = append(pieces, word)
		}
	}
	return pieces
}

func endsInFigure(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsDigit(r) || strings.ContainsRune("∞×±", r)
}

// columns counts the terminal columns of text, none of which is wide here.
func columns(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// printable makes a string from a document safe for a terminal: a saved file
// may come from anywhere, and an escape sequence in it must not act.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
