package report

import (
	"io"
	"strings"
	"time"
)

// Progress is how far a run has come.
type Progress struct {
	Label          string // what is running, where there is more than one thing: "udp, 3 of 6"
	Elapsed, Total time.Duration
	Sent           int64
	Delivered      int64
	Lost           int64
	Scheduled      int64  // 0: bounded by time alone
	DelayP50NS     *int64 // null before the first delivery
}

// ProgressLine is one line of a terminal that is written over and over. It is
// for terminals alone; the caller knows whether it has one.
//
// One goroutine owns a ProgressLine. Whoever writes something else to the
// terminal calls Done before that.
type ProgressLine struct {
	w     io.Writer
	width int
	color bool
	shown string
}

const (
	defaultWidth = 80
	eraseLine    = "\r\x1b[K"
)

// NewProgressLine makes a line for a terminal of width columns; 0 means 80.
func NewProgressLine(w io.Writer, width int, color bool) *ProgressLine {
	if width <= 0 {
		width = defaultWidth
	}
	return &ProgressLine{w: w, width: width, color: color}
}

// Update shows p.
func (l *ProgressLine) Update(p Progress) {
	l.show(l.fit(p))
}

// show writes the line. What cannot be written to the terminal is not worth an error.
func (l *ProgressLine) show(text string) {
	if text == l.shown {
		return
	}
	l.shown = text
	if l.color && text != "" {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	_, _ = io.WriteString(l.w, eraseLine+text)
}

// Wait shows how far a wait is, as a bar and in words.
func (l *ProgressLine) Wait(what string, elapsed, total time.Duration) {
	before := " " + printable(what) + " "
	after := " " + clockText(elapsed) + " of " + clockText(total)
	bar := ""
	// The last column stays free.
	if room := min(l.width-1-columns(before)-columns(after), barMost); room >= barLeast && total > 0 {
		done := int(float64(room) * min(max(float64(elapsed)/float64(total), 0), 1))
		bar = strings.Repeat("█", done) + strings.Repeat("░", room-done)
	}
	text := before + bar + after // two blanks where there is no bar
	if columns(text) >= l.width {
		text = ""
	}
	l.show(text)
}

// How wide a bar is, columns; where there is less room there is none.
const barLeast, barMost = 5, 40

// Done clears the line. Another Update shows it again.
func (l *ProgressLine) Done() {
	if l.shown == "" {
		return
	}
	l.shown = ""
	_, _ = io.WriteString(l.w, eraseLine)
}

// fit says as much as one line holds, figures whole: those that do not fit
// are left out, from the least important on. The last column stays free, for
// in it a terminal may begin the next line.
func (l *ProgressLine) fit(p Progress) string {
	line := ""
	for _, part := range p.parts() {
		next := " " + part
		if line != "" {
			next = line + " · " + part
		}
		if columns(next) >= l.width {
			break
		}
		line = next
	}
	return line
}

// parts are in the order of their importance, which is how a line reads, too.
func (p Progress) parts() []string {
	var parts []string
	if p.Label != "" {
		parts = append(parts, printable(p.Label))
	}
	clock := clockText(p.Elapsed)
	if p.Total > 0 {
		clock += " of " + clockText(p.Total)
	}
	parts = append(parts, clock)
	sent := Count(p.Sent)
	if p.Scheduled > 0 {
		sent += " of " + Count(p.Scheduled)
	}
	parts = append(parts, sent+" sent", Count(p.Delivered)+" delivered", Count(p.Lost)+" lost")
	if p.DelayP50NS != nil {
		parts = append(parts, "p50 "+Duration(*p.DelayP50NS))
	}
	return parts
}

// clockText writes a time that runs: its width changes as seldom as can be.
func clockText(d time.Duration) string {
	d = max(d, 0)
	if d < time.Minute {
		tenths := int64(d / (100 * time.Millisecond))
		return Count(tenths/10) + "." + Count(tenths%10) + " s"
	}
	seconds := int64(d / time.Second)
	two := func(n int64) string { return strings.Repeat("0", 2-min(2, len(Count(n)))) + Count(n) }
	if seconds < 3600 {
		return Count(seconds/60) + ":" + two(seconds%60) + " min"
	}
	return Count(seconds/3600) + ":" + two(seconds/60%60) + ":" + two(seconds%60) + " h"
}
