package validation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"netcmp/compare"
	"netcmp/netem"
	"netcmp/result"
	"netcmp/workload"
)

// bulk is one arm of a comparison of bulk transfers.
type bulk struct {
	name       string
	congestion string
	up, down   string // the path
	duration   time.Duration
	loss       string        // of the packets up
	losses     time.Duration // from when on
}

// socketBuffers hold several bandwidth-delay products of 100 Mbit/s and 100 ms:
// what is lost again and again stays in them until it is through.
const socketBuffers = 16 << 20

// transfers runs bulk TCP through the machinery of netcmp compare, an arm for
// each, and gives the goodput that its table has of each, and the trial.
func transfers(t *testing.T, p *part, all []bulk) (goodput map[string]float64, trials map[string]*result.Document) {
	t.Helper()
	c := compare.Config{Repeat: 1, Seed: 1}
	for _, b := range all {
		x := config(t, "tcp", b.up, b.down, workload.Plan{Saturate: true, Duration: b.duration, Size: 10000})
		lossy := config(t, "tcp", b.up+" loss "+b.loss, b.down, x.Spec.Plan).Path
		if b.losses > 0 {
			x.Changes = []netem.Change{{At: b.losses, Path: lossy}}
		} else {
			x.Path = lossy
		}
		x.Spec.Congestion, x.Spec.SendBuffer, x.Spec.ReceiveBuffer = b.congestion, socketBuffers, socketBuffers
		c.Arms = append(c.Arms, compare.Arm{Label: b.name, Config: x})
	}
	found := judged(t, c)
	goodput, trials = map[string]float64{}, map[string]*result.Document{}
	for _, f := range found.Table {
		if f.Metric == "goodput_bps" {
			goodput[f.Arm] = *f.Median
		}
	}
	for _, d := range found.Trials {
		trials[d.Trial.Arm] = d
		p.Environment = d.Environment
		var first []string
		for _, i := range d.Intervals[:min(5, len(d.Intervals))] {
			first = append(first, mbit(i.GoodputBPS))
		}
		t.Logf("%s: the first seconds %s; %s over %.1f s, %d of %d packets lost, %d found the queue full, RTT %s, buffer-limited %s", d.Trial.Arm, strings.Join(first, ", "), mbit(*d.Speed.GoodputBPS),
			float64(*d.Speed.DurationNS)/1e9, d.Link.Up.Lost, d.Link.Up.Packets, *d.Link.Up.QueueDropped, ms(float64(d.TCPInfo.RTTNS)),
			ms(float64(d.TCPInfo.SndbufLimitedNS+d.TCPInfo.RwndLimitedNS)))
	}
	return goodput, trials
}

// realised is the loss that the data met. The client's SYN and the
// acknowledgment of its answer are no data; it has nothing else to send.
func realised(d *result.Document) float64 {
	return float64(d.Link.Up.Lost) / float64(d.Link.Up.Packets-2)
}

// mathisC is the constant of BW = C·MSS/(RTT·√p): Mathis, Semke, Mahdavi, Ott,
// The macroscopic behavior of the TCP congestion avoidance algorithm, CCR 27(3),
// 1997.
func mathisC(bps, p float64, d *result.Document) float64 {
	return bps * seconds(d.TCPInfo.RTTNS) * math.Sqrt(p) / float64(8*d.TCPInfo.SndMSS)
}

// pftk is the throughput equation of RFC 5348 §3.1, bit/s, with b = 1 and t_RTO =
// 4 R, as it recommends.
func pftk(p float64, d *result.Document) float64 {
	const b = 1
	r, s := seconds(d.TCPInfo.RTTNS), float64(d.TCPInfo.SndMSS)
	return 8 * s / (r*math.Sqrt(2*b*p/3) + 4*r*(3*math.Sqrt(3*b*p/8)*p*(1+32*p*p)))
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// mathis: at a given loss and round trip the throughput of Reno is what two
// models say of it, when the losses are some hundred: fewer are luck, and slow
// start, which ends with the first one, is too large a part.
func mathis(t *testing.T, p *part) {
	var all []bulk
	for _, x := range []struct {
		loss     string
		duration time.Duration
	}{{"0.1%", 4 * time.Minute}, {"1%", 30 * time.Second}, {"3%", 30 * time.Second}} {
		all = append(all, bulk{"reno, 50 ms, " + x.loss, "reno", "delay 25ms limit 10000", "delay 25ms limit 10000", x.duration, x.loss, 0})
	}
	goodput, trials := transfers(t, p, all)
	for _, b := range all {
		d, bps := trials[b.name], goodput[b.name]
		loss := realised(d)
		c, ratio := mathisC(bps, loss, d), bps/pftk(loss, d)
		got := fmt.Sprintf("%s at p = %.3f %%, RTT %s: C = ", mbit(bps), 100*loss, ms(float64(d.TCPInfo.RTTNS)))
		p.add(c >= 0.9 && c <= 1.4, "Mathis: "+b.name, "C = 1.22", got+fmt.Sprintf("%.2f", c), "0.9 to 1.4")
		p.add(ratio >= 0.8 && ratio <= 1.6, "PFTK: "+b.name, mbit(pftk(loss, d)), fmt.Sprintf("%s, %.2f of it", mbit(bps), ratio), "0.8 to 1.6 of it")
	}
}

// available says whether the kernel has a congestion control.
func available(name string) bool {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	return err == nil && slices.Contains(strings.Fields(string(b)), name)
}

// bottleneckQueue is a path of 100 Mbit/s and a round trip of 100 ms. Its limit of
// packets counts those in the delay, too, 413 of them; the rest is the queue, of
// two and a half bandwidth-delay products.
const bottleneckQueue = "rate 100mbit delay 50ms limit 2500"

// figure is one that somebody else has measured, and its bounds, Mbit/s.
type figure struct {
	loss      string
	duration  time.Duration
	expect    float64
	low, high float64
	settled   time.Duration // if given: what counts is the goodput from then on
}

// against runs a congestion control over the bottleneck and holds its goodput
// against the figures. Packets are lost from the instant losses on, or where the
// end counts alone from the start. model, if there is one, says what is expected of
// a transfer that was.
func against(t *testing.T, p *part, congestion string, losses time.Duration, all []figure, model func(figure, *result.Document) figure) {
	t.Helper()
	if !available(congestion) {
		p.Rows = append(p.Rows, row{What: congestion, Missing: "this kernel has no " + congestion})
		return
	}
	var runs []bulk
	for _, f := range all {
		b := bulk{congestion + ", " + f.loss, congestion, bottleneckQueue, "delay 50ms limit 10000", f.duration, f.loss, 0}
		if f.settled == 0 {
			b.losses = losses
		}
		runs = append(runs, b)
	}
	goodput, trials := transfers(t, p, runs)
	for i, f := range all {
		d, what := trials[runs[i].name], runs[i].name
		mbps := goodput[what] / 1e6
		if f.settled > 0 {
			mbps = between(d, f.settled, f.duration) / 1e6
			what += fmt.Sprintf(", from %.0f s on", f.settled.Seconds())
		}
		if model != nil {
			f = model(f, d)
		}
		p.add(mbps >= f.low && mbps <= f.high, what, mbit(f.expect*1e6),
			fmt.Sprintf("%s at p = %.3g %%", mbit(mbps*1e6), 100*realised(d)), fmt.Sprintf("%.3g to %.3g Mbit/s", f.low, f.high))
	}
}

// between is the goodput of whole seconds of a run.
func between(d *result.Document, from, to time.Duration) float64 {
	var sum, n float64
	for _, i := range d.Intervals {
		if i.AtNS >= int64(from) && i.AtNS < int64(to) {
			sum, n = sum+i.GoodputBPS, n+1
		}
	}
	return sum / n
}

// cubic: where packets are lost, what is expected is the algorithm's own, drawn
// with as many losses. Nine of ten such draws are within a quarter of their median;
// the bounds leave room for what the model does without, timeouts above all.
func cubic(t *testing.T, p *part) {
	against(t, p, "cubic", 0, []figure{
		{"0%", 30 * time.Second, 96.5, 90, 96.6, 0},
		{"0.1%", 90 * time.Second, 0, 0, 0, 0},
		{"1%", 45 * time.Second, 0, 0, 0, 0},
	}, func(f figure, d *result.Document) figure {
		if f.expect == 0 {
			f.expect = cubicModel(realised(d), seconds(d.TCPInfo.RTTNS), f.duration.Seconds()) * float64(d.TCPInfo.SndMSS) * 8 / 1e6
			f.low, f.high = 0.7*f.expect, 1.4*f.expect
		}
		return f
	})
}

// cubicModel is the median goodput, packets a second, of CUBIC (RFC 9438 §4) that
// loses each packet with probability p, from slow start on: a step for each round
// trip, a loss in it is one event.
func cubicModel(p, rtt, duration float64) float64 {
	const c, beta, draws = 0.4, 0.7, 201
	var all []float64
	for seed := range uint64(draws) {
		r := rand.New(rand.NewPCG(seed, 0))
		window, most, reno, k := 10.0, 0.0, 0.0, 0.0
		delivered, began, slowStart := 0, 0.0, true
		now := 0.0
		for now < duration {
			lost := 0
			for range int(window) {
				if r.Float64() < p {
					lost++
				}
			}
			delivered += int(window) - lost
			now += rtt
			switch {
			case lost > 0:
				if slowStart = false; window < most { // fast convergence, §4.7
					most = window * (1 + beta) / 2
				} else {
					most = window
				}
				window = max(window*beta, 2)
				k = math.Cbrt(max(most-window, 0) / c)
				began, reno = now, window
			case slowStart:
				window *= 2
			default:
				reno += 3 * (1 - beta) / (1 + beta) // §4.3
				since := now - began + rtt
				target := c*(since-k)*(since-k)*(since-k) + most // §4.2
				window = max(reno, min(target, 1.5*window), window)
			}
		}
		all = append(all, float64(delivered)/now)
	}
	slices.Sort(all)
	return all[draws/2]
}

// bbr does not take a loss for a sign of congestion, as long as its probing, 1.25
// times what came through before, makes up for what is lost of it: 1.25·(1−p) ≥ 1.
// Its startup ends when the rate did not grow for three rounds, which under
// heavy loss may be by chance and long before the pipe is full; so losses begin
// when it is. Beyond that the rate falls by 1.25·(1−p) each eight round trips: at
// 25 % to a hundredth in a minute.
func bbr(t *testing.T, p *part) {
	against(t, p, "bbr", 3*time.Second, []figure{
		{"0%", 20 * time.Second, 93, 82, 96.6, 0},
		{"1%", 20 * time.Second, 92, 81, 96.6, 0},
		{"5%", 20 * time.Second, 89, 78, 96.6, 0},
		{"15%", 20 * time.Second, 79, 68, 90, 0},
		{"25%", 80 * time.Second, 2.2, 0.1, 10, time.Minute},
	}, nil)
}
