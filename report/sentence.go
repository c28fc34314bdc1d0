package report

import (
	"strings"

	"netcmp/result"
)

// Sentences returns what the figures of a run mean, a paragraph for each direction, after
// what disturbed it, if anything did. Every clause stands on a figure of the document;
// where the figure is missing, so is the clause.
func Sentences(d *result.Document) []string {
	said := sentences(d)
	if d.IsDisturbed() {
		said = append([]string{"Disturbed: " + disturbedText(d)}, said...)
	}
	return said
}

func sentences(d *result.Document) []string {
	subject := natureOf(d).subject
	if d.Reverse == nil {
		return []string{subject + ": " + tell(d, &d.Measured, direction(d))}
	}
	return []string{
		subject + " up: " + tell(d, &d.Measured, up),
		subject + " down: " + tell(d, d.Reverse, down),
	}
}

func tell(d *result.Document, m *result.Measured, dir string) string {
	said := []string{outcome(d, m, dir)}
	if m.Delivery.Planned() > 0 {
		said = append(said, oddities(d, m)...)
		said = append(said, unfinished(d, m)...)
	}
	return strings.Join(said, " ")
}

// outcome is the sentence that is always there.
func outcome(d *result.Document, m *result.Measured, dir string) string {
	due := m.Delivery.Planned()
	switch {
	case due == 0:
		return "nothing was sent."
	case m.Delivery.Delivered == nil:
		return "how many of the " + counted(m.Delivery.Sent, noun(d)) + " sent arrived is not known, since the receiver gave no account."
	case *m.Delivery.Delivered == 0 && requestResponse(d):
		return "none of " + counted(due, noun(d)) + " was answered."
	case *m.Delivery.Delivered == 0:
		return "none of " + counted(due, noun(d)) + " arrived."
	case natureOf(d).reliable:
		return heard(d, m, dir) + "."
	default:
		return arrived(d, m) + "."
	}
}

func noun(d *result.Document) string {
	if requestResponse(d) {
		return "request"
	}
	return "message"
}

// arrived tells of letters: each makes its own way or does not.
func arrived(d *result.Document, m *result.Measured) string {
	due, delivered := m.Delivery.Planned(), *m.Delivery.Delivered
	rr := requestResponse(d)
	var s string
	switch lost := due - delivered; {
	case lost <= 0 && due == 1 && rr:
		s = "the only request was answered" + joined(timing(d, m))
	case lost <= 0 && due == 1:
		s = "the only message arrived" + joined(timing(d, m))
	case lost <= 0 && rr:
		s = "all " + counted(due, "request") + " were answered" + joined(timing(d, m))
	case lost <= 0:
		s = "all " + counted(due, "message") + " arrived" + joined(timing(d, m))
	default:
		s = Count(lost) + " of " + Count(due) + " " + missing(d, m, rr) + "; the other "
		if rr {
			s += counted(delivered, "answer") + " "
		} else {
			s += Count(delivered) + " "
		}
		if t := timing(d, m); t != "" && !strings.HasPrefix(t, "took") {
			s += "came " + t
		} else if t != "" {
			s += t
		} else {
			s += "came"
		}
	}
	if m.Stall != nil && !positive(m.Stall.Held) && delivered > 1 {
		s += ", none waited for another"
	}
	if out := disorder(m); out != "" {
		s += "; " + out
	}
	return s
}

func missing(d *result.Document, m *result.Measured, rr bool) string {
	cut := d.Interrupted || m.Account != nil && positive(m.Account.InFlight)
	switch {
	case rr && cut:
		return "requests had no answer by the end"
	case rr:
		return "requests got no answer"
	case cut:
		return "had not arrived by the end"
	default:
		return "never arrived"
	}
}

// heard tells of calls: what the path loses is said again, and the rest waits.
func heard(d *result.Document, m *result.Measured, dir string) string {
	due, delivered := m.Delivery.Planned(), *m.Delivery.Delivered
	rr := requestResponse(d)
	var s string
	switch lost := due - delivered; {
	case lost <= 0 && rr:
		s = "every request was answered"
	case lost <= 0:
		s = "everything was heard"
	case rr:
		s = Count(delivered) + " of " + counted(due, "request") + " were answered by the end"
	default:
		s = Count(delivered) + " of " + counted(due, "message") + " had been heard by the end"
	}
	if m.Order != nil && m.Order.Reordered == 0 {
		s += ", in order"
	}
	if out := disorder(m); out != "" {
		s += ", " + out
	}
	if d.Plan.Saturate && m.Speed.GoodputBPS != nil {
		s += ", at " + BitRate(*m.Speed.GoodputBPS)
	}
	if m.Stall == nil {
		return s
	}
	var parts []string
	switch held := m.Stall.Held; {
	case held == nil:
		parts = append(parts, "none had to wait for another")
	case *held == 0:
		parts = append(parts, "none was head-of-line blocked")
	default:
		about := ""
		if !m.Stall.Exact {
			about = "about "
		}
		parts = append(parts, about+counted(*held, "message")+" "+were(*held)+" head-of-line blocked behind a "+obstacle(d, dir)+" one")
	}
	if ns := m.Stall.LongestSilenceNS; ns != nil {
		parts = append(parts, "the longest silence was "+Duration(*ns))
	}
	return s + "; " + strings.Join(parts, ", ")
}

// obstacle names what blocked the line, as far as the path's own account allows.
func obstacle(d *result.Document, dir string) string {
	if l := linkOf(d, dir); l != nil && (l.Lost+l.Corrupted > 0 || positive(l.QueueDropped)) {
		return "lost"
	}
	return "late"
}

// disorder tells of reordering, when there was any.
func disorder(m *result.Measured) string {
	if m.Order == nil || m.Order.Reordered <= 0 {
		return ""
	}
	s := Count(m.Order.Reordered) + " came out of order"
	if m.Order.ExtentMax > 0 {
		s += ", by up to " + counted(m.Order.ExtentMax, "message")
	}
	return s
}

// timing says how punctual the messages were. "on time" is a claim about the
// slowest of them: it came within a tenth of the fastest's delay, or within a
// millisecond where that is more, and before the last deadline.
func timing(d *result.Document, m *result.Measured) string {
	if d.Plan.Saturate || d.Plan.RatePerS == 0 { // no message has a time of its own
		if m.Speed.GoodputBPS != nil {
			return "at " + BitRate(*m.Speed.GoodputBPS)
		}
		return ""
	}
	t := m.Delay
	if t == nil || t.MinNS == nil || t.MaxNS == nil {
		return ""
	}
	onTime := func(ns int64) bool { return ns-*t.MinNS <= max(1_000_000, *t.MinNS/10) }
	slowest := "the slowest after " + Duration(*t.MaxNS)
	late := positive(m.Delivery.Late)
	switch {
	case onTime(*t.MaxNS) && !late:
		return "on time"
	case late:
	case t.P999NS != nil && onTime(*t.P999NS), t.P99NS != nil && onTime(*t.P99NS):
		return "on time but for a few, " + slowest
	case t.P90NS != nil && onTime(*t.P90NS):
		return "mostly on time, " + slowest
	}
	if *t.MinNS == *t.MaxNS {
		return "took " + Duration(*t.MaxNS)
	}
	return "took " + Duration(*t.MinNS) + " to " + Duration(*t.MaxNS)
}

// oddities tell of what one does not expect, each in a sentence.
func oddities(d *result.Document, m *result.Measured) []string {
	var said []string
	say := func(s string) { said = append(said, s+".") }
	delivered := m.Delivery.Delivered
	if n := m.Delivery.Late; positive(n) && len(m.Deadline) > 0 {
		say(Count(*n) + " of those that came were past the last deadline, " + ExactDuration(m.Deadline[len(m.Deadline)-1].WithinNS))
	}
	if n := m.Delivery.Duplicated; positive(n) {
		if *n == 1 {
			say("1 further copy came of a message that was already there")
		} else {
			say(Count(*n) + " further copies came of messages that were already there")
		}
	}
	if n := m.Delivery.Corrupted; positive(n) {
		say(Count(*n) + " came damaged and did not count")
	}
	if late := m.ReadLate; late != nil && late.Messages > 0 {
		say("This machine read " + counted(late.Messages, "message") + " more than 1 ms late")
	}
	if a := m.Account; a != nil {
		if positive(a.QueueDropped) {
			say(Count(*a.QueueDropped) + " found the path's queue full")
		}
		if positive(a.ReceiverDropped) {
			say(Count(*a.ReceiverDropped) + " reached the receiver and " + were(*a.ReceiverDropped) + " dropped there, which is not the path's doing")
		}
		if positive(a.InFlight) {
			say(Count(*a.InFlight) + " " + were(*a.InFlight) + " still on the way when the run stopped waiting")
		}
		switch n := a.Unexplained; {
		case positive(n):
			say("Of " + Count(*n) + " nobody knows where they went, so the loss here is in doubt")
		case n != nil && *n < 0:
			say("The account of the missing is " + Count(-*n) + " too long, so the loss here is in doubt")
		}
	}
	if l := lostOf(m); natureOf(d).reliable && positive(l) && positive(delivered) && !d.Interrupted {
		say("The other " + Count(*l) + " had not come when the run stopped waiting")
	}
	return said
}

// unfinished tells of a plan that was not carried out.
func unfinished(d *result.Document, m *result.Measured) []string {
	planned := max(m.Delivery.Scheduled, d.Plan.Count)
	sent := m.Delivery.Sent
	switch n := m.Delivery.Unsent; {
	case n > 0:
		return []string{Count(n) + " of them " + were(n) + " due and never sent: the transport accepted no more before the run ended. They count as infinitely late."}
	case d.Interrupted && planned > sent:
		return []string{"Interrupted: " + Count(sent) + " of " + counted(planned, noun(d)) + " had been sent, and the figures are of those."}
	case d.Interrupted:
		return []string{"Interrupted: the figures are of the " + counted(sent, noun(d)) + " sent until then."}
	case planned > sent:
		return []string{Count(planned-sent) + " of " + counted(planned, noun(d)) + " planned " + were(planned-sent) + " never sent."}
	}
	return nil
}

func were(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// joined fits what timing says to "arrived".
func joined(timing string) string {
	switch {
	case timing == "":
		return ""
	case strings.HasPrefix(timing, "took"):
		return " and " + timing
	}
	return " " + timing
}
