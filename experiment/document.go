package experiment

import (
	"fmt"
	"strings"
	"time"

	"netcmp/netem"
	"netcmp/peer"
	"netcmp/result"
	"netcmp/transport"
	"netcmp/workload"
)

// document draws up the result of an experiment from what the two ends and the
// path have counted.
func document(c Config, engine Engine, began processorTime, out *peer.Outcome, link *result.Link, pathCPU *int64) *result.Document {
	p := c.Spec.Plan
	d := &result.Document{
		Schema: result.Schema, Tool: c.Tool, Seed: result.Uint64(c.Seed), Proto: c.Spec.Proto, Engine: string(engine),
		Started:     time.Unix(0, out.StartedNS).UTC().Format(time.RFC3339Nano),
		Interrupted: out.Interrupted || out.Error != "",
		Environment: environment(),
		Plan: result.Plan{
			Count: p.Count, DurationNS: int64(p.Duration), SizeBytes: p.Size, RatePerS: p.Rate, Saturate: p.Saturate,
			Arrival: string(p.Arrival), Burst: p.Burst,
			Direction: string(c.Spec.Direction), Pattern: string(c.Spec.Pattern), Connection: string(c.Spec.Connection),
			NetemUp: c.Path.Up.String(), NetemDown: c.Path.Down.String(), PathDefault: c.PathDefault,
			Fate:    string(netem.FateByPacket),
			Resume:  c.Spec.Resume,
			NoDelay: !c.Spec.Nagle, NoBatch: c.Spec.NoBatch, SendBuffer: c.Spec.SendBuffer, ReceiveBuffer: c.Spec.ReceiveBuffer,
			Command: c.Command,
		},
		Link: link,
	}
	if c.Fate != "" {
		d.Plan.Fate = string(c.Fate)
	}
	for _, x := range c.Changes {
		d.Plan.Timeline = append(d.Plan.Timeline, result.PlanChange{
			AtNS: int64(x.At), NetemUp: x.Path.Up.String(), NetemDown: x.Path.Down.String(),
		})
	}
	if p.Saturate {
		d.Plan.RatePerS, d.Plan.Arrival = 0, ""
	}
	a := assembly{config: c, engine: engine, out: out, link: link, document: d}
	d.Environment.BusyRatio, d.Environment.StolenRatio = readProcessorTime().shares(began)
	a.streams()
	a.setup()
	a.sockets()
	a.wire()
	a.cost(pathCPU)
	a.warnings()
	d.Trust = trust(d)
	return d
}

// assembly is a document in the making.
type assembly struct {
	config   Config
	engine   Engine
	out      *peer.Outcome
	link     *result.Link
	document *result.Document
}

// stream is one direction's sender and receiver; either may be unknown.
type stream struct {
	from, to *peer.EndReport
	there    bool // the round trip is measured where it began
}

func (a *assembly) up() stream {
	if a.config.Spec.Pattern == peer.RequestResponse {
		return stream{from: a.out.Client, to: a.out.Client, there: true}
	}
	return stream{from: a.out.Client, to: a.out.Server}
}

func (a *assembly) down() stream { return stream{from: a.out.Server, to: a.out.Client} }

// main is the stream that the document's own sections tell of.
func (a *assembly) main() stream {
	if a.config.Spec.Direction == peer.Down {
		return a.down()
	}
	return a.up()
}

func (a *assembly) streams() {
	switch a.config.Spec.Direction {
	case peer.Down:
		a.document.Measured = a.measured(a.down(), false)
	case peer.Both:
		a.document.Measured = a.measured(a.up(), true)
		m := a.measured(a.down(), false)
		a.document.Reverse = &m
	default:
		a.document.Measured = a.measured(a.up(), true)
	}
}

// measured is the account of one stream.
func (a *assembly) measured(s stream, up bool) result.Measured {
	m := result.Measured{Deadline: []result.Deadline{}, Intervals: []result.Interval{}}
	if s.to != nil && s.to.Received != nil {
		m = *s.to.Received
	}
	if s.from != nil && s.from.Sent != nil {
		x := s.from.Sent
		if m.Delivery.Sent != x.Sent {
			// The receiver's last word is older: what became of the messages
			// after it nobody knows.
			m.Delivery.Lost, m.Delivery.Ratio = nil, nil
		}
		m.Delivery.Scheduled, m.Delivery.Due, m.Delivery.Sent = x.Scheduled, max(x.Due, x.Sent), x.Sent
		m.Delivery.Unsent = m.Delivery.Due - m.Delivery.Sent
		m.Instrument.PacingErrorNS, m.Instrument.PacingErrorMeanNS = x.PacingErrorNS, x.PacingErrorMeanNS
		m.Instrument.OverdueSends, m.Instrument.BlockedSends = x.OverdueSends, x.BlockedSends
		m.Instrument.SpunNS = x.SpunNS
		m.Instrument.MissedSends = max(x.Scheduled-x.Sent, 0)
	}
	a.planned(m.Messages)
	m.Instrument.Clock = result.Clock{
		Source: a.out.ClockSource, OffsetNS: new(result.Int64(a.out.OffsetNS)), UncertaintyNS: new(result.Int64(a.out.UncertaintyNS)),
		DriftRatio: a.out.Drift, Samples: a.out.ClockSamples,
	}
	m.Instrument.LatenessNS = a.lateness(s, up)
	if s.there {
		m.Instrument.Clock = result.Clock{Source: "round trip on one clock", OffsetNS: new(result.Int64(0)), UncertaintyNS: new(result.Int64(0))}
	}
	a.unblock(&m, s, up)
	m.Account = &result.Account{}
	if !a.properties().Reliable {
		m.Account = a.account(&m, s, up)
	}
	m.Account.Unsent = &m.Delivery.Unsent
	return m
}

// planned enters when the messages that did not come were due: the schedule
// follows from the plan.
func (a *assembly) planned(x *result.Messages) {
	if x == nil || a.config.Spec.Plan.Saturate {
		return
	}
	schedule := workload.NewSchedule(a.config.Spec.Plan)
	for i := range x.PlannedNS {
		m, ok := schedule.Next()
		if !ok {
			return
		}
		if x.PlannedNS[i] < 0 {
			x.PlannedNS[i] = int64(m.Offset)
		}
	}
}

func (a *assembly) properties() transport.Properties {
	for _, t := range Transports() {
		if t.Name() == a.config.Spec.Proto {
			return t.Properties()
		}
	}
	return transport.Properties{}
}

// partial says that one end's account ends before the path's does.
func (a *assembly) partial() bool { return a.out.Error != "" }

func (a *assembly) directions(up, both bool) []result.LinkDirection {
	switch {
	case both:
		return []result.LinkDirection{a.link.Up, a.link.Down}
	case up:
		return []result.LinkDirection{a.link.Up}
	}
	return []result.LinkDirection{a.link.Down}
}

func (a *assembly) setup() {
	d := a.document
	d.Setup.ConnectNS, d.Setup.SecureNS = a.out.ConnectNS, a.out.SecureNS
	if c := a.out.Client; c != nil {
		d.Setup.Resumed, d.Setup.EarlyData = c.Stats.Resumed, c.Stats.EarlyData
		if n := c.Stats.Connections; n != nil {
			d.Setup.Connections = &result.Connections{Opened: n.Opened, Failed: n.Failed, ConnectNS: n.ConnectNS, SecureNS: n.SecureNS}
			if n.ConnectNS != nil {
				d.Setup.ConnectNS = &n.ConnectNS.P50
			}
			if n.SecureNS != nil {
				d.Setup.SecureNS = &n.SecureNS.P50
			}
		}
	}
	if s := a.main(); s.to != nil && s.to.FirstNS != nil {
		first := *s.to.FirstNS
		if before := a.beforeFirst(); before != nil {
			first += *before
		}
		d.Setup.FirstMessageNS = &first
	}
}

// beforeFirst is what the sender of the first message had to wait for, from the
// beginning of the connection; null where that is nothing.
func (a *assembly) beforeFirst() *int64 {
	early := a.document.Setup.EarlyData
	switch {
	case a.config.Spec.Direction == peer.Down && a.out.AcceptedNS != nil:
		return a.out.AcceptedNS
	case a.out.SecureNS != nil && (early == nil || !*early):
		return a.out.SecureNS
	}
	return a.out.ConnectNS
}

func (a *assembly) sockets() {
	d, s := a.document, a.main()
	if s.there {
		s.to = a.out.Server
	}
	if s.from != nil {
		d.Plan.Congestion = s.from.Stats.Congestion
		d.TCPInfo = s.from.Stats.TCPInfo
		if q := s.from.Stats.QUIC; q != nil {
			d.QUIC = new(*q)
			d.QUIC.DatagramsReceiveDropped = nil // the other end's to tell
		}
		if n := s.from.Stats.SendBuffer; n > 0 {
			d.Sockets.SenderSendBuffer = &n
		}
	}
	if s.to != nil {
		if q := s.to.Stats.QUIC; d.QUIC != nil && q != nil {
			d.QUIC.DatagramsReceiveDropped = q.DatagramsReceiveDropped
		}
		if n := s.to.Stats.ReceiveBuffer; n > 0 {
			d.Sockets.ReceiverReceiveBuffer = &n
		}
	}
}

func (a *assembly) wire() {
	var retransmitted *int64
	for _, e := range []*peer.EndReport{a.out.Client, a.out.Server} {
		if e != nil && e.Stats.Retransmitted != nil {
			n := *e.Stats.Retransmitted
			if retransmitted != nil {
				n += *retransmitted
			}
			retransmitted = &n
		}
	}
	if a.link == nil {
		if retransmitted != nil {
			a.document.Wire = &result.Wire{Retransmitted: retransmitted}
		}
		return
	}
	w := &result.Wire{
		UpPackets: &a.link.Up.Packets, UpBytes: &a.link.Up.Bytes,
		DownPackets: &a.link.Down.Packets, DownBytes: &a.link.Down.Bytes,
		Retransmitted: retransmitted,
	}
	if n := a.deliveredBytes(); n > 0 {
		w.OverheadRatio = new(float64(*w.UpBytes+*w.DownBytes) / float64(n))
	}
	a.document.Wire = w
}

// deliveredBytes are those of messages that were delivered; a request and its
// reply are two.
func (a *assembly) deliveredBytes() int64 {
	var n int64
	for _, m := range []*result.Measured{&a.document.Measured, a.document.Reverse} {
		if m != nil && m.Delivery.Delivered != nil {
			n += *m.Delivery.Delivered
		}
	}
	if a.config.Spec.Pattern == peer.RequestResponse {
		n *= 2
	}
	return n * int64(a.config.Spec.Plan.Size)
}

func (a *assembly) cost(pathCPU *int64) {
	c := &a.document.Cost
	c.PathCPUNS = pathCPU
	s := a.main()
	if s.there {
		s.to = a.out.Server
	}
	m := a.document.Delivery
	if s.from != nil {
		used := s.from.CPUNS
		if s.from.Sent != nil {
			used = max(used-s.from.Sent.SpunNS, 0)
		}
		c.SenderCPUNS = &used
		c.SenderCPUPerMessageNS = per(used, &m.Sent)
	}
	if s.to != nil {
		c.ReceiverCPUNS = &s.to.CPUNS
		c.ReceiverCPUPerMessageNS = per(s.to.CPUNS, m.Delivered)
	}
	a.calls(s)
}

// calls tells the cost of the calls into the transport from the rest, which is the
// instrument's.
func (a *assembly) calls(s stream) {
	c, m := &a.document.Cost, a.document.Delivery
	if s.from == nil || s.to == nil {
		return
	}
	sends, receives := s.from.Stats.SendCalls, s.to.Stats.ReceiveCalls
	if sends == nil || receives == nil {
		return
	}
	c.SendCallsNS, c.ReceiveCallsNS = per(sends.NS, &m.Sent), per(receives.NS, m.Delivered)
	c.CallErrorNS = new(max(sends.ErrorNS, receives.ErrorNS))
	c.InstrumentNS = new(max(*c.SenderCPUNS+*c.ReceiverCPUNS-sends.NS-receives.NS, 0))
}

func per(cost int64, n *int64) *int64 {
	if n == nil || *n == 0 {
		return nil
	}
	return new(cost / *n)
}

// stolenNoted is the share of stolen processor time from which on a reader
// must know.
const stolenNoted = 0.02

// warnings say what a reader must know before believing the figures.
func (a *assembly) warnings() {
	d := a.document
	d.Warnings = []string{}
	warn := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	switch {
	case a.out.Error != "" && a.out.Final:
		warn("the run ended before its time: %s", a.out.Error)
	case a.out.Error != "":
		warn("the run ended before its time: %s; the figures are those of the last report before", a.out.Error)
	case a.out.Interrupted:
		warn("interrupted: %d of %d scheduled messages were sent", d.Delivery.Sent, d.Delivery.Scheduled)
	}
	d.Warnings = append(d.Warnings, a.config.Notes...)
	for _, note := range a.out.Notes {
		warn("the server's path: %s", note)
	}
	if stolen := d.Environment.StolenRatio; stolen != nil && *stolen > stolenNoted {
		warn("the machine's host kept %.0f %% of the processor time to itself (steal): the delays' tail is its doing", *stolen*100)
	}
	if s := d.Setup; a.config.Spec.Resume && a.out.Client != nil {
		if s.Resumed == nil || !*s.Resumed {
			warn("no session was resumed: this is a whole handshake")
		} else if a.properties().EarlyData && (s.EarlyData == nil || !*s.EarlyData) {
			warn("the session was resumed without early data: messages waited for the handshake")
		}
	}
	if a.engine == None {
		warn("engine none: the path is this host's loopback, which is clean; packets there may hold up to 64 KiB")
	}
	for _, s := range []struct {
		name string
		m    *result.Measured
	}{{"", &d.Measured}, {" (down)", d.Reverse}} {
		if s.m == nil {
			continue
		}
		if n := s.m.Delivery.Unsent; n > 0 {
			warn("%d of %d messages%s were due and never sent: the transport accepted no more before the run ended; they count as infinitely late",
				n, s.m.Delivery.Due, s.name)
		}
		if acc := s.m.Account; acc != nil && acc.Unexplained != nil && *acc.Unexplained != 0 {
			warn("%d messages are unexplained%s: neither the path nor the receiver accounts for them", *acc.Unexplained, s.name)
		}
	}
	for _, e := range []*peer.EndReport{a.out.Client, a.out.Server} {
		if e == nil {
			continue
		}
		switch stall := a.config.Spec.Patience; {
		case e.GaveUp > 0 && e.Waited >= stall:
			warn("gave up waiting for %d messages: none came for %v (--stall-timeout)", e.GaveUp, stall)
		case e.GaveUp > 0:
			warn("gave up waiting for %d messages after %v", e.GaveUp, e.Waited.Round(time.Millisecond))
		}
		if c := e.Stats.Carriage; c != nil && c.TooLate > 0 {
			warn("%d packets came so late that quic-go took them for copies and threw them away: they count as dropped by the receiver", c.TooLate)
		}
		if e.Records != "" {
			warn("the records are not complete: %s", e.Records)
		}
		if e.Foreign > 0 {
			warn("%d messages of another session came and were not counted", e.Foreign)
		}
		if n := e.Stats.Connections; n != nil && n.Failed > 0 {
			warn("%d connections failed, and their messages with them: %s", n.Failed, n.Error)
		}
	}
	if a.link != nil {
		a.pathWarnings(warn)
		a.linkWarnings(warn)
	}
	if a.config.Impair {
		warn("the server's netem draws by itself: another run meets other losses; seed NUMBER among the path's words fixes them where its kernel takes one (Linux 6.6 and later)")
	}
	if c := a.out.UncertaintyNS; a.engine == Remote && c > 0 && d.Delay != nil && d.Delay.P50NS != nil &&
		a.config.Spec.Pattern == peer.Stream && c > *d.Delay.P50NS/2 {
		warn("the clocks of the two machines are known to %v only: one-way delay is not to be trusted; use --pattern request-response",
			time.Duration(c).Round(time.Microsecond))
	}
}

// pathWarnings tell of what the path's own words do not do.
func (a *assembly) pathWarnings(warn func(string, ...any)) {
	told := map[string]bool{}
	for _, p := range a.config.paths() {
		for _, i := range []netem.Impairment{p.Up, p.Down} {
			for _, text := range i.Warnings() {
				if !told[text] {
					told[text] = true
					warn("path: %s", text)
				}
			}
		}
	}
}

func (a *assembly) linkWarnings(warn func(string, ...any)) {
	for _, l := range []struct {
		name string
		l    *result.LinkDirection
		spec string
	}{{"up", &a.link.Up, a.document.Plan.NetemUp}, {"down", &a.link.Down, a.document.Plan.NetemDown}} {
		if l.l.Overrun > 0 {
			if a.engine == Kernel {
				warn("%d packets came or went faster than this machine could watch them: what is told of the path is not complete", l.l.Overrun)
			} else {
				warn("the emulator was overrun: %d frames %s, each a packet or a train of some, came faster than this machine can carry them; what was in them counts as dropped by the queue", l.l.Overrun, l.name)
			}
		}
		if l.l.Oversize > 0 {
			warn("%d frames %s were longer than the MTU of the device that was to take them and were dropped: give both ends of a link one MTU, or send smaller messages (--size)", l.l.Oversize, l.name)
		}
		if l.l.Refused > 0 {
			warn("%d packets %s were refused by the receiving host's device", l.l.Refused, l.name)
		}
		if l.l.QueueDropped == nil {
			warn("the kernel counts the packets %s that it lost and that found its queue full together: link_lost holds both", l.name)
		}
		dropped := int64(0)
		if l.l.QueueDropped != nil {
			dropped = *l.l.QueueDropped
		}
		if dropped > 0 && !strings.Contains(l.spec, "rate") && !strings.Contains(l.spec, "limit") {
			warn("the queue dropped %d packets %s: netem's limit (1000 packets unless given) counts those in the delay, too; raise it (--limit)", dropped, l.name)
		}
		if in, out := l.l.Packets+l.l.Duplicated, l.l.Lost+dropped+l.l.Delivered+l.l.InFlight; in != out {
			warn("the path's own account does not balance %s: %d in, %d out", l.name, in, out)
		}
	}
}
