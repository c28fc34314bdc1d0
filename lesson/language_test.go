package lesson

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sentences are the calls whose arguments, from the given one on, are translated: a
// title is the first that is written out.
var sentences = map[string]int{
	"say": 1, "claim": 0, "found": 2, "words": 0,
	"play": 2, "playAfter": 2, "tell": 0, "watched": 2, "question": 2, "shortCall": 2, "visit": 2, "ask": 0,
	"lose": 0, "consult": 0, "secret": 3,
}

// all are the translated arguments of such a call: more than its first.
var all = map[string]int{"claim": 2, "found": 2, "lose": 2, "consult": 2}

// written is a string that is written out, in pieces or not.
func written(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		return s, x.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		a, one := written(x.X)
		b, other := written(x.Y)
		return a + b, one && other && x.Op == token.ADD
	}
	return "", false
}

// Every title and every sentence is there in Chinese, with the same figures in it, and
// nothing else is.
func TestChinese(t *testing.T) {
	wanted := map[string]bool{Holds: true, HoldsWhen: true, DoesNotHold: true}
	for _, l := range Lessons() {
		wanted[l.Title] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch f := call.Fun.(type) {
			case *ast.SelectorExpr:
				name = f.Sel.Name
			case *ast.Ident:
				name = f.Name
			}
			from, ok := sentences[name]
			if !ok {
				return true
			}
			left := max(all[name], 1)
			for _, argument := range call.Args[min(from, len(call.Args)):] {
				s, ok := written(argument)
				if ok && left > 0 && strings.Contains(s+",", " ") || ok && name == "words" || ok && name == "found" && left > 0 {
					wanted[s] = true
					left--
				}
			}
			return true
		})
	}
	page, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`call \$\.Words "([^"]*)"`).FindAllStringSubmatch(string(page), -1) {
		wanted[m[1]] = true
	}
	for _, word := range []string{"claim", "verdict", "when", "measured", "socket", "state", "with", "what", "expected", "holds", "does not hold"} {
		wanted[word] = true // heads of tables, and answers
	}
	verb := regexp.MustCompile(`%(?:\[(\d+)\])?([.\d]*[a-z%])`)
	verbs := func(s string) (found []string) {
		next := 1
		for _, m := range verb.FindAllStringSubmatch(s, -1) {
			if m[2] == "%" {
				found = append(found, "%")
				continue
			}
			if m[1] != "" {
				next, _ = strconv.Atoi(m[1])
			}
			found = append(found, strconv.Itoa(next)+m[2])
			next++
		}
		slices.Sort(found)
		return found
	}
	for s := range wanted {
		if chinese, ok := chinese[s]; !ok {
			t.Errorf("not there: %q", s)
		} else if a, b := verbs(s), verbs(chinese); !slices.Equal(a, b) {
			t.Errorf("%q has %v, and in Chinese %v", s, a, b)
		}
	}
	for s := range chinese {
		if !wanted[s] {
			t.Errorf("nobody says %q", s)
		}
	}
}

// Text is broken where its script allows it, and no line is wider than it may be.
func TestFoldChinese(t *testing.T) {
	var b strings.Builder
	fold(&b, chinese["The client goes by FIN_WAIT1 and FIN_WAIT2 to TIME_WAIT, where it remains: its last ACK may be lost, and then it has to say it again. The server goes by CLOSE_WAIT and LAST_ACK, and is done. The kernel told %d changes."], " · ", 40)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for _, line := range lines {
		if n := len([]rune(line)); n > 40 || strings.HasPrefix(strings.TrimSpace(line), "，") || strings.HasPrefix(strings.TrimSpace(line), "。") {
			t.Errorf("%q", line)
		}
	}
	if len(lines) < 4 {
		t.Errorf("%d lines", len(lines))
	}
}
