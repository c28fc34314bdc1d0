package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"netcmp/result"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// pageData is what the page shows.
type pageData struct {
	Title, Command string
	Style          template.CSS
	StyleHash      string
	Head, Foot     []definition
	Verdict        []string
	Warnings       []string
	Stairs         []figureData
	Charts         []chartData
	Arms           []string
	Table          []tableRow
}

type definition struct{ Name, Text string }

type figureData struct {
	Drawing template.HTML
	Caption string
}

type chartData struct {
	ID, Title, Text string
	Legend          []template.HTML
	Drawing         template.HTML
	Columns         []string
	Rows            [][]string
}

type tableRow struct {
	Name  string
	Cells []tableCell
}

type tableCell struct {
	Text string
	Best bool
}

// HTML writes a comparison, or a run that stands alone in one, as a page: one
// file that asks for nothing from anywhere and needs no script.
func HTML(w io.Writer, x *result.Comparison) error {
	hash := sha256.Sum256([]byte(pageStyle))
	p := pageData{
		Title: title(x), Command: x.Plan.Command,
		Style: template.CSS(pageStyle), StyleHash: "sha256-" + base64.StdEncoding.EncodeToString(hash[:]),
		Verdict: x.Verdict, Warnings: x.Warnings, Arms: x.Plan.Arms,
		Stairs: stairs(x), Charts: charts(x), Table: htmlTable(x), Foot: foot(x),
	}
	for _, r := range comparisonHead(x) {
		p.Head = append(p.Head, definition{r.label, strings.ReplaceAll(r.c, nbsp, " ")})
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	return nil
}

func title(x *result.Comparison) string {
	if len(x.Plan.Arms) == 1 {
		return x.Plan.Arms[0]
	}
	return strings.Join(x.Plan.Arms, ", ")
}

func foot(x *result.Comparison) []definition {
	d := []definition{
		{"seed", uintText(x.Plan.Seed)},
		{"tool", "netcmp " + x.Tool.Version + " (" + x.Tool.Commit + ")"},
		{"started", x.Started},
	}
	if len(x.Trials) > 0 {
		e := x.Trials[0].Environment
		d = append(d, definition{"machine", fmt.Sprintf("%s %s %s, %d processors, %s", e.OS, e.Kernel, e.Arch, e.CPUs, e.GoVersion)})
	}
	for _, arm := range x.Plan.Arms {
		for _, t := range x.Trials {
			if t.Trial != nil && t.Trial.Arm == arm && t.Plan.Command != "" {
				d = append(d, definition{arm + ", once", t.Plan.Command})
				break
			}
		}
	}
	return d
}

func htmlTable(x *result.Comparison) []tableRow {
	var rows []tableRow
	for _, metric := range metricsOf(x) {
		r := tableRow{Name: FigureName(metric)}
		for _, arm := range x.Plan.Arms {
			text, best := strings.CutSuffix(cell(x, metric, arm), " *")
			r.Cells = append(r.Cells, tableCell{text, best})
		}
		rows = append(rows, r)
	}
	return rows
}

// colour is the number of an arm's colour, which it has everywhere.
func colour(x *result.Comparison, arm string) int {
	return max(slices.Index(x.Plan.Arms, arm), 0) % len(drawingMarks)
}

func swatch(x *result.Comparison, arm string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 20 10" aria-hidden="true"><path class="curve s%d" d="M0 5h20"/></svg>%s`,
		colour(x, arm), template.HTMLEscapeString(arm)))
}

func legend(x *result.Comparison) []template.HTML {
	var all []template.HTML
	for _, arm := range x.Plan.Arms {
		all = append(all, swatch(x, arm))
	}
	return all
}

// charts are all drawings but those of single messages.
func charts(x *result.Comparison) []chartData {
	var all []chartData
	add := func(c chartData) {
		if c.Drawing != "" {
			all = append(all, c)
		}
	}
	add(usableChart(x))
	add(laterChart(x))
	add(overTimeChart(x))
	add(fateChart(x))
	add(barChart(x, "setup", "Until the first message", "From the beginning of the connection to the first message delivered.", "first_message_ns"))
	add(barChart(x, "cpu", "Processor time a message", "User and system time of both ends, without what punctuality costs.", "cpu_per_message_ns"))
	add(barChart(x, "wire", "On the wire", "Bytes of both directions against bytes of messages delivered.", "overhead_ratio"))
	return all
}
