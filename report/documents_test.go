package report

import (
	"errors"
	"time"

	"netcmp/result"
)

var errDisk = errors.New("no space left on device")

const ms = int64(time.Millisecond)

// n and f convert constants, which new would take for int and float64.
func ns(d time.Duration) *int64 { return n(int64(d)) }
func n(v int64) *int64          { p := new(int64); *p = v; return p }
func f(v float64) *float64      { p := new(float64); *p = v; return p }

// base is a clean run of 2000 letters; the documents below differ from it.
func base(proto string) *result.Document {
	return &result.Document{
		Schema: result.Schema, Tool: result.Tool{Version: "v0.1.0", Commit: "abcdef0"},
		Started: "2026-01-02T03:04:05Z", Seed: 81734, Proto: proto, Engine: "emulator",
		Environment: result.Environment{OS: "linux", Kernel: "6.12.0", Arch: "amd64", CPUs: 8, GoVersion: "go1.26.0", CongestionDefault: "cubic"},
		Plan: result.Plan{
			Count: 2000, SizeBytes: 500, RatePerS: 500, Arrival: "constant", Direction: "up",
			Pattern: "stream", Connection: "long", NoDelay: true,
			Command: "netcmp run --proto " + proto + " --seed 81734",
		},
		Setup: result.Setup{FirstMessageNS: ns(20300 * time.Microsecond)},
		Measured: result.Measured{
			Delivery: result.Delivery{
				Scheduled: 2000, Sent: 2000, Received: n(2000), Delivered: n(2000), Lost: n(0),
				Duplicated: n(0), Corrupted: n(0), Late: n(0), Ratio: f(1),
			},
			Account: &result.Account{LinkLost: n(0), LinkCorrupted: n(0), QueueDropped: n(0), ReceiverDropped: n(0), InFlight: n(0), Unexplained: n(0)},
			Loss:    &result.Loss{Lengths: map[int64]int64{}},
			Order:   &result.Order{ReorderedRatio: f(0), NReordering: []float64{}, Density: map[string]float64{"0": 1}},
			Delay: &result.Delay{
				MinNS: n(20_050_000), MeanNS: n(20_120_000), P50NS: n(20_100_000), P90NS: n(20_200_000), P99NS: n(20_400_000),
				P999NS: n(20_700_000), MaxNS: n(21_000_000), StddevNS: n(60_000), JitterNS: n(30_000),
				IPDVP50NS: n(20_000), IPDVP99NS: n(200_000),
			},
			Stall:      &result.Stall{LongestSilenceNS: n(2_300_000)},
			Speed:      result.Speed{DurationNS: n(4_018_000_000), GoodputBPS: f(1_991_000), MessagesPS: f(497.8)},
			Instrument: result.Instrument{PacingErrorNS: &result.Quantiles{P50: 4000, P99: 35_000, Max: 210_000}, Clock: result.Clock{Source: "shared", OffsetNS: new(result.Int64(0)), UncertaintyNS: new(result.Int64(0))}},
		},
		Wire: &result.Wire{UpPackets: n(2000), UpBytes: n(1_084_000), DownPackets: n(0), DownBytes: n(0), OverheadRatio: f(1.084)},
		Cost: result.Cost{SenderCPUNS: n(18 * ms), ReceiverCPUNS: n(14 * ms), SenderCPUPerMessageNS: n(9000), ReceiverCPUPerMessageNS: n(7000)},
		Link: &result.Link{
			Up:   result.LinkDirection{Packets: 2000, Bytes: 1_084_000, Delivered: 2000, DelayErrorNS: &result.Quantiles{P50: 2000, P99: 12_000, Max: 80_000}},
			Down: result.LinkDirection{},
		},
	}
}

func withPath(d *result.Document, netem string) *result.Document {
	d.Plan.NetemUp, d.Plan.NetemDown = netem, netem
	d.Plan.Command = "netcmp run --proto " + d.Proto + " --netem '" + netem + "' --seed 81734"
	return d
}

// lose takes k of the messages away, on the path.
func lose(d *result.Document, m *result.Measured, k int64) {
	m.Delivery.Received, m.Delivery.Delivered = n(m.Delivery.Sent-k), n(m.Delivery.Sent-k)
	m.Delivery.Lost, m.Delivery.Ratio = n(k), f(float64(m.Delivery.Sent-k)/float64(m.Delivery.Sent))
	m.Account.LinkLost = n(k)
	m.Loss.Periods, m.Loss.PeriodMax, m.Loss.PeriodMean = k-2, 2, f(float64(k)/float64(k-2))
	m.Delay.P99NS, m.Delay.P999NS = nil, nil
	d.Link.Up.Lost = k
}

func udpLossy() *result.Document {
	d := withPath(base("udp"), "delay 20ms loss 2%")
	d.Plan.PathDefault = true
	lose(d, &d.Measured, 39)
	d.Delivery.Ratio = f(0.9805)
	d.Stall.LongestSilenceNS = n(6_100_000)
	d.Speed.GoodputBPS, d.Speed.MessagesPS = f(1_952_000), f(488.1)
	d.Wire.OverheadRatio = f(1.1055)
	d.Deadline = []result.Deadline{{WithinNS: 50 * ms, InTimeRatio: f(0.9805)}, {WithinNS: 100 * ms, InTimeRatio: f(0.9805)}}
	return d
}

func tcpLossy() *result.Document {
	d := withPath(base("tcp"), "delay 20ms loss 2%")
	d.Account = nil
	d.Plan.Congestion = "cubic"
	d.Setup = result.Setup{ConnectNS: n(40_300_000), FirstMessageNS: n(60_600_000)}
	d.Delay.P99NS, d.Delay.P999NS, d.Delay.MaxNS, d.Delay.JitterNS = n(91_200_000), n(280_000_000), n(298_000_000), n(2_410_000)
	d.Stall = &result.Stall{LongestSilenceNS: n(280_000_000), Held: n(143), HeldNS: &result.Quantiles{P50: 21_300_000, P99: 71_000_000, Max: 91_000_000}, ReleasedMax: n(41), Exact: true}
	d.Anatomy = &result.Anatomy{
		Messages:  2000,
		WaitingNS: &result.Quantiles{P50: 24_000, P99: 1_900_000, Max: 20_400_000}, CrossingNS: &result.Quantiles{P50: 20_050_000, P99: 64_300_000, Max: 280_000_000},
		HeldNS:    &result.Quantiles{P50: 71_000, P99: 64_000_000, Max: 91_000_000},
		BlockedNS: &result.Quantiles{P50: 0, P99: 64_000_000, Max: 91_000_000}, ReadLateNS: &result.Quantiles{P50: 71_000, P99: 1_200_000, Max: 2_100_000},
		Slowest: []result.Dissected{
			{Number: 1204, WaitingNS: 17_900_000, CrossingNS: 280_000_000, HeldNS: 100_000, ReadLateNS: 100_000},
			{Number: 1205, WaitingNS: 15_900_000, CrossingNS: 188_000_000, HeldNS: 92_000_000, BlockedNS: 91_000_000, ReadLateNS: 1_000_000},
		},
	}
	d.ReadLate = &result.ReadLate{Messages: 22, NS: &result.Quantiles{P50: 1_100_000, P99: 2_100_000, Max: 2_100_000}}
	d.Wire = &result.Wire{UpPackets: n(2051), UpBytes: n(1_170_000), DownPackets: n(1804), DownBytes: n(120_000), OverheadRatio: f(1.29), Retransmitted: n(44)}
	d.Link.Up = result.LinkDirection{Packets: 2051, Lost: 41, Delivered: 2010}
	d.Link.Down = result.LinkDirection{Packets: 1804, Lost: 33, Delivered: 1771}
	return d
}

func jittered() *result.Document {
	d := withPath(base("udp"), "delay 20ms 5ms distribution normal duplicate 1%")
	d.Order = &result.Order{Reordered: 412, ReorderedRatio: f(0.206), ExtentMax: 7, ExtentMean: f(2.1), LateTimeNS: &result.Quantiles{P50: 2_400_000, P99: 11_000_000, Max: 14_200_000}}
	d.Delivery.Received, d.Delivery.Duplicated = n(2021), n(21)
	d.Link.Up.Duplicated, d.Link.Up.Delivered = 21, 2021
	d.Delay.MinNS, d.Delay.P50NS, d.Delay.P90NS, d.Delay.P99NS, d.Delay.P999NS, d.Delay.MaxNS, d.Delay.JitterNS =
		n(4_120_000), n(20_040_000), n(26_500_000), n(31_700_000), n(35_100_000), n(36_900_000), n(5_610_000)
	return d
}

func corrupted() *result.Document {
	d := withPath(base("udp"), "delay 20ms corrupt 1%")
	lose(d, &d.Measured, 21)
	d.Delivery.Corrupted, d.Account.LinkCorrupted = n(21), n(21)
	d.Link.Up.Lost, d.Link.Up.Corrupted, d.Link.Up.Delivered = 0, 21, 2000
	return d
}

func interrupted() *result.Document {
	d := withPath(base("udp"), "delay 20ms loss 2%")
	d.Interrupted = true
	d.Delivery.Sent = 600
	lose(d, &d.Measured, 17)
	d.Account.LinkLost, d.Account.InFlight = n(12), n(5)
	d.Warnings = []string{"interrupted after 1.2 s; what was measured until then is reported"}
	return d
}

func tcpInterrupted() *result.Document {
	d := tcpLossy()
	d.Interrupted = true
	d.Delivery.Sent, d.Delivery.Delivered, d.Delivery.Lost, d.Delivery.Ratio = 600, n(588), n(12), f(0.98)
	return d
}

func requests() *result.Document {
	d := withPath(base("udp"), "delay 20ms loss 2%")
	d.Plan.Pattern = "request-response"
	lose(d, &d.Measured, 78)
	d.Account.LinkLost = n(78)
	d.Link.Up.Lost, d.Link.Down = 40, result.LinkDirection{Packets: 1960, Lost: 38, Delivered: 1922}
	d.Delay.MinNS, d.Delay.P50NS, d.Delay.P90NS, d.Delay.MaxNS = n(40_110_000), n(40_210_000), n(40_400_000), n(41_300_000)
	return d
}

func tcpRequests() *result.Document {
	d := tcpLossy()
	d.Plan.Pattern = "request-response"
	return d
}

func bothWays() *result.Document {
	d := withPath(base("udp"), "delay 20ms loss 2%")
	d.Plan.Direction = "both"
	lose(d, &d.Measured, 39)
	other := base("udp")
	lose(other, &other.Measured, 44)
	other.Account.ReceiverDropped, other.Account.LinkLost = n(3), n(41)
	d.Reverse = &other.Measured
	d.Link.Down = result.LinkDirection{Packets: 2000, Lost: 41, Delivered: 1959}
	d.Wire.DownPackets = n(2000)
	return d
}

func tcpBothWays() *result.Document {
	d := tcpLossy()
	d.Plan.Direction = "both"
	other := tcpLossy()
	other.Stall.Held, other.Stall.Exact = n(96), false
	d.Reverse = &other.Measured
	return d
}

func noEngine() *result.Document {
	d := base("udp")
	d.Engine, d.Link, d.Account, d.Wire = "none", nil, nil, nil
	d.Delay.MinNS, d.Delay.P50NS, d.Delay.P90NS, d.Delay.P99NS, d.Delay.P999NS, d.Delay.MaxNS, d.Delay.JitterNS =
		n(18_200), n(31_400), n(60_000), n(999_700), n(1_200_000), n(2_900_000), n(850)
	d.Setup.FirstMessageNS = n(41_000)
	return d
}

func saturated() *result.Document {
	d := withPath(base("tcp"), "delay 5ms rate 100mbit")
	d.Account = nil
	d.Plan.Saturate, d.Plan.RatePerS, d.Plan.Count, d.Plan.DurationNS, d.Plan.SizeBytes = true, 0, 0, 5_000*ms, 1400
	d.Plan.Congestion, d.Plan.NoDelay = "bbr", false
	d.Delivery.Scheduled, d.Delivery.Sent, d.Delivery.Received, d.Delivery.Delivered = 41_250, 41_250, n(41_250), n(41_250)
	d.Setup = result.Setup{ConnectNS: n(10_200_000), FirstMessageNS: n(15_600_000)}
	d.Speed = result.Speed{DurationNS: n(5_021_000_000), GoodputBPS: f(92_010_000), MessagesPS: f(8215.4)}
	d.Stall = &result.Stall{LongestSilenceNS: n(12_400_000), Held: n(0), Exact: true}
	d.Delay.P50NS, d.Delay.P99NS, d.Delay.MaxNS = n(61_000_000), n(88_000_000), n(91_300_000)
	d.Instrument.BlockedSends = 3210
	d.Link.Up.Packets = 41_300
	d.Wire = &result.Wire{UpPackets: n(41_300), DownPackets: n(20_650), OverheadRatio: f(1.073), Retransmitted: n(0)}
	return d
}

func nothingArrived() *result.Document {
	d := base("udp")
	d.Plan.NetemUp = "loss 100%"
	lose(d, &d.Measured, 2000)
	d.Delivery.Ratio, d.Loss.PeriodMax, d.Loss.Periods = f(0), 2000, 1
	d.Delay = &result.Delay{}
	d.Stall = &result.Stall{}
	d.Order = &result.Order{}
	d.Setup.FirstMessageNS = nil
	d.Speed = result.Speed{DurationNS: nil, GoodputBPS: f(0), MessagesPS: f(0)}
	d.Wire.OverheadRatio = nil
	return d
}

// nulls is a run whose server died before it gave any account.
func nulls() *result.Document {
	return &result.Document{
		Schema: result.Schema, Seed: 7, Proto: "quic", Engine: "kernel", Interrupted: true,
		Warnings: []string{"the server ended before it gave its account: exit status 2", "the path's counters could not be read"},
		Plan: result.Plan{
			Count: 2000, SizeBytes: 500, RatePerS: 500, Arrival: "poisson", Direction: "down",
			Pattern: "stream", Connection: "short", NetemDown: "delay 20ms",
			Command: "netcmp run --proto quic --netem-down 'delay 20ms' --seed 7",
		},
		Measured: result.Measured{Delivery: result.Delivery{Scheduled: 2000, Sent: 312}},
	}
}

// blackout is a path that changes in the middle, with a bottleneck.
func blackout() *result.Document {
	d := withPath(base("udp"), "delay 20ms rate 2mbit")
	lose(d, &d.Measured, 250)
	d.Plan.Fate = "time"
	for i := range 6 {
		d.Plan.Timeline = append(d.Plan.Timeline, result.PlanChange{
			AtNS: int64(500+100*i) * ms, NetemUp: "delay 20ms loss 100% rate 2mbit", NetemDown: "delay 20ms rate 2mbit",
		})
	}
	d.Link.Up.QueueDelayNS = &result.Quantiles{P50: 12_300_000, P99: 98_700_000, Max: 101_000_000}
	d.Link.Down.Marked = 7
	return d
}

func overrun() *result.Document {
	d := withPath(base("udp"), "delay 20ms rate 10mbit limit 100")
	lose(d, &d.Measured, 150)
	d.Account.LinkLost, d.Account.QueueDropped, d.Account.ReceiverDropped, d.Account.Unexplained = n(0), n(100), n(46), n(4)
	d.Delivery.Scheduled, d.Instrument.MissedSends = 2100, 100
	d.Plan.Count, d.Plan.Arrival, d.Plan.Burst = 2100, "burst", 50
	d.Instrument.PacingErrorNS = &result.Quantiles{P50: 100_000, P99: 3_400_000, Max: 12_000_000}
	d.Delivery.Late = n(35)
	d.Deadline = []result.Deadline{{WithinNS: 25 * ms, InTimeRatio: f(0.9075)}}
	d.Delay.MaxNS = n(31_000_000)
	d.Warnings = []string{"4 messages are unexplained", "the sender was late: p99 3.4 ms"}
	return d
}

func streams() *result.Document {
	d := tcpLossy()
	d.Proto, d.Plan.Command = "quic-streams", "netcmp run --proto quic-streams --loss 2% --delay 20ms --seed 81734"
	d.Plan.Congestion = ""
	d.Wire.Retransmitted = nil
	d.Setup.SecureNS = n(40_900_000)
	d.Stall = &result.Stall{LongestSilenceNS: n(9_100_000)}
	d.Order = &result.Order{Reordered: 38, ReorderedRatio: f(0.019), ExtentMax: 21, LateTimeNS: &result.Quantiles{Max: 43_000_000}}
	return d
}

var documents = map[string]func() *result.Document{
	"udp-lossy":       udpLossy,
	"tcp-lossy":       tcpLossy,
	"clean":           func() *result.Document { return base("udp") },
	"interrupted":     interrupted,
	"tcp-interrupted": tcpInterrupted,
	"jittered":        jittered,
	"corrupt":         corrupted,
	"requests":        requests,
	"tcp-requests":    tcpRequests,
	"both":            bothWays,
	"tcp-both":        tcpBothWays,
	"engine-none":     noEngine,
	"saturate":        saturated,
	"nothing-arrived": nothingArrived,
	"nulls":           nulls,
	"overrun":         overrun,
	"blackout":        blackout,
	"quic-streams":    streams,
	"empty":           func() *result.Document { return &result.Document{} },
}
