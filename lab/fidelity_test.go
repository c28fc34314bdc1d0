package lab

import (
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"netcmp/clock"
	"netcmp/netem"
	"netcmp/pacer"
)

// The proof that the emulator is what the kernel's netem is: the same stream of
// numbered messages through both, compared as instruments are by RFC 6808 and
// RFC 7290. It runs where the kernel has netem (tools/vm; make fidelity), and
// prints docs/fidelity.md's table.

const (
	fidelityMessages = 4000
	fidelityPeriod   = time.Millisecond
	fidelityPort     = 7000
	// fidelityBound is how many standard deviations apart two figures may be.
	// Of a true law one comparison in ten billion is beyond it, and one table of
	// them in a hundred million.
	fidelityBound = 6.5
	// adBound is the same for the Anderson-Darling statistic, standardised:
	// its tail falls by e for each 1.3 or so (Scholz and Stephens 1987, table 1),
	// so that 20 is beyond 10⁻⁷.
	adBound = 20
)

// arrival is what the receiver notes of one.
type arrival struct {
	Number int
	Delay  int64 // from the instant at which it was sent, ns
}

// fidelitySend sends the messages, each with its number and its time.
func fidelitySend() int {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(Server.Addr(), fidelityPort)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Close()
	w := pacer.New()
	defer w.Close()
	var b [200]byte
	next := clock.Now() + int64(10*time.Millisecond)
	for n := range fidelityMessages {
		w.Until(next, nil, nil)
		binary.BigEndian.PutUint64(b[:], uint64(n))
		binary.BigEndian.PutUint64(b[8:], uint64(clock.Now()))
		_, _ = c.Write(b[:]) // a full queue on the way is no error of ours
		next += int64(fidelityPeriod)
	}
	return 0
}

// fidelityReceive notes what comes until it is told to end, and writes it to
// descriptor 3.
func fidelityReceive() int {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(Server.Addr(), fidelityPort)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Close()
	_ = c.SetReadBuffer(4 << 20)
	all := make([]arrival, 0, 2*fidelityMessages)
	var b [2048]byte
	for {
		_ = c.SetReadDeadline(time.Now().Add(3 * time.Second)) // longer than any path here holds one
		n, err := c.Read(b[:])
		now := clock.Now()
		if err != nil {
			if len(all) > 0 {
				break
			}
			continue
		}
		if n == 200 {
			all = append(all, arrival{int(binary.BigEndian.Uint64(b[:])), now - int64(binary.BigEndian.Uint64(b[8:]))})
		}
	}
	if err := gob.NewEncoder(os.NewFile(3, "result")).Encode(all); err != nil {
		return 1
	}
	return 0
}

// send runs the stream through a path of an engine.
func send(t *testing.T, e Engine, i netem.Impairment) []arrival {
	t.Helper()
	l, err := Start(t.Context(), Config{Path: netem.Path{Up: i}, Engine: e, Seed: 7})
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := os.CreateTemp(t.TempDir(), "arrivals")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	from, err := l.Run(t.Context(), Server, withFiles(Self("listen"), f))
	if err != nil || !from.Listening(t.Context()) {
		t.Fatal("the receiver does not listen: ", err)
	}
	to, err := l.Run(t.Context(), Client, withFiles(Self("tell"), nil))
	if err != nil {
		t.Fatal(err)
	}
	if exit := to.Wait(); exit.Code != 0 || exit.Signal != 0 {
		t.Fatalf("sender: %v", exit)
	}
	if exit := from.Wait(); exit.Code != 0 || exit.Signal != 0 {
		t.Fatalf("receiver: %v", exit)
	}
	var all []arrival
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(f).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func withFiles(c Command, f *os.File) Command {
	c.Files = []*os.File{nil, nil, os.Stderr, f}
	return c
}

// sample is what is compared of a stream.
type sample struct {
	lost, doubled, reordered []float64 // of each message: 1 if it was
	bursts                   [5]float64
	delays                   []float64 // ms, of first copies
}

func sampled(all []arrival) sample {
	s := sample{
		lost: make([]float64, fidelityMessages), doubled: make([]float64, fidelityMessages), reordered: make([]float64, fidelityMessages),
	}
	copies := make([]int, fidelityMessages)
	next := 0
	for _, a := range all {
		if a.Number < 0 || a.Number >= fidelityMessages {
			continue // damaged, and its checksum with it
		}
		if copies[a.Number]++; copies[a.Number] > 1 {
			s.doubled[a.Number] = 1
			continue
		}
		s.delays = append(s.delays, float64(a.Delay)/1e6)
		if a.Number < next { // RFC 4737 §3.3
			s.reordered[a.Number] = 1
		} else {
			next = a.Number + 1
		}
	}
	run := 0
	for n := range fidelityMessages {
		if copies[n] == 0 {
			s.lost[n] = 1
			run++
			continue
		}
		if run > 0 {
			s.bursts[min(run, len(s.bursts))-1]++
		}
		run = 0
	}
	return s
}

// apart is how many standard deviations the means of two series are apart. The
// deviation is that of means of batches, in which what follows on each other
// may depend on each other.
func apart(a, b []float64) float64 {
	const batches = 40
	batched := func(x []float64) (mean, variance float64) {
		size := len(x) / batches
		means := make([]float64, batches)
		for k := range means {
			for _, v := range x[k*size : (k+1)*size] {
				means[k] += v / float64(size)
			}
			mean += means[k] / batches
		}
		for _, m := range means {
			variance += (m - mean) * (m - mean) / (batches - 1)
		}
		return mean, variance / batches
	}
	ma, va := batched(a)
	mb, vb := batched(b)
	if ma == mb {
		return 0
	}
	// Where hardly anything happens the batches tell no deviation.
	floor := (ma + mb) / float64(len(a))
	return (ma - mb) / math.Sqrt(max(va+vb, floor))
}

// burstsApart is the chi-square of two histograms, as standard deviations of a
// normal variable (Wilson and Hilferty).
func burstsApart(a, b [5]float64) float64 {
	var na, nb float64
	for k := range a {
		na, nb = na+a[k], nb+b[k]
	}
	if na < 20 || nb < 20 {
		return 0
	}
	var chi, df float64
	var ra, rb float64 // bins too small to stand alone, taken together
	add := func(x, y float64) {
		ea, eb := (x+y)*na/(na+nb), (x+y)*nb/(na+nb)
		chi += (x-ea)*(x-ea)/ea + (y-eb)*(y-eb)/eb
		df++
	}
	for k := range a {
		if ra, rb = ra+a[k], rb+b[k]; ra+rb >= 20 {
			add(ra, rb)
			ra, rb = 0, 0
		}
	}
	if ra+rb > 0 && df > 0 {
		add(ra, rb)
	}
	if df--; df < 1 {
		return 0
	}
	return (math.Cbrt(chi/df) - (1 - 2/(9*df))) / math.Sqrt(2/(9*df))
}

// andersonDarling is the two-sample statistic, adjusted for ties or not, less
// its mean and over its standard deviation: equations 6 and 7 of Scholz and
// Stephens, K-sample Anderson-Darling tests, JASA 82 (1987), as RFC 6576 takes
// it.
func andersonDarling(x, y []float64, ties bool) float64 {
	samples := [][]float64{slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))}
	all := slices.Sorted(slices.Values(append(slices.Clone(x), y...)))
	n := float64(len(all))
	var a2 float64
	var below [2]int // of each sample: how many are at most the value before
	for at := 0; at < len(all); {
		end := at
		for end < len(all) && all[end] == all[at] {
			end++
		}
		l := float64(end - at)
		for k, s := range samples {
			from := below[k]
			for below[k] < len(s) && s[below[k]] == all[at] {
				below[k]++
			}
			ni, m, b := float64(len(s)), float64(below[k]), float64(end)
			f := float64(below[k] - from)
			if ties {
				m, b = m-f/2, b-l/2
				a2 += (n - 1) / n / ni * l / n * (n*m - ni*b) * (n*m - ni*b) / (b*(n-b) - n*l/4)
			} else if end < len(all) {
				a2 += 1 / ni * l / n * (n*m - ni*b) * (n*m - ni*b) / (b * (n - b))
			}
		}
		at = end
	}
	const k = 2
	h, g, inverse, tail := 0.0, 0.0, 1/float64(len(x))+1/float64(len(y)), 0.0
	for i := len(all) - 1; i >= 1; i-- { // tail is the sum of 1/j for j above i
		if i <= len(all)-2 {
			g += tail / (n - float64(i))
		}
		tail += 1 / float64(i)
		h += 1 / float64(i)
	}
	a := (4*g-6)*(k-1) + (10-6*g)*inverse
	b := (2*g-4)*k*k + 8*h*k + (2*g-14*h-4)*inverse - 8*h + 4*g - 6
	c := (6*h+2*g-2)*k*k + (4*h-4*g+6)*k + (2*h-6)*inverse + 4*h
	d := (2*h+6)*k*k - 4*h*k
	variance := (a*n*n*n + b*n*n + c*n + d) / ((n - 1) * (n - 2) * (n - 3))
	return (a2 - (k - 1)) / math.Sqrt(variance)
}

// The example of RFC 6576, appendix B.
func TestAndersonDarling(t *testing.T) {
	x := []float64{114, 175, 138, 142, 181, 105}
	y := []float64{115, 128, 136, 127, 139, 138}
	for ties, want := range map[bool]float64{false: 0.52043, true: 0.62679} {
		if got := andersonDarling(x, y, ties); math.Abs(got-want) > 1e-5 {
			t.Errorf("ties %v: %.5f, want %.5f", ties, got, want)
		}
	}
}

func mean(x []float64) (m float64) {
	for _, v := range x {
		m += v / float64(len(x))
	}
	return m
}

func quantile(x []float64, p float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	return s[min(int(p*float64(len(s))), len(s)-1)]
}

// TestFidelity prints the table, a line for each path: what the emulator and
// the kernel made of it, and how far they are apart.
func TestFidelity(t *testing.T) {
	if os.Getenv("NETCMP_FIDELITY") == "" {
		t.Skip("make fidelity")
	}
	var system syscall.Utsname
	_ = syscall.Uname(&system)
	// What each engine, and the machine, adds to a delay is taken off before
	// delays are compared (RFC 6808 §7.2 does so, too).
	calibration, err := netem.Parse("delay 20ms")
	if err != nil {
		t.Fatal(err)
	}
	base := func(e Engine) float64 { return quantile(sampled(send(t, e, calibration)).delays, 0.5) }
	baseE, baseK := base(Emulator), base(Kernel)
	fmt.Printf("kernel %s; %d messages of 200 bytes, one each %v\n", release(system.Release[:]), fidelityMessages, fidelityPeriod)
	fmt.Printf("a delay of 20 ms takes, at the median, %.3f ms in the emulator and %.3f ms in the kernel\n\n", baseE, baseK)
	fmt.Println("| path | lost % | z | bursts z | doubled % | z | reordered % | z | delay p50 ms | p99 ms | AD t |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|")
	for _, x := range []struct {
		spec string
		iid  bool // delays are independent draws: Anderson-Darling applies
		full bool // a full queue takes them: one after the other in a beat, so that bursts are no draws
	}{
		{"loss 10%", false, false},
		{"loss 20% 25%", false, false},
		{"loss gemodel 2% 25%", false, false},
		{"loss gemodel 10% 30% 60% 5%", false, false},
		{"loss state 3% 40% 10% 60% 0.2%", false, false},
		{"duplicate 12%", false, false},
		{"duplicate 12% loss 10%", false, false},
		{"corrupt 5%", false, false},
		{"delay 50ms 20ms", true, false},
		{"delay 60ms 15ms distribution normal", true, false},
		{"delay 60ms 15ms distribution pareto", true, false},
		{"delay 60ms 15ms distribution paretonormal", true, false},
		{"delay 50ms 20ms 50%", true, false},
		{"delay 100ms 50ms loss 10%", true, false},
		{"delay 4ms reorder 40%", false, false},
		{"delay 10ms reorder 25% gap 5", false, false},
		{"rate 4mbit delay 10ms 5ms", false, false},
		{"rate 1mbit limit 50", false, true},
		{"delay 20ms limit 10", false, true},
		{"slot 20ms 40ms", false, false},
		{"delay 30ms 10ms distribution normal loss gemodel 3% 30% duplicate 2%", true, false},
	} {
		i, err := netem.Parse(x.spec)
		if err != nil {
			t.Fatal(err)
		}
		e, k := sampled(send(t, Emulator, i)), sampled(send(t, Kernel, i))
		far := func(name string, z, bound float64) float64 {
			if math.Abs(z) > bound || math.IsNaN(z) {
				t.Errorf("%s: %s %.1f apart", x.spec, name, z)
			}
			return z
		}
		pair := func(a, b []float64) string { return fmt.Sprintf("%.2f / %.2f", 100*mean(a), 100*mean(b)) }
		row := []string{"`" + x.spec + "`",
			pair(e.lost, k.lost), fmt.Sprintf("%.1f", far("lost", apart(e.lost, k.lost), fidelityBound)), "–",
			pair(e.doubled, k.doubled), fmt.Sprintf("%.1f", far("doubled", apart(e.doubled, k.doubled), fidelityBound)),
			pair(e.reordered, k.reordered), fmt.Sprintf("%.1f", far("reordered", apart(e.reordered, k.reordered), fidelityBound)),
			fmt.Sprintf("%.2f / %.2f", quantile(e.delays, 0.5), quantile(k.delays, 0.5)),
			fmt.Sprintf("%.2f / %.2f", quantile(e.delays, 0.99), quantile(k.delays, 0.99)), "–"}
		if !x.full {
			row[3] = fmt.Sprintf("%.1f", far("bursts", burstsApart(e.bursts, k.bursts), fidelityBound))
		}
		if x.iid {
			calibrated := func(x []float64, by float64) []float64 {
				y := slices.Clone(x)
				for n := range y {
					y[n] -= by - 20
				}
				return y
			}
			ad := far("delays", andersonDarling(calibrated(e.delays, baseE), calibrated(k.delays, baseK), true), adBound)
			row[len(row)-1] = fmt.Sprintf("%.2f", ad)
		}
		fmt.Println("| " + strings.Join(row, " | ") + " |")
	}
}

func release(b []int8) string {
	var s []byte
	for _, c := range b {
		if c == 0 {
			break
		}
		s = append(s, byte(c))
	}
	return string(s)
}
