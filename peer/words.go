package peer

import (
	"strings"
	"unicode"
)

// wordsMax bounds what the other end can have printed in one go, runes.
const wordsMax = 2000

// words are what the server has said, fit to be printed: in a terminal some characters
// are commands, and a line break would make a line look like one of ours.
func words(said string) string {
	var b strings.Builder
	n := 0
	for _, r := range said {
		if n++; n > wordsMax {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// tidy makes what a report says in words fit to be printed.
func (r *EndReport) tidy() {
	if r == nil {
		return
	}
	r.Error, r.Stats.Congestion = words(r.Error), words(r.Stats.Congestion)
	if r.Sent != nil {
		r.Sent.Error = words(r.Sent.Error)
	}
	if n := r.Stats.Connections; n != nil {
		n.Error = words(n.Error)
	}
}
