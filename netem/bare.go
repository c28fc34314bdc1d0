package netem

import (
	"fmt"
	"slices"
	"strings"
)

// BareNumbers returns a line for each time and rate of a specification that has no unit:
// it names the unit that tc takes, and what to write instead. Times are then
// microseconds and rates bit/s. It reads as far as the specification can be read, and
// says each thing once.
func BareNumbers(spec string) []string {
	p := specParser{words: strings.Fields(spec), given: map[string]bool{}}
	_, _ = p.parse() // what is wrong, Parse says
	return once(p.bare)
}

// BareInTimeline returns BareNumbers of the lines that Path.Timeline reads, with those of
// their instants.
func BareInTimeline(lines []string) (bare []string) {
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if at, err := ParseDuration(words[0]); err == nil && at != 0 && isBare(words[0]) {
			bare = append(bare, bareTime("the instant", words[0], "s for seconds"))
		}
		if words = words[1:]; len(words) > 0 && (words[0] == "up" || words[0] == "down") {
			words = words[1:]
		}
		bare = append(bare, BareNumbers(strings.Join(words, " "))...)
	}
	return once(bare)
}

// isBare reports whether a word is a number without a unit.
func isBare(word string) bool {
	_, unit, ok := splitNumber(word)
	return ok && unit == ""
}

// bareTime returns the line about a time; larger is a likelier unit, with its name.
func bareTime(name, word, larger string) string {
	return fmt.Sprintf("%s %s: taken as %s µs, as tc does; write %sus, or %s%s", name, word, word, word, word, larger)
}

// once returns the texts without those that are there already, in their order.
func once(texts []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(texts, func(s string) bool {
		defer func() { seen[s] = true }()
		return seen[s]
	})
}
