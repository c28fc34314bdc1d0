package experiment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/goleak"

	"netcmp/capture"
	"netcmp/lab"
	"netcmp/netem"
	"netcmp/peer"
	"netcmp/quic"
	"netcmp/result"
	"netcmp/result/resulttest"
	"netcmp/transport/transporttest"
	"netcmp/workload"
)

func TestMain(m *testing.M) {
	lab.Dispatch(Roles())
	goleak.VerifyTestMain(m)
}

// config is an experiment over path, each way, with seed 7.
func config(t *testing.T, proto, path string, p workload.Plan) Config {
	t.Helper()
	both, err := parsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Spec: peer.Spec{Proto: proto, Plan: p}, Path: both, Engine: Auto, Seed: 7}
}

// parsePath is the path that is the same each way.
func parsePath(spec string) (netem.Path, error) {
	i, err := netem.Parse(spec)
	return netem.Path{Up: i, Down: i}, err
}

// try makes an experiment, or skips the test on a machine without labs.
func try(t *testing.T, c Config) *result.Document {
	t.Helper()
	d, err := Run(t.Context(), c)
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// within fails unless got is within 4 standard deviations of a binomial count:
// of a true law one run in 16,000 would fail, and with a fixed seed none does.
func within(t *testing.T, what string, got int64, n int64, p float64) {
	t.Helper()
	sd := math.Sqrt(float64(n) * p * (1 - p))
	if d := float64(got) - float64(n)*p; math.Abs(d) > 4*sd {
		t.Errorf("%s: %d of %d, want %.4f of them: %.1f standard deviations off", what, got, n, p, d/sd)
	}
}

// accounted fails unless every message of a datagram transport is accounted for.
func accounted(t *testing.T, m *result.Measured) {
	t.Helper()
	a := m.Account
	if a == nil || a.Unexplained == nil || a.LinkLost == nil || a.ReceiverDropped == nil {
		t.Fatalf("no account: %+v", a)
	}
	if *a.Unexplained != 0 {
		t.Errorf("%d messages are unexplained", *a.Unexplained)
	}
	sum := *m.Delivery.Delivered + *a.Unsent + *a.LinkLost + *a.QueueDropped + *a.ReceiverDropped + *a.InFlight + *a.Unexplained
	if sum != m.Delivery.Due {
		t.Errorf("the account's parts are %d, due were %d", sum, m.Delivery.Due)
	}
}

func TestUDPLosesWhatThePathLoses(t *testing.T) {
	if testing.Short() {
		t.Skip("a law of counts is the same under the race detector")
	}
	c := config(t, "udp", "delay 10ms loss 5%", workload.Plan{Count: 20000, Size: 200, Rate: 5000})
	first := try(t, c)
	accounted(t, &first.Measured)
	if *first.Account.LinkLost != *first.Delivery.Lost || first.Delivery.Sent != 20000 {
		t.Errorf("the path lost %d, the receiver misses %d of %d", *first.Account.LinkLost, *first.Delivery.Lost, first.Delivery.Sent)
	}
	if first.Link.Up.Packets != 20000 || first.Link.Down.Packets != 0 {
		t.Errorf("%d packets went up and %d down, want 20000 and none: something else crossed the path", first.Link.Up.Packets, first.Link.Down.Packets)
	}
	within(t, "lost", *first.Delivery.Lost, 20000, 0.05)
	again := try(t, c)
	if !reflect.DeepEqual(first.Loss.Numbers, again.Loss.Numbers) {
		t.Error("the same seed lost other numbers")
	}
	c.Seed++
	if other := try(t, c); reflect.DeepEqual(first.Loss.Numbers, other.Loss.Numbers) {
		t.Error("another seed lost the same numbers")
	}
}

func TestTCPDeliversWhatThePathLoses(t *testing.T) {
	c := config(t, "tcp", "delay 10ms loss 5%", workload.Plan{Count: 20000, Size: 200, Rate: 5000})
	c.Spec.Congestion = "bbr"
	d := try(t, c)
	if *d.Delivery.Delivered != 20000 || d.Order.Reordered != 0 || *d.Delivery.Duplicated != 0 {
		t.Errorf("delivered %d, reordered %d, duplicated %d", *d.Delivery.Delivered, d.Order.Reordered, *d.Delivery.Duplicated)
	}
	if d.Link.Up.Lost == 0 || *d.Wire.Retransmitted == 0 {
		t.Errorf("the path lost %d packets, %d were sent again", d.Link.Up.Lost, *d.Wire.Retransmitted)
	}
	const roundTrip = int64(20 * time.Millisecond)
	if got := *d.Delay.P99NS - *d.Delay.P50NS; got < roundTrip {
		t.Errorf("p99 is %v above p50, want a round trip at least", time.Duration(got))
	}
	// A lost SYN, or a lost answer to one, adds its second.
	if beyond := *d.Setup.ConnectNS%int64(time.Second) - roundTrip; beyond < 0 || beyond > int64(5*time.Millisecond+2*resulttest.Late(d)) && resulttest.Busy(d) == "" {
		t.Errorf("connect took %v, want a round trip and at most 5 ms", time.Duration(*d.Setup.ConnectNS))
	}
	if d.Plan.Congestion != "bbr" || d.TCPInfo == nil || *d.Stall.Held == 0 {
		t.Errorf("congestion %q, TCP_INFO %v, held %v", d.Plan.Congestion, d.TCPInfo, *d.Stall.Held)
	}
}

// To set a connection up takes whole round trips: one for TCP (RFC 9293 §3.5),
// one more for TLS 1.3 (RFC 8446 §2), one for QUIC, encryption included (RFC 9001
// §4). A session that is resumed spares TLS none, and QUIC that one: its messages
// leave with the first packets, and the handshake is done a round trip later (§4.6).
// The first message is there half a round trip after the client may send.
func TestSetUpTakesRoundTrips(t *testing.T) {
	if testing.Short() {
		t.Skip("figures, which the first run has held")
	}
	const roundTrip = 50 * time.Millisecond
	for _, x := range []struct {
		proto           string
		resume          bool
		connect, secure int // round trips; 0: there is no such thing, or it takes none
	}{
		{"udp", false, 0, 0}, {"tcp", false, 1, 0}, {"tls", false, 1, 2},
		{"quic", false, 1, 1}, {"quic-streams", false, 1, 1}, {"quic-datagram", false, 1, 1},
		{"tls", true, 1, 2}, {"quic", true, 0, 1}, {"quic-streams", true, 0, 1}, {"quic-datagram", true, 0, 1},
	} {
		c := config(t, x.proto, "delay 25ms", workload.Plan{Count: 20, Rate: 100})
		c.Spec.Resume = x.resume
		d, without := try(t, c), try(t, bare(c))
		if got := d.Setup.Resumed; got != nil && *got != x.resume || len(d.Warnings) > 0 && resulttest.Noise(d) == "" {
			t.Errorf("%s: resumed %v, warnings %q", x.proto, *got, d.Warnings)
		}
		if early := d.Setup.EarlyData; early != nil && *early != (x.connect == 0) {
			t.Errorf("%s, resumed %v: early data %v", x.proto, x.resume, *early)
		}
		ready := x.secure // what the client waits for before it may send
		if x.connect == 0 || x.secure == 0 {
			ready = x.connect
		}
		for _, s := range []struct {
			what string
			of   func(result.Setup) *int64
			want time.Duration
		}{
			{"connect", func(s result.Setup) *int64 { return s.ConnectNS }, time.Duration(x.connect) * roundTrip},
			{"secure", func(s result.Setup) *int64 { return s.SecureNS }, time.Duration(x.secure) * roundTrip},
			{"the first message", func(s result.Setup) *int64 { return s.FirstMessageNS }, time.Duration(ready)*roundTrip + roundTrip/2},
		} {
			got, least := s.of(d.Setup), s.of(without.Setup)
			if got == nil {
				if s.want != 0 {
					t.Errorf("%s: %s is not measured", x.proto, s.what)
				}
				continue
			}
			held(t, fmt.Sprintf("%s, resumed %v: %s", x.proto, x.resume, s.what), d, time.Duration(*got), s.want, time.Duration(*least), roundTrip)
		}
	}
}

// bare is an experiment without its path: what is left is what the machine needs.
func bare(c Config) Config {
	c.Path, c.Pcap = netem.Path{}, nil
	return c
}

// held fails unless a figure is what the path makes it, never less, and at most 5 ms
// more, with twice what the machine needs for the same without a path and twice what it
// was late: a handshake is work, of which one machine has ten times as much as another.
// It is never a round trip more.
func held(t *testing.T, what string, d *result.Document, got, want, without, roundTrip time.Duration) {
	t.Helper()
	more := min(5*time.Millisecond+2*without+2*resulttest.Late(d), roundTrip)
	t.Logf("%s took %v and %v, of %v; without a path %v", what, want, got-want, more, without)
	if got < want || got-want > more && resulttest.Busy(d) == "" {
		t.Errorf("%s took %v, want %v and at most %v; without a path it takes %v", what, got, want, more, without)
	}
}

// A connection for each message: each pays for its own set-up, in whole round trips,
// and that is in its delay. Of TCP a message costs a handshake of three packets, itself,
// and FINs and acknowledgments of three or four.
func TestShortConnectionsPayForSetUp(t *testing.T) {
	if testing.Short() {
		t.Skip("figures, which the first run has held")
	}
	const oneWay, count = 25 * time.Millisecond, 100
	for _, x := range []struct {
		proto   string
		pattern peer.Pattern
		ways    int // over the path, until the message is there, and back
	}{
		{"tcp", peer.Stream, 3}, {"tls", peer.Stream, 5}, {"quic", peer.Stream, 3}, {"quic-streams", peer.Stream, 3},
		{"tcp", peer.RequestResponse, 4}, {"quic", peer.RequestResponse, 4},
	} {
		c := config(t, x.proto, "delay 25ms", workload.Plan{Count: count, Size: 200, Rate: 100})
		c.Spec.Connection, c.Spec.Pattern = peer.Short, x.pattern
		var packets bytes.Buffer
		if x.proto == "tcp" && x.pattern == peer.Stream {
			c.Pcap = capture.Files{capture.Client: &packets}
		}
		d := try(t, c)
		n := d.Setup.Connections
		if *d.Delivery.Delivered != count || n == nil || n.Opened != count || n.Failed != 0 || d.Plan.Connection != "short" {
			t.Fatalf("%s: %d delivered over %+v", x.proto, *d.Delivery.Delivered, n)
		}
		without := try(t, bare(c))
		held(t, x.proto+", "+string(x.pattern)+": p50", d, time.Duration(*d.Delay.P50NS), time.Duration(x.ways)*oneWay, time.Duration(*without.Delay.P50NS), 2*oneWay)
		if c.Pcap != nil {
			if begun := calls(t, &packets); begun != count {
				t.Errorf("%d connections begin in the capture, for %d messages", begun, count)
			}
			if all := d.Link.Up.Packets + d.Link.Down.Packets; all < 7*count || all > 9*count {
				t.Errorf("%d packets for %d messages, want 7 to 9 for each", all, count)
			}
		}
	}
}

// calls is how many connections the packets begin: a SYN that is sent again has the port
// and the sequence number of the first.
func calls(t *testing.T, pcap io.Reader) int {
	t.Helper()
	r, err := pcapgo.NewNgReader(pcap, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	type call struct {
		from layers.TCPPort
		seq  uint32
	}
	begun := map[call]bool{}
	for {
		b, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return len(begun)
		}
		if err != nil {
			t.Fatal(err)
		}
		s, ok := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeTCP).(*layers.TCP)
		if ok && s.SYN && !s.ACK {
			begun[call{s.SrcPort, s.Seq}] = true
		}
	}
}

// Whatever the path loses, each connection repairs it, and another one's message does
// not wait for that.
func TestShortConnectionsOverALossyPath(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector sees every part of it in other tests")
	}
	for _, proto := range []string{"tcp", "quic"} {
		c := config(t, proto, "delay 5ms loss 5%", workload.Plan{Count: 300, Size: 200, Rate: 300})
		c.Spec.Connection = peer.Short
		d := try(t, c)
		if *d.Delivery.Delivered != 300 || d.Setup.Connections.Opened != 300 || d.Link.Up.Lost == 0 || d.Order.Reordered == 0 {
			t.Errorf("%s: %d delivered, %+v, %d lost, %d reordered", proto, *d.Delivery.Delivered, d.Setup.Connections, d.Link.Up.Lost, d.Order.Reordered)
		}
	}
}

// The path's delay is never shorter than asked for, and its median is right. The
// tail is the machine's and is looked at in the report, not here.
func TestDelayIsWhatWasAskedFor(t *testing.T) {
	d := try(t, config(t, "udp", "delay 25ms", workload.Plan{Count: 3000, Size: 200, Rate: 1000}))
	const want = int64(25 * time.Millisecond)
	if noise := resulttest.Noise(d); noise != "" {
		if *d.Delay.MinNS < want {
			t.Errorf("least delay %d ns, want 25 ms", *d.Delay.MinNS)
		}
		t.Skip(noise)
	}
	if off := *d.Delay.P50NS - want; *d.Delay.MinNS < want || off > int64(300*time.Microsecond) {
		t.Errorf("least delay %d ns, p50 %d ns, want 25 ms and at most 0.3 ms more", *d.Delay.MinNS, *d.Delay.P50NS)
	}
	if p := d.Instrument.PacingErrorNS.P50; p > 20_000 {
		t.Errorf("pacing error p50 %d ns, want 20 µs at most", p)
	}
	t.Logf("delay p50 %d p99 %d, pacing p50 %d p99 %d, path error p50 %d p99 %d ns", *d.Delay.P50NS, *d.Delay.P99NS,
		d.Instrument.PacingErrorNS.P50, d.Instrument.PacingErrorNS.P99, d.Link.Up.DelayErrorNS.P50, d.Link.Up.DelayErrorNS.P99)
}

// Each impairment alone shows in a datagram transport's account as its law says,
// and a stream hides it.
func TestImpairmentsAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("a law of counts is the same under the race detector")
	}
	const n = 8000
	const perMS = 2 // messages
	for _, x := range []struct {
		path  string
		law   float64
		count func(*result.Document) int64
		link  func(*result.Document) int64
	}{
		{"duplicate 5%", 0.05,
			func(d *result.Document) int64 { return *d.Delivery.Duplicated },
			func(d *result.Document) int64 { return d.Link.Up.Duplicated }},
		// Twelve bytes in the 242 of a frame are its Ethernet addresses: a
		// flip in the sender's (6) harms nobody.
		{"corrupt 5%", 0.05 * 236 / 242,
			func(d *result.Document) int64 { return *d.Delivery.Corrupted },
			func(d *result.Document) int64 { return d.Link.Up.Corrupted }},
		// (1−r)(1−(1−r)^m), m = ⌈D/T⌉ − 1 = 7: netem's reorder r is not the
		// share that is reordered.
		{"delay 4ms reorder 40%", 0.6 * (1 - math.Pow(0.6, 7)),
			func(d *result.Document) int64 { return d.Order.Reordered },
			func(d *result.Document) int64 { return *d.Link.Up.Reordered }},
	} {
		t.Run(x.path, func(t *testing.T) {
			d := try(t, config(t, "udp", x.path, workload.Plan{Count: n, Size: 200, Rate: 1000 * perMS}))
			accounted(t, &d.Measured)
			got := x.count(d)
			t.Logf("udp: %d of %d, law %.4f; the path did it to %d packets", got, n, x.law, x.link(d))
			if strings.Contains(x.path, "reorder") {
				// Neighbours share draws, and the machine's own delays move
				// messages across the edge: hold the share, not its variance.
				if ratio := float64(got) / n; math.Abs(ratio-x.law) > 0.03 {
					t.Errorf("reordered %.4f, law %.4f", ratio, x.law)
				}
			} else {
				within(t, x.path, got, n, x.law)
			}

			c := config(t, "tcp", x.path, workload.Plan{Count: 2000, Size: 200, Rate: 2000})
			d = try(t, c)
			if *d.Delivery.Delivered != 2000 || *d.Delivery.Duplicated+*d.Delivery.Corrupted+d.Order.Reordered != 0 {
				t.Errorf("tcp shows it: %+v, reordered %d", d.Delivery, d.Order.Reordered)
			}
			if x.link(d) == 0 {
				t.Error("tcp: the path did nothing")
			}
		})
	}
}

// What leaves in trains meets its fate one by one, below the path's MTU, at its edge
// (1472 bytes and IPv4's 28) and above it, and nothing of it is unexplained.
func TestTrainsAreAccountedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector sees every part of it in other tests")
	}
	for _, size := range []int{40, 500, 1472, 1473, 3000, 20000} {
		for _, d := range []peer.Direction{peer.Up, peer.Both} {
			c := config(t, "udp", "delay 2ms loss 3% duplicate 4% corrupt 2% limit 1000000", workload.Plan{Saturate: true, Count: int64(min(20_000, 40<<20/size)), Size: size})
			c.Engine, c.Spec.Direction = Emulator, d
			x := try(t, c)
			accounted(t, &x.Measured)
			if x.Reverse != nil {
				accounted(t, x.Reverse)
			}
			up := x.Link.Up
			t.Logf("%d bytes, %s: %d of %d delivered; %d packets up, overrun %d", size, d, *x.Delivery.Delivered, x.Delivery.Sent, up.Packets, up.Overrun)
			if up.Lost == 0 || up.Corrupted == 0 || up.Duplicated == 0 || *x.Delivery.Delivered == 0 {
				t.Errorf("%d bytes: the path did nothing: %+v", size, up)
			}
		}
	}
}

// Whatever the path does, and however large the messages, nothing is
// unexplained.
func TestEveryMessageIsAccountedFor(t *testing.T) {
	for i, x := range []struct {
		name string
		path string
		plan workload.Plan
		spec peer.Spec
	}{
		{"everything at once", "delay 5ms 2ms distribution normal loss 3% duplicate 4% corrupt 2% reorder 10%", workload.Plan{Count: 3000, Rate: 3000}, peer.Spec{}},
		{"fragments", "delay 5ms loss 2%", workload.Plan{Count: 1000, Size: 8000, Rate: 1000}, peer.Spec{}},
		{"a full queue", "delay 5ms rate 1mbit limit 20", workload.Plan{Count: 1000, Rate: 1000}, peer.Spec{}},
		{"down", "delay 5ms loss 5%", workload.Plan{Count: 2000, Rate: 2000}, peer.Spec{Direction: peer.Down}},
		{"both", "delay 5ms loss 5%", workload.Plan{Count: 2000, Rate: 2000}, peer.Spec{Direction: peer.Both}},
		{"request-response", "delay 5ms loss 5%", workload.Plan{Count: 2000, Rate: 2000}, peer.Spec{Pattern: peer.RequestResponse}},
		{"poisson", "delay 5ms loss 5%", workload.Plan{Count: 2000, Rate: 2000, Arrival: workload.Poisson}, peer.Spec{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel() // of counts, which are true on a busy machine, too
			c := config(t, "udp", x.path, x.plan)
			c.Spec.Direction, c.Spec.Pattern = x.spec.Direction, x.spec.Pattern
			d := try(t, c)
			accounted(t, &d.Measured)
			if d.Reverse != nil {
				accounted(t, d.Reverse)
			}
			if *d.Delivery.Lost == 0 {
				t.Error("nothing was lost")
			}
			if x.spec.Pattern == peer.RequestResponse && *d.Delay.MinNS < int64(10*time.Millisecond) {
				t.Errorf("a round trip took %d ns", *d.Delay.MinNS)
			}
			if a := d.Account; x.spec.Pattern == peer.RequestResponse && (*a.RequestsLost != d.Link.Up.Lost || *a.RepliesLost != d.Link.Down.Lost) {
				t.Errorf("%d requests and %d replies lost, and the path says %d and %d", *a.RequestsLost, *a.RepliesLost, d.Link.Up.Lost, d.Link.Down.Lost)
			}
			if testing.Short() && i > 0 {
				return // what the transports share is seen; each has tests of its own
			}
			c.Spec.Plan.Count = 500
			for _, tr := range Transports() {
				p := tr.Properties()
				c.Spec.Proto = tr.Name()
				if tr.Name() == "udp" || p.MaxMessage < c.Spec.Plan.Size {
					continue
				}
				d = try(t, c)
				switch {
				case p.Reliable && (*d.Delivery.Delivered != 500 || d.Reverse != nil && *d.Reverse.Delivery.Delivered != 500):
					t.Errorf("%s delivered %d of 500", tr.Name(), *d.Delivery.Delivered)
				case !p.Reliable:
					accounted(t, &d.Measured)
					if d.Reverse != nil {
						accounted(t, d.Reverse)
					}
				}
			}
		})
	}
}

// A resumed session is accounted for as any other, loss or no loss: the first
// packets may be lost, and the messages in them with the handshake that they came
// with. The connection before is in no account, and meets no loss.
func TestResumedIsAccountedFor(t *testing.T) {
	const count = 300
	// Among them are such as lose one of the two packets of QUIC's ClientHello.
	seeds := uint64(6)
	if testing.Short() {
		seeds = 1
	}
	for _, path := range []string{"delay 10ms loss 15%", "delay 10ms 8ms loss 5% duplicate 5% corrupt 3%"} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s seed %d", path, seed), func(t *testing.T) {
				t.Parallel()
				for _, tr := range Transports() {
					p := tr.Properties()
					if !p.Resumes || p.EarlyData && testing.Short() { // see transporttest.SkipEarlyData
						continue
					}
					c := config(t, tr.Name(), path, workload.Plan{Count: count, Rate: 3000})
					c.Spec.Resume, c.Seed, c.SeedGiven = true, seed, true
					d := try(t, c)
					if d.Setup.Resumed == nil || !*d.Setup.Resumed || !d.Plan.Resume || p.EarlyData && !*d.Setup.EarlyData {
						t.Errorf("%s: %+v", tr.Name(), d.Setup)
					}
					switch {
					case p.Reliable && *d.Delivery.Delivered != count:
						t.Errorf("%s: delivered %d of %d", tr.Name(), *d.Delivery.Delivered, count)
					case !p.Reliable:
						t.Logf("%d delivered, %d dropped by the receiver", *d.Delivery.Delivered, *d.Account.ReceiverDropped)
						accounted(t, &d.Measured)
					}
				}
			})
		}
	}
}

// A list of losses, and a path's timeline, count from the connection that is
// measured: the one before crosses neither.
func TestTheVisitIsNotOnThePath(t *testing.T) {
	transporttest.SkipEarlyData(t, quic.NewDatagram())
	c := config(t, "quic-datagram", "delay 10ms loss list 3", plan(40, 200, 200))
	c.Path.Down.Loss = nil
	c.Spec.Resume = true
	d := try(t, c)
	// QUIC may put several packets into a datagram, and none into two.
	if got, sent := d.Link.Up, d.QUIC.PacketsSent; got.Lost != 1 || got.Packets > sent {
		t.Errorf("the path lost %d of %d packets, QUIC sent %d", got.Lost, got.Packets, sent)
	}
	if got, came := d.Link.Down, d.QUIC.PacketsReceived; got.Packets > came {
		t.Errorf("%d packets went down, QUIC received %d", got.Packets, came)
	}
}

func TestEngineNoneIsTheLoopback(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		c := config(t, proto, "", workload.Plan{Count: 500, Rate: 2000})
		c.Engine = None
		d, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if *d.Delivery.Delivered != 500 || d.Link != nil || d.Engine != "none" {
			t.Errorf("%s: delivered %d, link %v, engine %s", proto, *d.Delivery.Delivered, d.Link, d.Engine)
		}
		if !slices.ContainsFunc(d.Warnings, func(w string) bool { return strings.Contains(w, "clean") }) {
			t.Errorf("no warning that the path is clean: %q", d.Warnings)
		}
	}
}

func TestPathsThatAnEngineCannotMake(t *testing.T) {
	c := config(t, "udp", "loss 1%", workload.Plan{})
	c.Engine = None
	if _, err := Run(t.Context(), c); !errors.Is(err, ErrUsage) {
		t.Errorf("engine none with loss: %v", err)
	}
	c.Engine, c.Connect = Auto, "127.0.0.1:1"
	if _, err := Run(t.Context(), c); !errors.Is(err, ErrUsage) {
		t.Errorf("--connect with loss: %v", err)
	}
}

// part finds the process of an experiment that plays a part, below this one.
func part(t *testing.T, name string) int {
	t.Helper()
	for _, pid := range descendants(os.Getpid()) {
		if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil && strings.HasPrefix(string(b), "netcmp-"+name+"\x00") {
			return pid
		}
	}
	t.Fatalf("no process plays the %s", name)
	return 0
}

func descendants(pid int) []int {
	var all []int
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// Whichever process dies in the middle, what was measured until then is
// reported with a clear error, and nothing is left.
func TestDeathInTheMiddle(t *testing.T) {
	for _, name := range []string{"server", "client", "path"} {
		for _, proto := range []string{"tcp", "udp"} {
			t.Run(name+" "+proto, func(t *testing.T) {
				c := config(t, proto, "delay 5ms loss 2%", workload.Plan{Count: 60000, Rate: 1000})
				var once sync.Once
				var all []int
				c.Progress = func(p peer.Progress) {
					if p.Elapsed > 1200*time.Millisecond {
						once.Do(func() {
							all = descendants(os.Getpid())
							if err := syscall.Kill(part(t, name), syscall.SIGKILL); err != nil {
								t.Error(err)
							}
						})
					}
				}
				begun := time.Now()
				d, err := Run(t.Context(), c)
				if errors.Is(err, lab.ErrUnsupported) {
					t.Skip(err)
				}
				if err == nil || !strings.Contains(err.Error(), "died") && !strings.Contains(err.Error(), "ended") {
					t.Errorf("error %v", err)
				}
				t.Log(err)
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %v to tell", took)
				}
				if d == nil || d.Delivery.Delivered == nil || *d.Delivery.Delivered < 200 || !d.Interrupted || len(d.Warnings) == 0 {
					t.Fatalf("what was measured is lost: %+v", d)
				}
				if len(all) < 3 {
					t.Errorf("only %d processes were there", len(all))
				}
				gone(t, all)
			})
		}
	}
}

// alive says whether the process still runs: one that has ended and whose new
// parent has not looked at it yet does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}

// gone fails unless the processes have ended.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for n := 0; alive(pid); n++ {
			if n == 200 {
				b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
				t.Fatalf("process %d is still there: %q", pid, b)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestAnInterruptKeepsWhatWasMeasured(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		for _, direction := range []peer.Direction{peer.Up, peer.Down} {
			t.Run(proto+" "+string(direction), func(t *testing.T) {
				t.Parallel()
				c := config(t, proto, "delay 5ms loss 2%", workload.Plan{Count: 60000, Rate: 1000})
				c.Spec.Direction = direction
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				c.Progress = func(p peer.Progress) {
					if p.Elapsed > 600*time.Millisecond {
						interrupt()
					}
				}
				d, err := Run(ctx, c)
				if errors.Is(err, lab.ErrUnsupported) {
					t.Skip(err)
				}
				if err != nil {
					t.Fatal(err)
				}
				if !d.Interrupted || d.Delivery.Sent < 500 || d.Delivery.Sent > 20000 || d.Delivery.Scheduled != 60000 {
					t.Errorf("interrupted %v, %+v", d.Interrupted, d.Delivery)
				}
				if proto == "udp" {
					accounted(t, &d.Measured)
				} else if *d.Delivery.Delivered != d.Delivery.Sent {
					t.Errorf("delivered %d of %d", *d.Delivery.Delivered, d.Delivery.Sent)
				}
			})
		}
	}
}

// A sender that has always more to send leaves no backlog in its socket: the run
// ends soon after its duration, however large the buffers are.
func TestSaturationEnds(t *testing.T) {
	c := config(t, "tcp", "rate 8mbit delay 5ms limit 100", workload.Plan{Saturate: true, Duration: time.Second, Size: 10000})
	c.Spec.SendBuffer, c.Spec.ReceiveBuffer = 16<<20, 16<<20 // 16 s of the rate
	d := try(t, c)
	// The backlog is a quarter of a second of the rate, the queue 0.15 s.
	if took := time.Duration(*d.Speed.DurationNS); took < time.Second || took > 2*time.Second {
		t.Errorf("a run of one second took %v", took)
	}
	if bps := *d.Speed.GoodputBPS; bps < 7e6 || bps > 8e6 {
		t.Errorf("goodput %.2f Mbit/s of 8", bps/1e6)
	}
}
