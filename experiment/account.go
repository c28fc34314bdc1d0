package experiment

import (
	"netcmp/peer"
	"netcmp/result"
	"netcmp/transport"
)

// account says where every message that was sent and not delivered went. What
// a lossless path (engine none) and an unknown one (remote) did was not
// measured.
func (a *assembly) account(m *result.Measured, s stream, up bool) *result.Account {
	x := &result.Account{}
	if s.to != nil && s.to.ReceiverDropped != nil {
		x.ReceiverDropped = s.to.ReceiverDropped
		if s.there && a.out.Server != nil && a.out.Server.ReceiverDropped != nil {
			x.ReceiverDropped = new(*s.to.ReceiverDropped + *a.out.Server.ReceiverDropped)
		}
	}
	a.ways(x, m, s)
	if m.Delivery.Lost == nil || x.ReceiverDropped == nil {
		return x
	}
	// Of a message that came twice the receiver may have dropped one.
	x.ReceiverDropped = new(min(*x.ReceiverDropped, *m.Delivery.Lost))
	missing := *m.Delivery.Lost - *x.ReceiverDropped
	switch {
	case a.engine == None:
		x.Unexplained = &missing
	case a.link == nil || a.partial():
	case a.carried(s, up):
		a.carriage(x, m, s, up)
	default:
		t := a.toll(up, s.there)
		missing -= t.lost + t.dropped
		// What overran the emulator was never looked at: a stray may be in it.
		overrun := min(t.overrun, max(missing, 0))
		missing -= overrun
		flying := min(t.flying, max(missing, 0))
		missing -= flying
		// Damage that hits nothing the receiver looks at is delivered whole.
		damaged := min(t.damaged, max(missing, 0))
		missing -= damaged
		fill(x, t, damaged, t.lost+damaged, t.dropped+overrun, flying, missing)
	}
	return x
}

// ways says of what was lost on the way there and back on which of the two it was:
// the end that answers has counted the requests.
func (a *assembly) ways(x *result.Account, m *result.Measured, s stream) {
	if !s.there || m.Delivery.Lost == nil || a.partial() || a.out.Server == nil || a.out.Server.Requests == nil {
		return
	}
	// What was sent and is asked for no longer may still have come.
	requests := min(max(m.Delivery.Sent-*a.out.Server.Requests, 0), *m.Delivery.Lost)
	x.RequestsLost, x.RepliesLost = &requests, new(*m.Delivery.Lost-requests)
}

// fill enters the path's part of an account.
func fill(x *result.Account, t toll, damaged, lost, dropped, flying, unexplained int64) {
	x.LinkLost, x.LinkCorrupted, x.InFlight, x.Unexplained = &lost, &damaged, &flying, &unexplained
	if !t.together || dropped > 0 {
		x.QueueDropped = &dropped
	}
}

// toll is what the path did to the IP datagrams of one direction, or of both.
type toll struct {
	lost, damaged, dropped, overrun, flying int64
	together                                bool // the path counts the lost and the dropped as one
}

func (a *assembly) toll(up, both bool) toll {
	var t toll
	for _, l := range a.directions(up, both) {
		t.lost += l.Datagrams.Lost
		t.damaged += l.Datagrams.Corrupted
		if l.Datagrams.QueueDropped != nil {
			t.dropped += *l.Datagrams.QueueDropped
		} else {
			t.together = true
		}
		// The emulator's ring holds frames, of which one may be a train of messages.
		// What was in those that found it full nobody knows: so many at the most.
		if a.engine == Emulator {
			t.overrun += l.Overrun * transport.TrainMax
		} else {
			t.overrun += l.Overrun
		}
		t.dropped += l.Oversize
		t.flying += l.InFlight
	}
	return t
}

// legs are the ways that the messages of a stream go, each from an end to
// another: of request-response both.
func (a *assembly) legs(s stream, up bool) [][2]*peer.EndReport {
	there, back := [2]*peer.EndReport{a.out.Client, a.out.Server}, [2]*peer.EndReport{a.out.Server, a.out.Client}
	switch {
	case s.there:
		return [][2]*peer.EndReport{there, back}
	case up:
		return [][2]*peer.EndReport{there}
	}
	return [][2]*peer.EndReport{back}
}

// carried says that the transport puts messages into packets of its own, and
// that both ends have counted them.
func (a *assembly) carried(s stream, up bool) bool {
	for _, leg := range a.legs(s, up) {
		if leg[0] == nil || leg[1] == nil || leg[0].Stats.Carriage == nil || leg[1].Stats.Carriage == nil {
			return false
		}
	}
	return true
}

// carriage is the account of such a transport. The path counts packets, of
// which one may hold several messages, and others none. So what is missing is
// counted by the ends: messages that never left, that left in a packet and did
// not come in one, and that came and found no room. The path's own count has
// then to be able to explain the packets that did not come.
func (a *assembly) carriage(x *result.Account, m *result.Measured, s stream, up bool) {
	var sum transport.Carriage
	for _, leg := range a.legs(s, up) {
		from, to := leg[0].Stats.Carriage, leg[1].Stats.Carriage
		sum.MessagesSent += from.MessagesSent
		sum.PacketsSent += from.PacketsSent
		sum.Unsent += from.Unsent
		sum.MessagesReceived += to.MessagesReceived
		sum.PacketsReceived += to.PacketsReceived
		sum.Dropped += to.Dropped
		sum.Unusable += to.Unusable
		sum.PacketsDiscarded += to.PacketsDiscarded
		sum.Discarded += to.Discarded
	}
	held := int64(0) // still with the sender
	if !s.there {
		held = max(m.Delivery.Sent-sum.MessagesSent-sum.Unsent, 0)
	}
	missing := max(sum.MessagesSent-sum.MessagesReceived, 0)
	// What the receiver threw away before it was counted: whole packets, by the
	// socket, and messages by their length, of which some were copies.
	socket := max(*x.ReceiverDropped-sum.Dropped-sum.Discarded, 0)
	thrown := min(socket+sum.Discarded, missing)
	x.ReceiverDropped = new(sum.Dropped + thrown)
	missing -= thrown
	unexplained := *m.Delivery.Lost - *x.ReceiverDropped - held - missing

	t := a.toll(up, s.there)
	t.dropped += t.overrun
	packets := max(sum.PacketsSent-sum.PacketsReceived-socket-sum.PacketsDiscarded-sum.Unusable, 0)
	if beyond := packets - t.lost - t.damaged - t.dropped - t.flying; beyond > 0 && missing > 0 {
		unexplained += min(beyond, missing)
		missing -= min(beyond, missing)
		packets -= beyond
	}
	// Which packets were lost the path does not know: as few as can be are said
	// to be on their way still. What is left over of several in a packet went
	// where most went.
	flying := min(max(packets-t.lost-t.damaged-t.dropped, 0), missing)
	dropped := min(t.dropped, packets-flying, missing-flying)
	lost := missing - dropped - flying
	switch {
	case packets > flying+dropped || lost == 0 || sum.Unusable > 0:
	case dropped > 0:
		dropped, lost = dropped+lost, 0
	case flying > 0:
		flying, lost = flying+lost, 0
	}
	fill(x, t, min(t.damaged, lost), lost, dropped, flying+held, unexplained)
}
