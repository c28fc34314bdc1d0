package validation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"go.uber.org/goleak"

	"netcmp/compare"
	"netcmp/experiment"
	"netcmp/lab"
	"netcmp/netem"
	"netcmp/peer"
	"netcmp/result"
	"netcmp/workload"
)

func TestMain(m *testing.M) {
	roles := experiment.Roles()
	maps.Copy(roles, bareRoles())
	lab.Dispatch(roles)
	goleak.VerifyTestMain(m)
}

// page is what make validate writes; template has its prose.
const page, pageTemplate = "../docs/validation.md", "testdata/validation.md.tmpl"

// parts are what is validated, in the order of the page. Each has a section of
// its name in the template.
var parts = []struct {
	name    string
	measure func(*testing.T, *part)
}{
	{"setup", setUp},
	{"oneloss", oneLossTable},
	{"thin", thinStream},
	{"laws", closedForms},
	{"mathis", mathis},
	{"cubic", cubic},
	{"bbr", bbr},
	{"alike-udp", alikeUDP},
	{"alike-tcp", alikeTCP},
	{"doubled", doubled},
}

// TestValidation measures everything and writes the page. NETCMP_VALIDATE is a
// folder that keeps each part as it is done: with -run TestValidation/mathis one
// part is measured anew, and the page is written when all are there.
func TestValidation(t *testing.T) {
	dir := os.Getenv("NETCMP_VALIDATE")
	if dir == "" {
		t.Skip("make validate")
	}
	for _, x := range parts {
		t.Run(x.name, func(t *testing.T) {
			p := &part{Day: time.Now().UTC().Format(time.DateOnly)}
			x.measure(t, p)
			for _, r := range p.Rows {
				t.Logf("%s: %s; expected %s, bound %s: %s", r.What, r.Measured, r.Expected, r.Bound, r.Verdict())
				if !r.Holds && r.Missing == "" {
					t.Errorf("%s does not hold", r.What)
				}
			}
			b, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, x.name+".json"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	done := map[string]*part{}
	for _, x := range parts {
		b, err := os.ReadFile(filepath.Join(dir, x.name+".json"))
		if errors.Is(err, os.ErrNotExist) {
			t.Logf("%s is not measured yet: %s stays as it is", x.name, page)
			return
		}
		p := &part{}
		if err := errors.Join(err, json.Unmarshal(b, p)); err != nil {
			t.Fatal(err)
		}
		done[x.name] = p
	}
	if err := write(done); err != nil {
		t.Fatal(err)
	}
}

// part is one table of the page.
type part struct {
	Day         string
	Environment result.Environment
	Rows        []row
}

// row is one law: what it says, what was measured, how far the two may be apart.
type row struct {
	What, Expected, Measured, Bound string
	Holds                           bool
	Missing                         string // why it cannot be measured on this machine
}

func (r row) Verdict() string {
	switch {
	case r.Missing != "":
		return "not here: " + r.Missing
	case r.Holds:
		return "holds"
	}
	return "**does not hold**"
}

func (p *part) add(holds bool, what, expected, measured, bound string) {
	p.Rows = append(p.Rows, row{What: what, Expected: expected, Measured: measured, Bound: bound, Holds: holds})
}

// write writes the page from all parts.
func write(done map[string]*part) error {
	t, err := template.New(filepath.Base(pageTemplate)).Funcs(template.FuncMap{
		"table": func(names ...string) (string, error) {
			var b strings.Builder
			b.WriteString("| what | expected | measured | bound | verdict |\n|---|---|---|---|---|")
			for _, name := range names {
				if done[name] == nil {
					return "", fmt.Errorf("there is no part %q", name)
				}
				for _, r := range done[name].Rows {
					b.WriteString("\n|")
					for _, cell := range []string{r.What, r.Expected, r.Measured, r.Bound, r.Verdict()} {
						b.WriteString(" " + strings.ReplaceAll(cell, "|", "\\|") + " |")
					}
				}
			}
			return b.String(), nil
		},
	}).ParseFiles(pageTemplate)
	if err != nil {
		return err
	}
	var days []string
	var machines []string
	rows, hold, missing := 0, 0, 0
	for _, x := range parts {
		p := done[x.name]
		days = append(days, p.Day)
		e := p.Environment
		kernel, _, _ := strings.Cut(e.Kernel, "-") // whoever built it calls it so
		machine := fmt.Sprintf("%s %s on %s, %d processors", e.OS, kernel, e.Arch, e.CPUs)
		if e.Kernel != "" && !slices.Contains(machines, machine) {
			machines = append(machines, machine)
		}
		for _, r := range p.Rows {
			rows++
			switch {
			case r.Missing != "":
				missing++
			case r.Holds:
				hold++
			}
		}
	}
	slices.Sort(days)
	when := strings.Join(slices.Compact(days), ", ")
	f, err := os.Create(page)
	if err != nil {
		return err
	}
	return errors.Join(t.Execute(f, map[string]any{
		"When": when, "Machine": strings.Join(machines, "; "), "Rows": rows, "Hold": hold, "Missing": missing,
	}), f.Close())
}

// config is an experiment over path, up and down.
func config(t *testing.T, proto, up, down string, p workload.Plan) experiment.Config {
	t.Helper()
	i, err := netem.Parse(up)
	j, wrong := netem.Parse(down)
	if err := errors.Join(err, wrong); err != nil {
		t.Fatal(err)
	}
	return experiment.Config{
		Spec: peer.Spec{Proto: proto, Plan: p}, Path: netem.Path{Up: i, Down: j},
		Engine: experiment.Auto, Seed: 7, SeedGiven: true,
	}
}

// try makes an experiment, or skips the test on a machine without labs.
func try(t *testing.T, c experiment.Config) *result.Document {
	t.Helper()
	d, err := experiment.Run(t.Context(), c)
	usable(t, err)
	return d
}

// judged makes a comparison, or skips likewise.
func judged(t *testing.T, c compare.Config) *result.Comparison {
	t.Helper()
	x, err := compare.Run(t.Context(), c)
	usable(t, err)
	return x
}

func usable(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func ms(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }

func mbit(bps float64) string {
	if bps < 10e6 {
		return fmt.Sprintf("%.2f Mbit/s", bps/1e6)
	}
	return fmt.Sprintf("%.1f Mbit/s", bps/1e6)
}
