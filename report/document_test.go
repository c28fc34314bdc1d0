package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"netcmp/netem"
	"netcmp/result"
	"netcmp/workload"
)

func TestRoundTrip(t *testing.T) {
	for name, build := range documents {
		d := build()
		d.Schema = result.Schema
		if d.Warnings == nil {
			d.Warnings = []string{}
		}
		var indented bytes.Buffer
		if err := JSON(&indented, d); err != nil {
			t.Fatal(err)
		}
		compact, err := Line(d)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexByte(compact, '\n'); i != len(compact)-1 {
			t.Errorf("%s: a line ends at %d of %d", name, i, len(compact))
		}
		for form, data := range map[string][]byte{"indented": indented.Bytes(), "line": compact} {
			saved, err := Read(bytes.NewReader(data))
			back := saved.Documents
			if err != nil || len(back) != 1 || !reflect.DeepEqual(back[0], d) {
				t.Errorf("%s, %s: %d documents, %v; want the same again", name, form, len(back), err)
			}
		}
	}
}

func TestJSONForm(t *testing.T) {
	d := base("udp")
	d.Plan.Command = "netcmp run --expect 'delivery.ratio>=0.99' && true"
	var b bytes.Buffer
	if err := JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{"{\n  \"schema\": \"netcmp.result/v1\",\n", "\"warnings\": []", "ratio>=0.99' && true", "\"tcp_info\": null"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if !strings.HasSuffix(got, "}\n") {
		t.Error("no newline at the end")
	}
	if d.Warnings != nil {
		t.Error("the document was changed")
	}
	d.Speed.GoodputBPS = f(math.NaN())
	if err := JSON(&b, d); err == nil {
		t.Error("NaN was written")
	}
	if _, err := Line(nil); err == nil {
		t.Error("no document was written")
	}
}

func TestReadMany(t *testing.T) {
	var b bytes.Buffer
	for i := range 3 {
		d := udpLossy()
		d.Seed = math.MaxUint64 - result.Uint64(i)
		if i == 1 { // a pretty one among the lines does no harm
			if err := JSON(&b, d); err != nil {
				t.Fatal(err)
			}
			continue
		}
		one, err := Line(d)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(one)
		b.WriteString("\n  \r\n")
	}
	saved, err := Read(iotest.OneByteReader(&b))
	back := saved.Documents
	if err != nil || len(back) != 3 {
		t.Fatalf("%d documents, %v", len(back), err)
	}
	for i, d := range back {
		if d.Seed != math.MaxUint64-result.Uint64(i) {
			t.Errorf("document %d has seed %d", i, d.Seed)
		}
	}
}

func TestReadErrors(t *testing.T) {
	good := `{"schema":"netcmp.result/v1"}` + "\n"
	for _, c := range []struct {
		name, in string
		before   int
		want     string
	}{
		{"empty", "", 0, ""},
		{"blank", " \n\n", 0, ""},
		{"byte order mark", "\xef\xbb\xbf" + good, 1, ""},
		{"other schema", good + good + `{"schema":"netcmp.sweep/v1"}`, 2, "line 3: unknown schema: netcmp.sweep/v1 is not known; known: netcmp.result/v1, netcmp.compare/v1"},
		{"no schema", "\n{}\n", 0, "line 2: unknown schema: it has none; known: netcmp.result/v1, netcmp.compare/v1"},
		{"a comparison of a wrong type", good + `{"schema":"netcmp.compare/v1","trials":7}`, 1, "line 2: json: cannot unmarshal number"},
		{"schema of a wrong kind", good + "{\n\"schema\": 7}", 1, "line 3: json: cannot unmarshal number into Go struct field .schema of type string"},
		{"not JSON", good + "delivery 1961 of 2000\n", 1, "line 2: not JSON: "},
		{"not JSON further on", good + "{\n\n\"a\": x}\n", 1, "line 4: not JSON: "},
		{"cut short", good + "\n" + `{"schema":"netcmp.result/v1",` + "\n" + `"seed": 1`, 1, "line 3: the document that begins here is cut short"},
		{"a list", "[" + good + "]", 0, `line 1: not a result document: [{"schema":"netcmp.r`},
		{"a number", good + "7", 1, "line 2: not a result document: 7"},
		{"wrong type", good + "{\"schema\":\"netcmp.result/v1\",\n\n\"proto\": 7}\n", 1, "line 4: json: cannot unmarshal number"},
		{"a seed that is no number", good + `{"schema":"netcmp.result/v1","seed":"x"}`, 1, `line 2: "x" is not an integer of 64 bits`},
	} {
		got, err := Read(strings.NewReader(c.in))
		if len(got.Documents) != c.before {
			t.Errorf("%s: %d documents before the error, want %d", c.name, len(got.Documents), c.before)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
		if strings.Contains(c.want, "unknown schema") && !errors.Is(err, ErrSchema) {
			t.Errorf("%s: not ErrSchema", c.name)
		}
	}
	if _, err := Read(iotest.ErrReader(errDisk)); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(fz *testing.F) {
	for _, build := range documents {
		data, err := Line(build())
		if err != nil {
			fz.Fatal(err)
		}
		fz.Add(data)
		fz.Add(append(data, data[:len(data)/2]...))
	}
	fz.Add([]byte("{\"schema\":\"netcmp.result/v1\",\"order\":{\"density\":{\"-1\":0.5}}}\n[]"))
	fz.Add([]byte("null"))
	fz.Add([]byte(`{"schema":"netcmp.compare/v1","plan":{"arms":["tcp","udp"]},"table":[{"metric":"x_ns","arm":"tcp"}],"usable":[{"arm":"udp","points":[{"within_ns":50000000,"ratio":0.5}]}],"trials":[{"proto":"tcp","trial":{"arm":"tcp"}}]}`))
	fz.Fuzz(func(t *testing.T, data []byte) {
		saved, err := Read(bytes.NewReader(data))
		if err != nil {
			var line int
			if _, scan := fmt.Sscanf(err.Error(), "line %d:", &line); scan != nil || line < 1 || line > 1+bytes.Count(data, []byte("\n")) {
				t.Errorf("no line of the input in %q", err)
			}
		}
		for _, x := range saved.Comparisons { // any can be shown
			for _, show := range []func(io.Writer) error{
				func(w io.Writer) error { return ComparisonText(w, x, Options{Width: 40, Color: true}) },
				func(w io.Writer) error { return ComparisonMarkdown(w, x) },
				func(w io.Writer) error { return ComparisonCSV(w, x) },
				func(w io.Writer) error { return ComparisonJSON(w, x) },
			} {
				if err := show(io.Discard); err != nil {
					t.Error(err)
				}
			}
		}
		for _, d := range saved.Documents {
			first, err := Line(d)
			if err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			again, err := Read(bytes.NewReader(first))
			if err != nil || len(again.Documents) != 1 {
				t.Fatalf("what was written cannot be read: %v", err)
			}
			if second, err := Line(again.Documents[0]); err != nil || !bytes.Equal(first, second) {
				t.Errorf("round trip: %v\n%s\n%s", err, first, second)
			}
			for _, o := range []Options{{}, {Width: 1}, {Width: 60, Color: true}} { // any document can be shown
				var b bytes.Buffer
				if err := Text(&b, d, o); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// No integer in a document is larger than what jq and JavaScript, which hold a number in
// a float64, read exactly.
func TestIntegersAreExactForAnyReader(t *testing.T) {
	const least, most = result.Int64(math.MinInt64), result.Uint64(math.MaxUint64)
	d := udpLossy()
	d.Seed, d.Instrument.Clock.OffsetNS, d.Instrument.Clock.UncertaintyNS = most, new(least), new(least)
	d.Plan.Count, d.Plan.DurationNS = workload.MaxCount, int64(workload.MaxSpan)
	d.Deadline = []result.Deadline{{WithinNS: int64(workload.MaxSpan)}}
	d.Plan.Timeline = []result.PlanChange{{AtNS: int64(netem.MaxInstant)}}
	d.Trial = &result.Trial{Comparison: &result.ComparisonPlan{Seed: most}}
	x := &result.Comparison{Schema: result.ComparisonSchema, Plan: *d.Trial.Comparison, Trials: []*result.Document{d}}
	for name, write := range map[string]func(io.Writer) error{
		"result":     func(w io.Writer) error { return JSON(w, d) },
		"comparison": func(w io.Writer) error { return ComparisonJSON(w, x) },
		"rate": func(w io.Writer) error {
			return RateJSON(w, &result.RateSearch{Schema: result.RateSchema, Seed: most, Plan: d.Plan})
		},
		"line": func(w io.Writer) error {
			b, err := Line(d)
			_, _ = w.Write(b)
			return err
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), `"18446744073709551615"`) {
			t.Errorf("%s: the seed is not there", name)
		}
		dec := json.NewDecoder(&b)
		dec.UseNumber()
		for {
			token, err := dec.Token()
			if err != nil {
				break
			}
			if n, ok := token.(json.Number); ok {
				if v, ok := new(big.Int).SetString(n.String(), 10); ok && v.CmpAbs(big.NewInt(1<<53)) > 0 {
					t.Errorf("%s: the number %s is above 2^53", name, n)
				}
			}
		}
	}
}
