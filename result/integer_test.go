package result

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Integers come back as they were, and what goes out as a number is exact for a reader
// that holds it in a float64, as jq does.
func TestIntegersComeBack(t *testing.T) {
	type document struct {
		I  Int64   `json:"i"`
		U  Uint64  `json:"u"`
		PI *Int64  `json:"pi"`
		PU *Uint64 `json:"pu"`
	}
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.SampledFrom([]int64{0, 1<<53 - 1, 1 << 53, 1<<53 + 1, -1 << 53, -1<<53 - 1, math.MaxInt64, math.MinInt64})
		i := rapid.OneOf(rapid.Int64(), edge).Draw(t, "i")
		u := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1 << 53, 1<<53 + 1, math.MaxUint64})).Draw(t, "u")
		in := document{I: Int64(i), U: Uint64(u)}
		if rapid.Bool().Draw(t, "pointers") {
			in.PI, in.PU = &in.I, &in.U
		}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var loose map[string]any
		if err := json.Unmarshal(text, &loose); err != nil {
			t.Fatal(err)
		}
		for name, v := range loose {
			if f, ok := v.(float64); ok && math.Abs(f) > 1<<53 {
				t.Errorf("%s is the number %v in %s", name, f, text)
			}
		}
		if f, ok := loose["i"].(float64); ok != (i >= -1<<53 && i <= 1<<53) || ok && int64(f) != i {
			t.Errorf("%d went out in %s", i, text)
		}
		if f, ok := loose["u"].(float64); ok != (u <= 1<<53) || ok && uint64(f) != u {
			t.Errorf("%d went out in %s", u, text)
		}
		var out document
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		if out.I != in.I || out.U != in.U || (out.PI == nil) != (in.PI == nil) || (out.PU == nil) != (in.PU == nil) ||
			out.PI != nil && (*out.PI != in.I || *out.PU != in.U) {
			t.Errorf("%s came back as %+v", text, out)
		}
	})
}

// Documents of earlier versions have numbers of any size.
func TestIntegersFromNumbers(t *testing.T) {
	var d Document
	if err := json.Unmarshal([]byte(`{"seed":18446744073709551615,"instrument":{"clock":{"offset_ns":-9223372036854775808,"uncertainty_ns":null}}}`), &d); err != nil {
		t.Fatal(err)
	}
	if c := d.Instrument.Clock; d.Seed != math.MaxUint64 || c.OffsetNS == nil || *c.OffsetNS != math.MinInt64 || c.UncertaintyNS != nil {
		t.Errorf("seed %d, clock %+v", d.Seed, c)
	}
}

func FuzzIntegers(f *testing.F) {
	for _, s := range []string{`1`, `"1"`, `-1`, `"-9223372036854775808"`, `18446744073709551615`, `"18446744073709551616"`, `null`, `""`, `1.5`, `1e3`, `"0x1"`, `" 1"`, `"1_000"`, `true`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var i Int64
		if json.Unmarshal([]byte(text), &i) == nil {
			again(t, i)
		}
		var u Uint64
		if json.Unmarshal([]byte(text), &u) == nil {
			again(t, u)
		}
	})
}

// again holds an integer to coming back.
func again[T Int64 | Uint64](t *testing.T, n T) {
	t.Helper()
	text, err := json.Marshal(n)
	var back T
	if err != nil || json.Unmarshal(text, &back) != nil || back != n {
		t.Errorf("%d went out as %s and came back as %d (%v)", n, text, back, err)
	}
	if number := !strings.HasPrefix(string(text), `"`); number {
		var f float64
		if json.Unmarshal(text, &f) != nil || math.Abs(f) > 1<<53 {
			t.Errorf("%d went out as the number %s", n, text)
		}
	}
}
