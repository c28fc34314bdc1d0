package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aclements/go-moremath/stats"

	"netcmp/result"
)

// confidence of every interval, and of all that is told apart between two arms
// taken together.
const confidence = 0.95

// fewest is the least number of blocks by which anything can be told apart.
const fewest = 6

// Judge says what the trials of a comparison show.
func Judge(plan result.ComparisonPlan, trials []*result.Document) *result.Comparison {
	x := &result.Comparison{
		Schema: result.ComparisonSchema, Plan: plan, Trials: trials,
		Warnings: []string{}, Verdict: []string{}, Table: []result.Figure{}, Differences: []result.Difference{},
	}
	if len(trials) > 0 {
		x.Started = slices.MinFunc(trials, func(a, b *result.Document) int { return cmp.Compare(a.Started, b.Started) }).Started
		x.Tool = trials[0].Tool
	}
	for _, d := range trials {
		if d.IsDisturbed() {
			x.Disturbed++
		}
	}
	s := collect(plan.Arms, plan.Repeat, trials)
	for _, m := range metrics {
		for _, arm := range plan.Arms {
			if f, ok := s.figure(m, arm); ok {
				x.Table = append(x.Table, f)
			}
		}
	}
	for i, a := range plan.Arms {
		for _, b := range plan.Arms[i+1:] {
			x.Differences = append(x.Differences, s.differences(a, b)...)
		}
	}
	x.Usable = s.curves()
	x.Warnings = warnings(plan, trials)
	x.Verdict = s.verdict(x)
	return x
}

// sample holds the trials by arm and block: of a comparison the undisturbed ones.
type sample struct {
	arms   []string
	trials map[string]map[int]*result.Document
	blocks []int
}

func collect(arms []string, repeat int, trials []*result.Document) *sample {
	s := &sample{arms: arms, trials: map[string]map[int]*result.Document{}}
	for _, d := range trials {
		if d.Trial == nil || d.IsDisturbed() && repeat > 1 { // of single runs nothing is judged
			continue
		}
		if s.trials[d.Trial.Arm] == nil {
			s.trials[d.Trial.Arm] = map[int]*result.Document{}
		}
		s.trials[d.Trial.Arm][d.Trial.Block] = d
		if !slices.Contains(s.blocks, d.Trial.Block) {
			s.blocks = append(s.blocks, d.Trial.Block)
		}
	}
	slices.Sort(s.blocks)
	return s
}

// values are an arm's figures by block.
func (s *sample) values(m metric, arm string) []float64 {
	var all []float64
	for _, block := range s.blocks {
		if d := s.trials[arm][block]; d != nil {
			if v, ok := m.of(d); ok {
				all = append(all, v)
			}
		}
	}
	return all
}

// pairs are two arms' figures in the blocks that have both.
func (s *sample) pairs(m metric, a, b string) (xs, ys []float64) {
	for _, block := range s.blocks {
		da, db := s.trials[a][block], s.trials[b][block]
		if da == nil || db == nil {
			continue
		}
		x, ok := m.of(da)
		y, too := m.of(db)
		if ok && too {
			xs, ys = append(xs, x), append(ys, y)
		}
	}
	return xs, ys
}

// median returns the median of values, and the interval that holds the true one with
// the confidence at least: the order statistics k and n + 1 − k (see orderStatistic),
// which assume nothing of the distribution. They are symmetric, so that the interval of
// the negated values is the negated interval. Below six values there is none.
func median(values []float64) (m, low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	m = sorted[n/2]
	if n%2 == 0 && sorted[n/2-1] != m { // two infinities have no mean
		m = (sorted[n/2-1] + m) / 2
	}
	k := orderStatistic(n)
	if k < 1 {
		return m, math.Inf(-1), math.Inf(1)
	}
	return m, sorted[k-1], sorted[n-k]
}

// orderStatistic returns the greatest k for which the k-th least and the k-th greatest
// of n values hold the median between them with the confidence; 0 if there is none. The
// number of values below the median is binomial with p = 1/2, so the chance that it lies
// outside is 2·P(X < k) (David and Nagaraja, Order Statistics, §7.1).
func orderStatistic(n int) int {
	term := math.Pow(0.5, float64(n)) // P(X = 0)
	below := 0.0
	for k := 0; k < n/2; k++ {
		below += term // P(X ≤ k)
		if 2*below > 1-confidence {
			return k
		}
		term *= float64(n-k) / float64(k+1)
	}
	return n / 2
}

// finite is nil for what is not.
func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

func (s *sample) figure(m metric, arm string) (result.Figure, bool) {
	values := s.values(m, arm)
	if len(values) == 0 {
		return result.Figure{}, false
	}
	mid, low, high := median(values)
	return result.Figure{
		Metric: m.name, Arm: arm, N: len(values), Median: finite(mid), CILow: finite(low), CIHigh: finite(high),
		Infinite: math.IsInf(mid, 1),
	}, true
}

// differences compares two arms by every metric. One is better when the interval
// of the paired differences leaves out 0 and the Mann-Whitney test says so, too,
// after Holm's correction for the number of metrics: for two arms that do not
// differ the chance to be told apart by anything is one in twenty at the most. A
// difference that is no greater than what the instrument itself may have added to
// either arm (metric.error) is none.
func (s *sample) differences(a, b string) []result.Difference {
	var all []result.Difference
	better := map[string]int{} // the sign of a difference that favours a
	for _, m := range metrics {
		xs, ys := s.pairs(m, a, b)
		if len(xs) == 0 {
			continue
		}
		delta := make([]float64, len(xs))
		for i := range xs {
			if xs[i] != ys[i] { // two infinities do not differ
				delta[i] = xs[i] - ys[i]
			}
		}
		mid, low, high := median(delta)
		d := result.Difference{
			Metric: m.name, A: a, B: b, N: len(xs), Verdict: result.CannotTell,
			Difference: finite(mid), CILow: finite(low), CIHigh: finite(high),
		}
		d.P = mannWhitney(xs, ys)
		switch {
		case len(xs) < fewest || m.better == 0:
		case math.Abs(mid) <= s.error(m, a, b):
		case low > 0:
			better[m.name] = m.better
		case high < 0:
			better[m.name] = -m.better
		}
		all = append(all, d)
	}
	// Holm: the smallest p has to stand against all metrics, the next against one
	// less, and after the first that does not none does.
	var order []int
	for i, d := range all {
		if d.P != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(*all[i].P, *all[j].P) })
	for k, i := range order {
		if *all[i].P > (1-confidence)/float64(len(all)-k) {
			break
		}
		switch better[all[i].Metric] {
		case +1:
			all[i].Verdict = "a"
		case -1:
			all[i].Verdict = "b"
		}
	}
	return all
}

// mannWhitney returns p, the same whichever sample comes first; nil where the test says
// nothing.
func mannWhitney(xs, ys []float64) *float64 {
	one, err := stats.MannWhitneyUTest(xs, ys, stats.LocationDiffers)
	if err != nil {
		return nil
	}
	other, err := stats.MannWhitneyUTest(ys, xs, stats.LocationDiffers)
	if err != nil {
		return nil
	}
	return new((one.P + other.P) / 2) // they differ by rounding
}

// error returns what the instrument may have added to a metric of either arm: the
// greater of the medians over their trials.
func (s *sample) error(m metric, a, b string) (most float64) {
	if m.error == nil {
		return 0
	}
	for _, arm := range []string{a, b} {
		var all []float64
		for _, d := range s.trials[arm] {
			all = append(all, m.error(d))
		}
		if len(all) > 0 {
			mid, _, _ := median(all)
			most = max(most, mid)
		}
	}
	return most
}

// warnings of the trials: each once, with how many have it.
func warnings(plan result.ComparisonPlan, trials []*result.Document) []string {
	said := []string{}
	count := map[string]int{}
	var order []string
	for _, d := range trials {
		for _, w := range d.Warnings {
			key := w
			if d.Trial != nil {
				key = d.Trial.Arm + ": " + w
			}
			if count[key]++; count[key] == 1 {
				order = append(order, key)
			}
		}
	}
	for _, w := range order {
		if n := count[w]; n > 1 {
			w = fmt.Sprintf("%s (%d trials)", w, n)
		}
		said = append(said, w)
	}
	if resumed, whole := handshakes(trials); len(resumed) > 0 && len(whole) > 0 {
		said = append(said, fmt.Sprintf("%s resumed a session, %s had none to resume: first_message_ns compares the one with the other",
			strings.Join(resumed, ", "), strings.Join(whole, ", ")))
	}
	congestion := map[string]string{}
	for _, d := range trials {
		if d.Plan.Congestion != "" {
			congestion[d.Proto] = d.Plan.Congestion
		}
	}
	for _, proto := range []string{"tcp", "tls"} {
		for _, other := range []string{"quic", "quic-streams", "quic-datagram"} {
			if a, b := congestion[proto], congestion[other]; a != "" && b != "" && a != b {
				return append(said, fmt.Sprintf("%s ran %s and %s %s, the one it has: a part of the difference is the congestion control's (--congestion %s makes them alike)", proto, a, other, b, b))
			}
		}
	}
	return said
}

// handshakes are the protocols whose trials resumed a session, and those that shook
// hands without one.
func handshakes(trials []*result.Document) (resumed, whole []string) {
	for _, d := range trials {
		kind := &whole
		if d.Plan.Resume {
			kind = &resumed
		}
		if d.Setup.ConnectNS != nil && !slices.Contains(*kind, d.Proto) {
			*kind = append(*kind, d.Proto)
		}
	}
	return resumed, whole
}
