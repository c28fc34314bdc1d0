package netem

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The examples of docs/path.md are what they say, and so is its timeline.
func TestPathPage(t *testing.T) {
	b, err := os.ReadFile("../docs/path.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	row := regexp.MustCompile("(?m)^\\| .* \\| `([^|`]*)` \\| ")
	examples := row.FindAllStringSubmatch(page, -1)
	if len(examples) < 15 {
		t.Errorf("only %d examples found", len(examples))
	}
	for _, x := range examples {
		i, err := Parse(x[1])
		if err != nil || i.IsClean() {
			t.Errorf("%s: %v", x[1], err)
		}
	}
	_, rest, _ := strings.Cut(page, "```\n")
	lines, _, _ := strings.Cut(rest, "```")
	changes, err := Path{}.Timeline(strings.Split(lines, "\n"))
	if err != nil || len(changes) != 5 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
	for _, o := range options {
		if !strings.Contains(page, "`"+o.name) {
			t.Errorf("the page does not know %s", o.name)
		}
	}
}
