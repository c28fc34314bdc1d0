package experiment

import (
	"time"

	"netcmp/netem"
	"netcmp/peer"
)

const (
	// backoffMax is the longest that TCP waits before it retransmits once more
	// (TCP_RTO_MAX, net/tcp.h). QUIC's longest wait is half of that.
	backoffMax = 2 * time.Minute
	// holdMargin covers the timers of both stacks and a busy machine.
	holdMargin = 10 * time.Second
)

// hold returns how long one direction can hold a message.
func hold(c Config, i netem.Impairment) time.Duration {
	// Of what is longer than a packet each fragment waits for the one before.
	return i.LongestHold(2 * max(c.Spec.Plan.Size, 1500))
}

// stallTimeout returns how long the ends wait for a transport that makes no progress,
// where the user does not say: for longer than the path can hold a message, and at least
// peer.DefaultPatience.
//
// A message that the path holds for a time h, in both directions, with a blackout of the
// timeline or in a full queue, is missing for longer than that. The sender's
// retransmission timer has doubled meanwhile (RFC 6298 section 5.5): the first
// retransmission that can get through leaves up to h after the path passes packets again.
// If that one is lost, the next leaves 2h later. Both waits end at backoffMax.
func stallTimeout(c Config) time.Duration {
	var held, queued time.Duration
	for _, p := range c.paths() {
		held = max(held, bounded(hold(c, p.Up))+bounded(hold(c, p.Down)))
		queued = max(queued, bounded(p.Up.LongestQueue(fullFrame))+bounded(p.Down.LongestQueue(fullFrame)))
	}
	held += c.Path.LongestBlackout(c.Changes)
	wait := held + min(held, backoffMax) + min(2*held, backoffMax) + queued + holdMargin
	return min(max(wait, peer.DefaultPatience), peer.MaxPatience)
}

// fullFrame is a full packet on Ethernet, bytes.
const fullFrame = 1514

// bounded keeps sums of times from running over.
func bounded(d time.Duration) time.Duration { return min(d, peer.MaxPatience) }
