package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"netcmp/result"
)

// ParseFigureExpect reads a condition on a figure of a comparison, such as
//
//	delay_p99_ns<=50ms
//
// The left side is one of the metrics; the right side has the units that the
// metric's name tells.
func ParseFigureExpect(s string, metrics []string) (Expect, error) {
	return parseExpect(s, func(name string) (path, error) {
		if !slices.Contains(metrics, name) {
			return path{}, fmt.Errorf("%s is no metric; known: %s", name, strings.Join(metrics, ", "))
		}
		p := path{text: name, keys: []string{name}, typ: reflect.TypeFor[float64](), nullable: true}
		p.quantity = quantityOf(p)
		return p, nil
	})
}

// CheckFigure holds the condition against the median of a figure, nil for one
// that was not measured.
func (e Expect) CheckFigure(f *result.Figure) Outcome {
	switch {
	case f == nil || f.Median == nil && !f.Infinite:
		return e.judge(nil, false)
	case f.Infinite && e.value.kind != nullValue:
		return e.say(false, "it is infinite: that percentile falls among the lost messages")
	case f.Infinite:
		return e.judge(nil, false)
	}
	return e.judge(*f.Median, true)
}
