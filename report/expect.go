package report

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"netcmp/result"
)

// Expect is a condition on a result document, such as
//
//	delivery.ratio>=0.99
//	delay.p99_ns<=50ms
//	speed.goodput_bps > 10mbit
//	interrupted==false
//
// The left side is a path into the document by the names of its JSON, the
// right side a number, true, false, null or a text.
type Expect struct {
	text  string
	path  path
	op    string
	value value
}

// Outcome is what came of a condition.
type Outcome struct {
	Holds bool
	Text  string // a line for a person, with the figure that decided
}

var operators = []string{">=", "<=", "==", "!=", ">", "<", "="}

// ParseExpect reads a condition, and refuses what no document can answer: a
// quantity that is not in it, a time where there is a ratio. So a mistake
// costs no run.
func ParseExpect(s string) (Expect, error) { return parseExpect(s, parsePath) }

// SplitExpect parts a condition at its operator.
func SplitExpect(s string) (left, op, right string, err error) {
	begin := strings.IndexAny(s, "<>=!")
	if begin < 0 {
		return "", "", "", errors.New("no operator; known: >=, <=, >, <, ==, !=")
	}
	end := begin
	for end < len(s) && strings.IndexByte("<>=!", s[end]) >= 0 {
		end++
	}
	left, op, right = strings.TrimSpace(s[:begin]), s[begin:end], strings.TrimSpace(s[end:])
	if !slices.Contains(operators, op) {
		return "", "", "", fmt.Errorf("%s is no operator; known: >=, <=, >, <, ==, !=", op)
	}
	if op == "=" {
		op = "=="
	}
	return left, op, right, nil
}

// parseExpect reads a condition whose left side is what find knows.
func parseExpect(s string, find func(string) (path, error)) (Expect, error) {
	fail := func(err error) (Expect, error) { return Expect{}, fmt.Errorf("expect %q: %w", s, err) }
	name, op, literal, err := SplitExpect(s)
	if err != nil {
		return fail(err)
	}
	p, err := find(name)
	if err != nil {
		return fail(err)
	}
	v, err := parseValue(p, literal)
	if err != nil {
		return fail(err)
	}
	if v.kind != numberValue && op != "==" && op != "!=" {
		return fail(fmt.Errorf("%s compares numbers; %s can be == or != only", op, literal))
	}
	return Expect{text: strings.TrimSpace(s), path: p, op: op, value: v}, nil
}

// String is the condition as it was given.
func (e Expect) String() string { return e.text }

// Check holds the condition against a document. A quantity that was not
// measured holds to nothing but ==null.
func (e Expect) Check(d *result.Document) Outcome {
	if e.text == "" {
		return Outcome{Text: "expect: no condition"}
	}
	o := e.check(d)
	if d != nil && d.IsDisturbed() {
		o.Text += "; this run was disturbed, so repeat it before believing either answer"
	}
	return o
}

func (e Expect) check(d *result.Document) Outcome {
	found, ok := e.path.in(d)
	if !ok && e.value.kind != nullValue && e.path.lostPercentile(d) {
		return e.say(false, "it is infinite: that percentile falls among the lost messages")
	}
	return e.judge(found, ok)
}

func (e Expect) say(holds bool, what string) Outcome {
	words := "does not hold"
	if holds {
		words = "holds"
	}
	return Outcome{Holds: holds, Text: "expect " + printable(e.text) + ": " + words + ", " + what}
}

// judge holds the condition against a figure, or against none.
func (e Expect) judge(found any, ok bool) Outcome {
	switch {
	case !ok && e.value.kind == nullValue:
		return e.say(e.op == "==", "it was not measured")
	case !ok:
		return e.say(false, "it was not measured")
	case e.value.kind == nullValue:
		return e.say(e.op == "!=", "it was measured")
	}
	if kind := kindOf(found); kind != string(e.value.kind) { // in a part of the document that is free
		return e.say(false, "it is a "+kind+", not a "+string(e.value.kind))
	}
	switch found := found.(type) {
	case bool:
		return e.say((found == e.value.truth) == (e.op == "=="), fmt.Sprintf("it is %t", found))
	case string:
		return e.say((found == e.value.text) == (e.op == "=="), fmt.Sprintf("it is %q", found))
	case *big.Int:
		sign := e.value.compareInt(found)
		return e.say(holds(e.op, sign), "it is "+e.exact(found, sign))
	default:
		x, _ := found.(float64)
		sign := e.value.compareFloat(x)
		return e.say(!math.IsNaN(x) && holds(e.op, sign), "it is "+e.measured(x, sign))
	}
}

func holds(op string, sign int) bool {
	switch op {
	case ">=":
		return sign >= 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	case "<":
		return sign < 0
	case "!=":
		return sign != 0
	default:
		return sign == 0
	}
}

// exact writes an integer quantity: a time in its unit, anything else as it
// is.
func (e Expect) exact(n *big.Int, sign int) string {
	if e.path.quantity != timeQuantity || !n.IsInt64() || n.Sign() == 0 {
		return n.String()
	}
	return e.measured(float64(n.Int64()), sign)
}

// measured writes a figure with as few digits as tell it from the bound: 4
// where that will do, since "0.99 is not >=0.99" would puzzle.
func (e Expect) measured(x float64, sign int) string {
	u := unit{"", 1}
	switch e.path.quantity {
	case timeQuantity:
		u = unitOf(x, timeUnits)
	case rateQuantity:
		u = unitOf(x, bitUnits)
	}
	for digits := 4; digits < 17; digits++ {
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(x/u.factor, 'e', digits-1, 64), 64)
		if err != nil {
			break
		}
		if e.value.compareFloat(rounded*u.factor) == sign {
			return strings.TrimSpace(plain(rounded) + " " + u.name)
		}
	}
	return strings.TrimSpace(plain(x/u.factor) + " " + u.name)
}

// plain writes all digits, and no exponent where a person would not.
func plain(x float64) string {
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x+0, 'f', -1, 64)
}

func unitOf(x float64, units []unit) unit {
	u := units[0]
	for _, next := range units[1:] {
		if math.Abs(x) >= next.factor {
			u = next
		}
	}
	return u
}

// kindOf is the kind of value a figure can be held against.
func kindOf(found any) string {
	switch found.(type) {
	case bool:
		return string(truthValue)
	case string:
		return string(textValue)
	case *big.Int, float64:
		return string(numberValue)
	default:
		return "list or section"
	}
}
