// Package report shows result documents: as text for a person, as JSON for a
// program, as a verdict on a condition for a script.
//
// Measuring and judging are apart. Everything here is computed from the
// document alone, so a result that was saved last year reads the same as one
// that has just been measured, and a sentence never says more than the figures
// beside it.
package report

// Options says how a text is laid out. The zero value is plain text without a
// limit on the length of lines, which is what a file or a pipe wants.
type Options struct {
	Color bool // bold and dim; nothing is told by them alone
	Width int  // columns of the terminal; 0: no line is folded
}

// UseColor tells whether to mark text up: only on a terminal, and not where
// the environment says otherwise, by NO_COLOR set to anything
// (https://no-color.org) or by a TERM that cannot do it.
func UseColor(isTerminal bool, env func(string) string) bool {
	return isTerminal && env("NO_COLOR") == "" && env("TERM") != "dumb"
}
