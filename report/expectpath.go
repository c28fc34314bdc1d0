package report

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"netcmp/result"
)

// A quantity tells which units a figure may be compared in.
type quantity int

const (
	pureQuantity  quantity = iota // a count, a size, a seed
	shareQuantity                 // a ratio: percent
	timeQuantity
	rateQuantity // bits per second
)

// path leads to one figure of the document.
type path struct {
	text     string
	keys     []string
	typ      reflect.Type // at the end, without pointers; an interface in the free parts
	quantity quantity
	nullable bool
}

// parsePath follows the names through the document's type.
func parsePath(text string) (path, error) {
	if text == "" {
		return path{}, fmt.Errorf("no quantity before the operator, such as delivery.ratio")
	}
	p := path{text: text, keys: strings.Split(text, "."), typ: reflect.TypeFor[result.Document]()}
	unknownPath := func() error {
		return fmt.Errorf("%s is not in a result document; near: %s", text, strings.Join(near(text), ", "))
	}
	for _, key := range p.keys {
		switch p.typ.Kind() {
		case reflect.Struct:
			f, ok := fieldNamed(p.typ, key)
			if !ok {
				return path{}, unknownPath()
			}
			p.typ = f.Type
		case reflect.Slice, reflect.Array:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || strconv.Itoa(i) != key {
				return path{}, fmt.Errorf("%s: %q is no place in a list; they are 0, 1, 2…", text, key)
			}
			if p.typ.Kind() == reflect.Array && i >= p.typ.Len() {
				return path{}, fmt.Errorf("%s: the places there end at %d", text, p.typ.Len()-1)
			}
			p.nullable = p.nullable || p.typ.Kind() == reflect.Slice
			p.typ = p.typ.Elem()
		case reflect.Map:
			if !validKey(p.typ.Key(), key) {
				return path{}, fmt.Errorf("%s: %q is no number", text, key)
			}
			p.nullable = true
			p.typ = p.typ.Elem()
		default:
			return path{}, unknownPath()
		}
		for p.typ.Kind() == reflect.Pointer {
			p.nullable = true
			p.typ = p.typ.Elem()
		}
	}
	switch p.typ.Kind() {
	case reflect.Slice, reflect.Map:
		p.nullable = true
	}
	p.quantity = quantityOf(p)
	return p, nil
}

func validKey(t reflect.Type, key string) bool {
	if t.Kind() == reflect.String {
		return key != ""
	}
	_, err := strconv.ParseInt(key, 10, 64)
	return err == nil
}

// single tells whether the path ends at one figure and not at a section.
func (p path) single() bool {
	switch p.typ.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Map:
		return false
	}
	return true
}

// quantityOf reads the unit off the names, which is where the document has
// it: the nearest name that tells one.
func quantityOf(p path) quantity {
	for _, key := range slices.Backward(p.keys) {
		switch {
		case strings.HasSuffix(key, "_ns"):
			return timeQuantity
		case strings.HasSuffix(key, "_bps"):
			return rateQuantity
		case key == "overhead_ratio": // a multiple, but 110% of the payload is fair enough
			return shareQuantity
		case key == "ratio", strings.HasSuffix(key, "_ratio"), key == "density", key == "n_reordering":
			return shareQuantity
		}
	}
	return pureQuantity
}

// in finds the figure: a bool, a string, a *big.Int or a float64, or a section. It is not ok when the figure is null, or
// the list too short.
func (p path) in(d *result.Document) (found any, ok bool) {
	if d == nil {
		return nil, false
	}
	v := reflect.ValueOf(d)
	for _, key := range p.keys {
		if v = settle(v); !v.IsValid() {
			return nil, false
		}
		switch v.Kind() {
		case reflect.Struct:
			f, known := fieldNamed(v.Type(), key)
			if !known {
				return nil, false
			}
			v = v.FieldByIndex(f.Index)
		case reflect.Slice, reflect.Array:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= v.Len() {
				return nil, false
			}
			v = v.Index(i)
		case reflect.Map:
			k := reflect.New(v.Type().Key()).Elem()
			if k.Kind() == reflect.String {
				k.SetString(key)
			} else {
				n, err := strconv.ParseInt(key, 10, 64)
				if err != nil {
					return nil, false
				}
				k.SetInt(n)
			}
			v = v.MapIndex(k)
		default:
			return nil, false
		}
	}
	if v = settle(v); !v.IsValid() {
		return nil, false
	}
	return figure(v)
}

// settle takes pointers away; nothing is left of a null.
func settle(v reflect.Value) reflect.Value {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

func figure(v reflect.Value) (any, bool) {
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool(), true
	case v.Kind() == reflect.String:
		return v.String(), true
	case v.CanInt():
		return big.NewInt(v.Int()), true
	case v.CanUint():
		return new(big.Int).SetUint64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		return v.Interface(), !v.IsNil()
	}
	return v.Interface(), true
}

// lostPercentile tells whether a null is one because so many messages were
// lost, which is the opposite of a thing not measured.
func (p path) lostPercentile(d *result.Document) bool {
	if d == nil {
		return false
	}
	m, keys := &d.Measured, p.keys
	if keys[0] == "reverse" {
		m, keys = d.Reverse, keys[1:]
	}
	return m != nil && m.Delay != nil && positive(missingOf(m)) && len(keys) == 2 && keys[0] == "delay" &&
		slices.Contains([]string{"p50_ns", "p90_ns", "p99_ns", "p999_ns"}, keys[1])
}

// fieldNamed finds a field by its name in JSON, among the embedded ones, too.
func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if jsonName(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// jsonName is "" for a field that JSON does not show under a name.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if f.Anonymous || !f.IsExported() || name == "-" {
		return ""
	}
	return name
}

// places lists every path of the document; lists show their first place.
func places() []string { return placesOf("", reflect.TypeFor[result.Document]()) }

func placesOf(prefix string, t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return placesOf(prefix, t.Elem())
	case reflect.Slice, reflect.Array:
		return placesOf(prefix+".0", t.Elem())
	case reflect.Map:
		return nil // its names are the document's own
	case reflect.Struct:
		var all []string
		for _, f := range reflect.VisibleFields(t) {
			if name := jsonName(f); name != "" {
				all = append(all, placesOf(strings.TrimPrefix(prefix+"."+name, "."), f.Type)...)
			}
		}
		return all
	}
	return []string{prefix}
}

const nearest = 4

// near lists the paths that somebody who wrote text may have meant.
func near(text string) []string {
	text = strings.ToLower(text)
	last := text[strings.LastIndexByte(text, '.')+1:]
	type candidate struct {
		path string
		far  int
	}
	var all []candidate
	for _, p := range places() {
		far := 2 * distance(text, p)
		leaf := p[strings.LastIndexByte(p, '.')+1:]
		// The right figure in the wrong section, or with no section at all.
		far = min(far, 2*distance(last, leaf)+1+2*strings.Count(p, ".")/2)
		switch {
		case strings.HasPrefix(p, text):
			far = min(far, 1)
		case len(text) > 2 && strings.Contains(p, text):
			far = min(far, 4)
		}
		if strings.HasPrefix(leaf, last) && len(last) > 2 {
			far = min(far, 3)
		}
		if strings.HasPrefix(p, "reverse.") { // its twin says enough
			far += 2
		}
		all = append(all, candidate{p, far})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].far < all[j].far })
	var names []string
	for _, c := range all[:min(nearest, len(all))] {
		names = append(names, c.path)
	}
	return names
}

// distance is the number of letters to change, add or take away.
func distance(a, b string) int {
	const most = 64 // nothing that long is near anything
	if len(a) > most {
		return len(a)
	}
	previous := make([]int, len(b)+1)
	current := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j]+cost, previous[j+1]+1, current[j]+1)
		}
		previous, current = current, previous
	}
	return previous[len(b)]
}
