package experiment

import (
	"context"
	"fmt"
	"time"

	"netcmp/capture"
	"netcmp/clock"
	"netcmp/lab"
	"netcmp/peer"
	"netcmp/result"
)

// AnatomyRate is how many messages a second are followed packet by packet unless
// somebody asks for it: beyond, to look takes from what is looked at.
const AnatomyRate = 20_000

// NoAnatomy says why the delay of this experiment's messages cannot be split in its
// parts; "" if it can.
func (c Config) NoAnatomy() string {
	switch {
	case c.Connect != "" || c.Engine == None:
		return "there is no lab whose packets could be looked at"
	case c.Spec.Proto != "tcp" && c.Spec.Proto != "udp":
		return "packets of " + c.Spec.Proto + " are encrypted and do not say where a message ends; it is for tcp and udp"
	case c.Spec.Connection == peer.Short:
		return "messages are told from each other by their place in one connection; it is for the connection long"
	case c.Spec.Pattern == peer.RequestResponse:
		return "a round trip has other parts; it is for the pattern stream"
	}
	return ""
}

// AnatomyFits says whether the anatomy of delay is to be had without being asked
// for: where it can be, and disturbs nothing.
func (c Config) AnatomyFits() bool {
	p := c.Spec.Plan.WithDefaults()
	return c.NoAnatomy() == "" && !p.Saturate && p.Rate <= AnatomyRate
}

// captured is the capture of an experiment. Its zero value is none.
type captured struct {
	capture *capture.Capture
	clock   capture.Clock
	stopped bool
}

// startCapture begins to look at the lab's packets if somebody wants to know of
// them.
func startCapture(ctx context.Context, c Config, l *lab.Lab) (x captured, err error) {
	if l == nil || !c.Anatomy && len(c.Pcap) == 0 {
		return x, nil
	}
	f := capture.Framing{Size: c.Spec.Plan.Size}
	if c.Spec.Proto == "tcp" || c.Spec.Proto == "udp" {
		f.Proto = c.Spec.Proto
	}
	if c.Anatomy {
		f.Up, f.Down = c.Spec.Direction != peer.Down, c.Spec.Direction != peer.Up
	}
	for _, p := range c.paths() {
		f.Damaged = f.Damaged || p.Up.Corrupt != 0 || p.Down.Corrupt != 0
	}
	x.clock.Ahead, x.clock.Error = clock.Wall()
	x.capture, err = capture.Start(ctx, l, capture.Config{
		Pcap: c.Pcap, Messages: f, Application: "netcmp " + c.Tool.Version,
	})
	return x, err
}

// stop ends the capture, if there is one, when it has looked for so much longer.
func (x *captured) stop(longer time.Duration) error {
	if x.capture == nil || x.stopped {
		return nil
	}
	x.stopped = true
	return x.capture.Stop(longer)
}

// closing is how long the ends' farewell may take: a round trip and a half.
func (c Config) closing() time.Duration {
	if len(c.Pcap) == 0 {
		return 0
	}
	return min(3*c.Spec.Quiet/2, 2*time.Second)
}

// dissect adds the anatomy to a document, and what a reader must know of the
// capture. start is when the messages' times count from.
func (x *captured) dissect(c Config, d *result.Document, start int64) {
	if x.capture == nil {
		return
	}
	warn := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	missed := x.capture.Missed()
	d.Capture = &result.Capture{Missed: missed}
	if missed > 0 {
		warn("the capture missed %d frames, each a packet or a GSO batch of several: the reader of the rings was late, or they came faster than this machine can store them", missed)
	}
	ahead, _ := clock.Wall()
	set := ahead-x.clock.Ahead > clockSet || x.clock.Ahead-ahead > clockSet
	if set {
		warn("the wall clock was set in the middle of the run: the times of packets do not fit those of messages")
	}
	ways := []struct {
		m  *result.Measured
		up bool
	}{{&d.Measured, c.Spec.Direction != peer.Down}, {d.Reverse, false}}
	for _, way := range ways {
		if way.m == nil || way.m.Messages == nil {
			continue
		}
		if p := x.capture.Passage(way.up); p != nil && missed == 0 && !set {
			way.m.Anatomy = p.Dissect(way.m.Messages, start, x.clock)
			if delivered := way.m.Delivery.Delivered; delivered != nil {
				way.m.ReadLate = capture.ReadLate(way.m.Messages, way.m.Anatomy, *delivered)
				if !c.EstimateHeld {
					capture.Stall(way.m.Stall, way.m.Messages, way.m.Anatomy, *delivered)
				}
			}
		}
		if !c.Spec.Messages && c.Spool == nil { // the records want the parts of the delays
			way.m.Messages = nil
		}
	}
}

// clockSet is more than the clocks' readings can differ by, ns.
const clockSet = 100_000
