package report

import (
	"strconv"
	"strings"

	"netcmp/result"
)

const notMeasured = "not measured"

func uintText(n result.Uint64) string { return strconv.FormatUint(uint64(n), 10) }

// shortest writes a number that somebody chose.
func shortest(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// measuredRows are the figures of one stream of messages, whose packets took
// the direction dir.
func measuredRows(d *result.Document, m *result.Measured, dir string) []row {
	rows := []row{deliveryRow(d, m, dir), orderRow(d, m, dir), delayRow(d, m)}
	if m.Anatomy != nil {
		rows = append(rows, anatomyRow(m.Anatomy))
	}
	rows = append(rows, blockedRow(m))
	rows = append(rows, readLateRow(m)...)
	if len(m.Deadline) > 0 {
		rows = append(rows, inTimeRow(m))
	}
	return rows
}

// deliveryRow puts what arrived beside what the path did to it.
func deliveryRow(d *result.Document, m *result.Measured, dir string) row {
	r := row{label: "delivery"}
	var parts []string
	switch {
	case m.Delivery.Delivered == nil:
		r.a = unknown
		parts = append(parts, notMeasured+": "+Count(m.Delivery.Sent)+" sent")
		r.loud = true
	default:
		r.a = Count(*m.Delivery.Delivered) + " of " + Count(m.Delivery.Planned())
		if m.Delivery.Ratio != nil {
			r.b = Percent(*m.Delivery.Ratio)
		}
		r.loud = positive(missingOf(m))
	}
	if natureOf(d).reliable {
		parts = append(parts, mended(d, dir)...)
	} else {
		parts = append(parts, account(m)...)
	}
	if n := m.Delivery.Unsent; n > 0 {
		parts = append(parts, Count(n)+" never sent: the transport was blocked")
	} else if never := m.Delivery.Scheduled - m.Delivery.Sent; never > 0 {
		parts = append(parts, Count(never)+" of "+Count(m.Delivery.Scheduled)+" scheduled never sent")
	}
	r.c = strings.Join(parts, ", ")
	return r
}

// account says where the missing messages went. Three figures always stand
// there, so that their zeros can be seen; the others when they are not zero.
func account(m *result.Measured) []string {
	a := m.Account
	lost := lostOf(m)
	if a == nil || (a.LinkLost == nil && a.Unexplained == nil) {
		var parts []string
		switch {
		case positive(lost) && a != nil && a.RequestsLost != nil:
			parts = append(append(parts, Count(*lost)+" lost"), ways(a)...)
		case positive(lost):
			parts = append(parts, Count(*lost)+" lost, where was "+notMeasured)
		case lost != nil:
			parts = append(parts, Count(*lost)+" lost")
		}
		if a != nil && positive(a.ReceiverDropped) {
			parts = append(parts, Count(*a.ReceiverDropped)+" dropped at the receiver")
		}
		return parts
	}
	var parts []string
	add := func(n *int64, always bool, words string) {
		if n != nil && (*n != 0 || always) {
			parts = append(parts, Count(*n)+" "+words)
		}
	}
	add(a.LinkLost, true, "lost on the path")
	switch {
	case !positive(a.LinkCorrupted) || a.LinkLost == nil:
	case *a.LinkCorrupted == *a.LinkLost:
		parts[0] += " (all damaged)"
	default:
		parts[0] += " (" + Count(*a.LinkCorrupted) + " of them damaged)"
	}
	add(a.QueueDropped, false, "dropped by its queue")
	add(a.ReceiverDropped, true, "at the receiver")
	add(a.InFlight, false, "still in flight")
	add(a.Unexplained, true, "unexplained")
	parts = append(parts, ways(a)...)
	if m.Loss != nil && m.Loss.PeriodMax > 1 && m.Loss.Periods > 1 {
		parts = append(parts, "at most "+Count(m.Loss.PeriodMax)+" in a row")
	}
	return parts
}

// ways says which way the lost were lost, of those that were to come back.
func ways(a *result.Account) []string {
	if a.RequestsLost == nil || *a.RequestsLost+*a.RepliesLost == 0 {
		return nil
	}
	return []string{Count(*a.RequestsLost) + " on the way there", Count(*a.RepliesLost) + " on the way back"}
}

// mended says what the path took from a protocol that sends again.
func mended(d *result.Document, dir string) []string {
	var parts []string
	toll := func(l *result.LinkDirection, where string) {
		verb := "the path lost "
		if len(parts) > 0 {
			verb = ""
		}
		parts = append(parts, verb+Count(l.Lost)+" of "+Count(l.Packets)+" packets"+where)
		if positive(l.QueueDropped) {
			parts = append(parts, "its queue dropped "+Count(*l.QueueDropped))
		}
		if l.Corrupted > 0 {
			parts = append(parts, "it damaged "+Count(l.Corrupted))
		}
	}
	switch {
	case d.Link == nil:
	case requestResponse(d):
		toll(&d.Link.Up, " up")
		toll(&d.Link.Down, " down")
	default:
		toll(linkOf(d, dir), "")
	}
	if d.Reverse == nil && d.Wire != nil && d.Wire.Retransmitted != nil {
		parts = append(parts, Count(*d.Wire.Retransmitted)+" retransmitted")
	}
	return parts
}

func orderRow(d *result.Document, m *result.Measured, dir string) row {
	r := row{label: "order"}
	var parts []string
	switch o := m.Order; {
	case o == nil:
		r.a = unknown
		parts = append(parts, notMeasured)
	case m.Delivery.Delivered != nil && *m.Delivery.Delivered == 0:
		r.a = unknown
		parts = append(parts, "nothing arrived")
	case o.Reordered == 0:
		r.a = "all in order"
		parts = append(parts, "0 reordered")
	default:
		r.a = Count(o.Reordered) + " reordered"
		r.loud = true
		if o.ReorderedRatio != nil {
			r.b = Percent(*o.ReorderedRatio)
		}
		parts = append(parts, "by up to "+counted(o.ExtentMax, "message"))
		if o.LateTimeNS != nil {
			parts = append(parts, "late by up to "+Duration(o.LateTimeNS.Max))
		}
	}
	if n := m.Delivery.Duplicated; n != nil {
		parts = append(parts, Count(*n)+" duplicated")
	}
	if positive(m.Delivery.Corrupted) {
		parts = append(parts, Count(*m.Delivery.Corrupted)+" came damaged")
	}
	r.c = strings.Join(parts, ", ")
	if did := disturbance(d, dir); did != "" {
		r.c += " · " + did
	}
	return r
}

// disturbance is what the path did to order and number.
func disturbance(d *result.Document, dir string) string {
	if d.Link == nil {
		return ""
	}
	directions := []*result.LinkDirection{linkOf(d, dir)}
	if requestResponse(d) {
		directions = []*result.LinkDirection{&d.Link.Up, &d.Link.Down}
	}
	var doubled, ahead int64
	for _, l := range directions {
		doubled += l.Duplicated
		if l.Reordered != nil {
			ahead += *l.Reordered
		}
	}
	var parts []string
	if doubled > 0 {
		parts = append(parts, "doubled "+counted(doubled, "packet"))
	}
	if ahead > 0 {
		parts = append(parts, "sent "+Count(ahead)+" ahead")
	}
	if len(parts) == 0 {
		return ""
	}
	return "the path " + strings.Join(parts, ", ")
}

func delayRow(d *result.Document, m *result.Measured) row {
	r := row{label: "delay"}
	if requestResponse(d) {
		r.label = "round trip"
	}
	if m.Delay == nil {
		r.a, r.c = unknown, notMeasured
		return r
	}
	quantile := func(name string, ns *int64) string {
		switch {
		case ns != nil:
			return name + nbsp + Duration(*ns)
		case positive(missingOf(m)):
			return name + nbsp + infinite + nbsp + "(lost)"
		default:
			return name + nbsp + unknown
		}
	}
	r.a, r.b = quantile("p50", m.Delay.P50NS), quantile("p99", m.Delay.P99NS)
	parts := []string{"max" + nbsp + optional(m.Delay.MaxNS, Duration)}
	if m.Delay.JitterNS != nil {
		parts = append(parts, "jitter"+nbsp+Duration(*m.Delay.JitterNS)+" (RFC"+nbsp+"3550)")
	}
	if u := (*int64)(m.Instrument.Clock.UncertaintyNS); positive(u) && !requestResponse(d) {
		parts = append(parts, "clocks ±"+nbsp+Duration(*u))
	}
	r.c = strings.Join(parts, " · ")
	return r
}

// anatomyRow says where the time of the slowest messages went: on average, since means of
// parts add up, and of the slowest one.
func anatomyRow(a *result.Anatomy) row {
	parts := func(m result.Dissected) string {
		return strings.ReplaceAll(strings.ReplaceAll(partsText(m), " ", nbsp), ","+nbsp, " + ")
	}
	r := row{label: "anatomy"}
	n := len(a.Slowest)
	if n == 0 {
		return r
	}
	s := a.Slowest[0]
	r.c = "the slowest, message" + nbsp + Count(s.Number) + ": " + parts(s)
	if n > 1 {
		mean := meanOf(a.Slowest)
		r.c = Count(int64(n)) + " slowest, on average: " + Duration(delayOf(mean)) + " = " + parts(mean) + " · " + r.c
	}
	return r
}

// blockedRow tells of head-of-line blocking, and of silence in any case.
func blockedRow(m *result.Measured) row {
	r := row{label: "blocked"}
	s := m.Stall
	switch {
	case s == nil:
		r.a, r.c = unknown, notMeasured
		return r
	case s.Held == nil: // what orders nothing has nothing to be blocked
		return row{label: "silence", a: optional(s.LongestSilenceNS, Duration), c: "the longest without a delivery"}
	case s.Exact && m.Anatomy != nil && m.Anatomy.BlockedNS == nil: // of a version that did not tell the two apart
		r.label = "held back"
	}
	var parts []string
	if *s.Held == 0 {
		r.a = "none"
	} else {
		r.a = counted(*s.Held, "message")
		r.loud = true
		if n := m.Delivery.Delivered; positive(n) {
			r.b = Percent(float64(*s.Held) / float64(*n))
		}
		if r.label == "blocked" {
			parts = append(parts, "head-of-line")
		}
		parts = append(parts, quantileParts(s.HeldNS)...)
		if positive(s.ReleasedMax) {
			parts = append(parts, "up to "+Count(*s.ReleasedMax)+" delivered in one burst")
		}
	}
	if s.LongestSilenceNS != nil {
		parts = append(parts, "longest silence"+nbsp+Duration(*s.LongestSilenceNS))
	}
	if *s.Held > 0 && !s.Exact {
		parts = append(parts, "estimated from arrival times")
	}
	r.c = strings.Join(parts, " · ")
	return r
}

// readLateRow tells of messages that this machine read late; there is none where it did
// not.
func readLateRow(m *result.Measured) []row {
	late := m.ReadLate
	if late == nil || late.Messages == 0 {
		return nil
	}
	r := row{label: "read late", a: counted(late.Messages, "message"), loud: true}
	if n := m.Delivery.Delivered; positive(n) {
		r.b = Percent(float64(late.Messages) / float64(*n))
	}
	r.c = strings.Join(append(quantileParts(late.NS), "this machine's doing, not the protocol's"), " · ")
	return []row{r}
}

func quantileParts(q *result.Quantiles) []string {
	if q == nil {
		return nil
	}
	return []string{"p50" + nbsp + Duration(q.P50), "p99" + nbsp + Duration(q.P99), "max" + nbsp + Duration(q.Max)}
}

// mostDeadlines bounds the row of deadlines; a curve belongs in a drawing.
const mostDeadlines = 5

func inTimeRow(m *result.Measured) row {
	var parts []string
	for i, dl := range m.Deadline {
		if n := len(m.Deadline); n > mostDeadlines && !spread(i, n, mostDeadlines) {
			continue
		}
		parts = append(parts, optional(dl.InTimeRatio, Percent)+" within "+ExactDuration(dl.WithinNS))
	}
	return row{label: "in time", c: strings.Join(parts, " · ")}
}

// spread picks k of n places evenly, the first and the last among them.
func spread(i, n, k int) bool {
	for j := range k {
		if j*(n-1)/(k-1) == i {
			return true
		}
	}
	return false
}

func speedRow(d *result.Document, m *result.Measured, setup bool) row {
	r := row{label: "speed"}
	var parts []string
	if m.Speed.GoodputBPS == nil && m.Speed.MessagesPS == nil {
		r.a = unknown
		parts = append(parts, notMeasured)
	} else {
		r.a = optional(m.Speed.GoodputBPS, BitRate)
		if m.Speed.MessagesPS != nil {
			r.b = Rate(*m.Speed.MessagesPS) + " msg/s"
		}
	}
	if m.Speed.DurationNS != nil {
		parts = append(parts, "in "+Duration(*m.Speed.DurationNS))
	}
	if setup {
		if d.Setup.FirstMessageNS != nil {
			parts = append(parts, "first message after "+Duration(*d.Setup.FirstMessageNS))
		}
		parts = append(parts, setupWords(d)...)
	}
	r.c = strings.Join(parts, ", ")
	return r
}

func setupWords(d *result.Document) []string {
	var parts []string
	switch n := d.Setup.Connections; {
	case n != nil:
		parts = append(parts, Count(n.Opened)+" connections")
		if n.ConnectNS != nil {
			parts = append(parts, "set-up p50 "+Duration(n.ConnectNS.P50)+", p99 "+Duration(n.ConnectNS.P99))
		}
	case d.Setup.ConnectNS != nil:
		parts = append(parts, "set-up "+Duration(*d.Setup.ConnectNS))
	case d.Proto == "udp":
		parts = append(parts, "no set-up")
	default:
		parts = append(parts, "set-up "+notMeasured)
	}
	early := d.Setup.EarlyData != nil && *d.Setup.EarlyData
	if d.Setup.SecureNS != nil && early {
		parts = append(parts, "handshake done after "+Duration(*d.Setup.SecureNS))
	} else if d.Setup.SecureNS != nil {
		parts = append(parts, "encrypted after "+Duration(*d.Setup.SecureNS))
	}
	switch {
	case early:
		parts = append(parts, "session resumed with early data (0-RTT)")
	case d.Setup.Resumed != nil && *d.Setup.Resumed:
		parts = append(parts, "session resumed")
	}
	return parts
}

// costRow is what the experiment used up, on the wire and on the processors.
func costRow(d *result.Document) row {
	var parts []string
	if w := d.Wire; w != nil {
		if w.OverheadRatio != nil {
			parts = append(parts, significant(*w.OverheadRatio)+" × payload on the wire")
		}
		if w.UpPackets != nil && w.DownPackets != nil {
			packets := Count(*w.UpPackets) + " packets up, " + Count(*w.DownPackets) + " down"
			if d.Reverse != nil && w.Retransmitted != nil {
				packets += ", " + Count(*w.Retransmitted) + " retransmitted"
			}
			parts = append(parts, packets)
		}
	}
	sending, receiving := "sending", "receiving"
	switch {
	case d.Reverse != nil:
		sending, receiving = "at the client", "at the server"
	case requestResponse(d):
		sending, receiving = "asking", "answering"
	}
	var cpu []string
	if send, receive := d.Cost.SendCallsNS, d.Cost.ReceiveCallsNS; send != nil && receive != nil {
		cpu = append(cpu, "in the send call "+Duration(*send)+" a message", "in the receive call "+Duration(*receive))
	} else if ns := d.Cost.SenderCPUPerMessageNS; ns != nil {
		cpu = append(cpu, Duration(*ns)+" a message "+sending)
	}
	if ns := d.Cost.ReceiverCPUPerMessageNS; ns != nil && d.Cost.SendCallsNS == nil {
		if len(cpu) == 0 {
			cpu = append(cpu, Duration(*ns)+" a message "+receiving)
		} else {
			cpu = append(cpu, Duration(*ns)+" "+receiving)
		}
	}
	if len(cpu) > 0 {
		parts = append(parts, "CPU "+strings.Join(cpu, ", "))
	}
	if len(parts) == 0 {
		return row{label: "cost", a: unknown, c: notMeasured}
	}
	return row{label: "cost", c: strings.Join(parts, " · ")}
}

// worthSaying is the error of the instrument's own that a reader should see
// without asking: half the step between two messages at 500/s.
const worthSaying = 1_000_000

// instrumentRow is there only when the instrument disturbed what it measured.
func instrumentRow(d *result.Document, m *result.Measured, dir string) []row {
	var parts []string
	if n := m.Instrument.BlockedSends; n > 0 && !d.Plan.Saturate {
		parts = append(parts, Count(n)+" sends had to wait until the transport took them")
	}
	if q := m.Instrument.PacingErrorNS; q != nil && q.P99 >= worthSaying && d.Trust == nil {
		parts = append(parts, "sender late by p99"+nbsp+Duration(q.P99)+", max"+nbsp+Duration(q.Max))
	}
	if l := linkOf(d, dir); l != nil && l.DelayErrorNS != nil && l.DelayErrorNS.P99 >= worthSaying && d.Trust == nil {
		parts = append(parts, "path late by p99"+nbsp+Duration(l.DelayErrorNS.P99)+", max"+nbsp+Duration(l.DelayErrorNS.Max))
	}
	if len(parts) == 0 {
		return nil
	}
	return []row{{label: "instrument", c: strings.Join(parts, " · ")}}
}

// optional writes a quantity, or that it was not measured.
func optional[T any](v *T, write func(T) string) string {
	if v == nil {
		return unknown
	}
	return write(*v)
}

// counted writes a number with its noun.
func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Count(n) + " " + noun
}
