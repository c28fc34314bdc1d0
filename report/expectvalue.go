package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
)

type valueKind string

const (
	numberValue valueKind = "number"
	truthValue  valueKind = "truth value"
	textValue   valueKind = "text"
	nullValue   valueKind = "null"
)

// value is the right side of a condition. Of a number both readings are kept
// where there are two: a seed is an integer to its last digit, and 98% is the
// float64 that 0.98 is.
type value struct {
	kind    valueKind
	number  float64
	integer *big.Int // nil when the number is not whole
	truth   bool
	text    string
}

func (v value) compareInt(x *big.Int) int {
	if v.integer != nil {
		return x.Cmp(v.integer)
	}
	f, _ := new(big.Float).SetInt(x).Float64()
	return cmp.Compare(f, v.number)
}

func (v value) compareFloat(x float64) int { return cmp.Compare(x, v.number) }

// shift is a unit as a power of ten.
type shift struct {
	quantity quantity
	exponent int
}

var valueUnits = map[string]shift{
	"%":  {shareQuantity, -2},
	"ns": {timeQuantity, 0}, "us": {timeQuantity, 3}, "µs": {timeQuantity, 3}, "μs": {timeQuantity, 3},
	"ms": {timeQuantity, 6}, "s": {timeQuantity, 9},
	"bit": {rateQuantity, 0}, "kbit": {rateQuantity, 3}, "mbit": {rateQuantity, 6}, "gbit": {rateQuantity, 9}, "tbit": {rateQuantity, 12},
}

var quantityWords = map[quantity]string{
	pureQuantity:  "a number without a unit",
	shareQuantity: "a ratio; write 0.98 or 98%",
	timeQuantity:  "a time; its units are ns, us, ms, s",
	rateQuantity:  "a rate; its units are bit, kbit, mbit, gbit (a second)",
}

// parseValue reads the right side, as what the figure at p can be.
func parseValue(p path, literal string) (value, error) {
	if literal == "" {
		return value{}, errors.New("no value after the operator")
	}
	if literal == "null" {
		if !p.nullable {
			return value{}, fmt.Errorf("%s is never null", p.text)
		}
		return value{kind: nullValue}, nil
	}
	if !p.single() {
		return value{}, fmt.Errorf("%s is not one figure; near: %s", p.text, strings.Join(near(p.text), ", "))
	}
	switch p.typ.Kind() {
	case reflect.String:
		return value{kind: textValue, text: unquoted(literal)}, nil
	case reflect.Bool:
		if literal != "true" && literal != "false" {
			return value{}, fmt.Errorf("%s is true or false", p.text)
		}
		return value{kind: truthValue, truth: literal == "true"}, nil
	}
	return parseNumber(p, literal)
}

func unquoted(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// mostExponent keeps numbers to those that mean something.
const mostExponent = 40

// parseNumber reads a decimal number with a unit that suits p. The unit moves
// the decimal point before anything is rounded: 99.9% is 0.999 and nothing
// beside it.
func parseNumber(p path, literal string) (value, error) {
	bad := fmt.Errorf("%s is no number; %s is %s", literal, p.text, words(p.quantity))
	digits, name := splitUnit(literal)
	mantissa, exponentText, hasExponent := strings.Cut(strings.ToLower(digits), "e")
	if strings.Trim(mantissa, "+-.0123456789") != "" || !strings.ContainsAny(mantissa, "0123456789") {
		return value{}, bad
	}
	exponent := 0
	if hasExponent {
		var err error
		if exponent, err = strconv.Atoi(exponentText); err != nil {
			return value{}, bad
		}
	}
	if name != "" {
		key := strings.ToLower(name)
		s, known := valueUnits[strings.TrimSuffix(key, "/s")]
		if !known || strings.HasSuffix(key, "/s") && s.quantity != rateQuantity {
			return value{}, fmt.Errorf("%s is no unit; %s is %s", name, p.text, words(p.quantity))
		}
		if s.quantity != p.quantity {
			return value{}, fmt.Errorf("%s does not measure %s, which is %s", name, p.text, words(p.quantity))
		}
		exponent += s.exponent
	}
	if exponent < -mostExponent || exponent > mostExponent {
		return value{}, fmt.Errorf("%s is out of all range", literal)
	}
	v := value{kind: numberValue}
	whole := mantissa + "e" + strconv.Itoa(exponent)
	var err error
	if v.number, err = strconv.ParseFloat(whole, 64); err != nil || math.IsInf(v.number, 0) {
		return value{}, bad
	}
	if r, ok := new(big.Rat).SetString(whole); ok && r.IsInt() {
		v.integer = new(big.Int).Set(r.Num())
	}
	return v, nil
}

func words(q quantity) string {
	if w, ok := quantityWords[q]; ok {
		return w
	}
	return "free"
}

// splitUnit parts "10mbit" and "1.5 ms" after the number.
func splitUnit(s string) (digits, name string) {
	end := 0
	for end < len(s) {
		c := s[end]
		exponent := (c == 'e' || c == 'E') && end+1 < len(s) && strings.IndexByte("+-0123456789", s[end+1]) >= 0
		if strings.IndexByte("+-.0123456789", c) < 0 && !exponent {
			break
		}
		end++
	}
	return s[:end], strings.TrimSpace(s[end:])
}
