package report

import (
	"errors"
	"io"
	"strings"

	"netcmp/result"
)

var errNoDocument = errors.New("report: no result document")

// Text writes a result for a person: what was asked, what the path did and
// what the protocol made of it, what that means in a sentence, and the command
// that makes the experiment again.
func Text(w io.Writer, d *result.Document, o Options) error {
	if d == nil {
		return errNoDocument
	}
	p := &page{o: o}
	head := append(disturbedRow(d), pathRow(d))
	head = append(head, changeRows(d)...)
	p.rows(append(head, messagesRow(d)))
	p.blank()
	figures(p, d)
	p.rows(trustRow(d))
	p.blank()
	for _, text := range sentences(d) {
		p.paragraph(text)
	}
	for _, warning := range d.Warnings {
		p.rows([]row{{label: "warning", c: printable(warning)}})
	}
	if d.Plan.Command != "" {
		p.verbatim("again", printable(d.Plan.Command))
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// figures writes the rows of numbers: one block, or one for each direction and
// what they share after them.
func figures(p *page, d *result.Document) {
	m := measuredRows(d, &d.Measured, direction(d))
	shared := []row{speedRow(d, &d.Measured, d.Reverse == nil)}
	if d.Reverse == nil {
		m = append(m, shared...)
		m = append(m, bottleneckRows(d)...)
		m = append(m, costRow(d))
		p.rows(append(m, instrumentRow(d, &d.Measured, direction(d))...))
		return
	}
	forth := append([]row{{label: "up", c: "client to server"}}, m...)
	forth = append(forth, speedRow(d, &d.Measured, true))
	forth = append(forth, instrumentRow(d, &d.Measured, up)...)
	p.rows(forth)
	p.blank()
	back := append([]row{{label: "down", c: "server to client"}}, measuredRows(d, d.Reverse, down)...)
	back = append(back, speedRow(d, d.Reverse, false))
	back = append(back, instrumentRow(d, d.Reverse, down)...)
	p.rows(back)
	p.blank()
	p.rows(append(bottleneckRows(d), costRow(d)))
}

// pathRow says what lay between the two ends.
func pathRow(d *result.Document) row {
	parts := []string{pathWords(d)}
	if d.Plan.PathDefault {
		parts[0] += " (the default: no path flag was given)"
	}
	switch d.Engine {
	case "none":
		parts = append(parts, "no lab")
	case "":
		parts = append(parts, "engine unknown")
	default:
		parts = append(parts, printable(d.Engine))
	}
	if d.Plan.Fate == "time" {
		parts = append(parts, "losses by time")
	}
	parts = append(parts, "seed"+nbsp+uintText(d.Seed))
	return row{label: "path", c: "client ⇄ server" + nbsp + nbsp + " " + strings.Join(parts, " · ")}
}

// bottleneckRows say how long packets stood in the queue of a bottleneck, and
// how many were told of congestion.
func bottleneckRows(d *result.Document) []row {
	if d.Link == nil {
		return nil
	}
	var parts []string
	for _, l := range []struct {
		way  string
		link *result.LinkDirection
	}{{up, &d.Link.Up}, {down, &d.Link.Down}} {
		if q := l.link.QueueDelayNS; q != nil {
			parts = append(parts, l.way+" p50 "+Duration(q.P50)+", p99 "+Duration(q.P99)+", max "+Duration(q.Max))
		}
		if l.link.Marked > 0 {
			parts = append(parts, Count(l.link.Marked)+" packets "+l.way+" marked (ECN)")
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return []row{{label: "queue", c: "a packet waits " + strings.Join(parts, " · ")}}
}

// changesShown is how many changes of the path are written out.
const changesShown = 4

// changeRows say what became of the path in the middle of the run.
func changeRows(d *result.Document) []row {
	if len(d.Plan.Timeline) == 0 {
		return nil
	}
	var parts []string
	for _, c := range d.Plan.Timeline[:min(changesShown, len(d.Plan.Timeline))] {
		parts = append(parts, "from "+ExactDuration(c.AtNS)+" "+eachWay(c.NetemUp, c.NetemDown))
	}
	if more := len(d.Plan.Timeline) - changesShown; more > 0 {
		parts = append(parts, Count(int64(more))+" more")
	}
	return []row{{label: "changes", c: strings.Join(parts, " · ")}}
}

func pathWords(d *result.Document) string {
	if d.Plan.NetemUp == "" && d.Plan.NetemDown == "" && (d.Engine == "none" || d.Engine == "remote") {
		return "as it is"
	}
	return eachWay(d.Plan.NetemUp, d.Plan.NetemDown)
}

func eachWay(up, down string) string {
	forth, back := impairment(up), impairment(down)
	switch {
	case forth == back && forth == "clean":
		return forth
	case forth == back:
		return forth + " each way"
	default:
		return "up " + forth + ", down " + back
	}
}

func impairment(netem string) string {
	if strings.TrimSpace(netem) == "" {
		return "clean"
	}
	return printable(netem)
}

// messagesRow says what was sent over it.
func messagesRow(d *result.Document) row {
	plan := &d.Plan
	var b strings.Builder
	size := Bytes(int64(plan.SizeBytes))
	if plan.Count > 0 {
		b.WriteString(Count(plan.Count) + " × " + size)
	} else {
		b.WriteString(size + " each, for " + ExactDuration(plan.DurationNS))
	}
	if plan.Direction == both {
		b.WriteString(" each way")
	}
	switch {
	case plan.Saturate && requestResponse(d):
		b.WriteString(", each when the one before has been answered")
	case plan.Saturate || plan.RatePerS == 0:
		b.WriteString(", as many as the transport takes")
	case plan.Arrival == "poisson":
		b.WriteString(" at " + shortest(plan.RatePerS) + "/s on average (poisson)")
	case plan.Arrival == "burst" && plan.Burst > 0:
		b.WriteString(" at " + shortest(plan.RatePerS) + "/s in bursts of " + Count(int64(plan.Burst)))
	default:
		b.WriteString(" at " + shortest(plan.RatePerS) + "/s")
		if plan.Arrival != "" && plan.Arrival != "constant" {
			b.WriteString(" (" + printable(plan.Arrival) + ")")
		}
	}
	switch plan.Direction {
	case down:
		b.WriteString(", server to client")
	case both:
		b.WriteString(", both ways at once")
	default:
		b.WriteString(", client to server")
	}
	if requestResponse(d) {
		b.WriteString(" and back")
	}
	if d.Proto == "" {
		b.WriteString(", over an unknown protocol")
	} else {
		b.WriteString(", over " + printable(d.Proto))
	}
	if words := natureOf(d).words; words != "" {
		b.WriteString(" (" + words + ")")
	}
	if plan.Congestion != "" {
		b.WriteString(", " + printable(plan.Congestion))
	}
	if (d.Proto == "tcp" || d.Proto == "tls") && !plan.NoDelay {
		b.WriteString(", Nagle on")
	}
	return row{label: "messages", c: b.String()}
}
