package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
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

//go:embed page.js
var pageScript string

// uPlot draws the charts where scripts may run; its licence goes with it.
var (
	//go:embed uplot/uPlot.iife.min.js
	uplotScript string
	//go:embed uplot/uPlot.min.css
	uplotStyle string
	//go:embed uplot/LICENSE
	uplotLicence string
)

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// pageData is what the page shows.
type pageData struct {
	Title, Command string
	Style          template.CSS
	Data, Script   template.JS
	Policy         string
	Head, Foot     []definition
	Verdict        []string
	Warnings       []string
	Charts, Bars   []chartData
	Arms           []string
	Table          []tableRow
	Alone          bool // a run, and no comparison
}

type definition struct{ Name, Text string }

// figureData is a drawing. Where it has a live one, that stands in for it where
// scripts may run.
type figureData struct {
	ID      string
	Drawing template.HTML
	Caption string
	Live    *liveChart
}

// chartData is a chart of one drawing or several, and the table behind it.
type chartData struct {
	ID, Title, Text string
	Legend          []legendItem
	Figures         []figureData
	Columns         []string
	Rows            [][]string
}

type legendItem struct {
	Name   string
	Sample template.HTML
}

type tableRow struct {
	Name  string
	Cells []tableCell
}

type tableCell struct {
	Text, Spread string
	Best         bool
}

// HTML writes a comparison, or a run that stands alone in one, as a page: one
// file that asks for nothing from anywhere. Its own policy lets its own style
// and script through and nothing else, and it can be read without both.
func HTML(w io.Writer, x *result.Comparison) error {
	style := uplotStyle + "\n" + pageStyle
	script := "/*!\n" + uplotLicence + "\n*/\n" + uplotScript + "\n" + pageScript
	p := pageData{
		Title: title(x), Command: x.Plan.Command,
		Style: template.CSS(style), Script: template.JS(script), //nolint:gosec // our own files
		Policy:  "default-src 'none'; style-src '" + hashOf(style) + "'; script-src '" + hashOf(script) + "'",
		Verdict: x.Verdict, Warnings: x.Warnings, Arms: x.Plan.Arms,
		Charts: some(stairsChart(x), anatomyChart(x), usableChart(x), laterChart(x), overTimeChart(x)),
		Bars:   some(fateChart(x), setupChart(x), costChart(x), wireChart(x)),
		Table:  htmlTable(x), Foot: foot(x), Alone: len(x.Trials) == 1,
	}
	if p.Alone {
		for _, charts := range [][]chartData{p.Charts, p.Bars} {
			for i := range charts {
				for _, words := range []string{": medians of the trials, each by itself", ": medians of the trials", ", medians of the trials", ", of all trials together"} {
					charts[i].Text = strings.ReplaceAll(charts[i].Text, words, "")
				}
			}
		}
	}
	for _, r := range comparisonHead(x) {
		p.Head = append(p.Head, definition{r.label, strings.ReplaceAll(r.c, nbsp, " ")})
	}
	var live []*liveChart
	for _, c := range p.Charts {
		for i := range c.Figures {
			f := &c.Figures[i]
			if f.Live == nil {
				continue
			}
			f.ID = fmt.Sprintf("%s-%d", c.ID, i)
			f.Live.ID = f.ID
			live = append(live, f.Live)
		}
	}
	data, err := json.Marshal(live) // which escapes <, so that no name ends the block it stands in
	if err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	p.Data = template.JS(data) //nolint:gosec // JSON, in which Go escapes what would end a script
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	return nil
}

// hashOf is what a policy calls a style or a script.
func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// some are the charts that have something to show.
func some(all ...chartData) []chartData {
	return slices.DeleteFunc(all, func(c chartData) bool { return len(c.Figures) == 0 })
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
			text, spread, _ := strings.Cut(text, " ±")
			r.Cells = append(r.Cells, tableCell{text, spread, best})
		}
		rows = append(rows, r)
	}
	return rows
}

// coloured are the protocols in the order of their colours, so that each has the
// same on every page.
var coloured = []string{"tcp", "tls", "udp", "quic", "quic-streams", "quic-datagram"}

// colour is the number of an arm's colour: its protocol's, or, where another arm
// of that protocol has it, the next that nobody has.
func colour(x *result.Comparison, arm string) int {
	var taken [len(accents)]bool
	var rest []string
	for _, a := range x.Plan.Arms {
		proto, nth, _ := strings.Cut(a, "#")
		i := slices.Index(coloured, proto)
		if i < 0 || nth != "" && nth != "1" {
			rest = append(rest, a)
			continue
		}
		if a == arm {
			return i
		}
		taken[i] = true
	}
	next := 0
	for _, a := range rest {
		for next < len(taken)-1 && taken[next] {
			next++
		}
		if a == arm {
			break
		}
		taken[next] = true
	}
	return next
}

// sample shows in a legend what a line looks like.
func sample(classes ...string) template.HTML {
	return template.HTML(`<svg viewBox="0 0 20 10" width="20" height="10" aria-hidden="true">` + shape("path", classes...) + ` d="M0 5h20"/></svg>`) //nolint:gosec // a drawing of our own
}
