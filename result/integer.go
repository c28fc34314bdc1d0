package result

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// exact is 2^53. Many readers of JSON, jq and JavaScript among them, hold a number in a
// float64, which has every integer up to that magnitude and not every one above it
// (RFC 8259 §6).
const exact = 1 << 53

// Int64 is an integer that may be too large for readers of JSON: it marshals as a
// number up to a magnitude of 2^53 and as a string above. It unmarshals from either.
type Int64 int64

// MarshalJSON returns n as a number or as a string of decimal digits.
func (n Int64) MarshalJSON() ([]byte, error) {
	return integer(strconv.FormatInt(int64(n), 10), n >= -exact && n <= exact), nil
}

// UnmarshalJSON reads a number or a string of decimal digits; null leaves n as it is.
func (n *Int64) UnmarshalJSON(data []byte) error {
	text, err := digits(data)
	if err != nil || text == "" {
		return err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not an integer of 64 bits", data)
	}
	*n = Int64(v)
	return nil
}

// Uint64 is Int64 without negative numbers.
type Uint64 uint64

// MarshalJSON returns n as a number or as a string of decimal digits.
func (n Uint64) MarshalJSON() ([]byte, error) {
	return integer(strconv.FormatUint(uint64(n), 10), n <= exact), nil
}

// UnmarshalJSON reads a number or a string of decimal digits; null leaves n as it is.
func (n *Uint64) UnmarshalJSON(data []byte) error {
	text, err := digits(data)
	if err != nil || text == "" {
		return err
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not an integer of 64 bits, 0 or more", data)
	}
	*n = Uint64(v)
	return nil
}

// integer returns the JSON of an integer that is written as text.
func integer(text string, number bool) []byte {
	if number {
		return []byte(text)
	}
	return strconv.AppendQuote(nil, text)
}

// digits returns the text of a JSON number or string; "" for null.
func digits(data []byte) (text string, err error) {
	switch {
	case string(data) == "null":
		return "", nil
	case len(data) == 0 || data[0] != '"':
		return string(data), nil
	}
	if err = json.Unmarshal(data, &text); err == nil && text == "" {
		err = fmt.Errorf("%s is not an integer", data)
	}
	return text, err
}
