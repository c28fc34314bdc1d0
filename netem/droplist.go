package netem

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// LossList loses the packets with these numbers and no others, whatever the
// seed: an extension, "loss list 10,20-25". The first packet of the direction
// is number 0, and acknowledgements, handshakes and retransmissions count like
// any other. A clone is not of the list: a packet of it that is also duplicated
// passes, as with any loss.
type LossList string

// String returns the list in its words.
func (l LossList) String() string { return "list " + string(l) }

// Rate returns NaN: a list has none.
func (l LossList) Rate() float64 { return math.NaN() }

func (l LossList) check() error {
	_, err := l.ranges()
	return err
}

// numbers are those from first to last, both included.
type numbers struct{ first, last uint64 }

// ranges returns the list in rising order, joined where it touches.
func (l LossList) ranges() ([]numbers, error) {
	var all []numbers
	for word := range strings.SplitSeq(string(l), ",") {
		from, to, isRange := strings.Cut(word, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 62)
		last, err2 := strconv.ParseUint(to, 10, 62)
		if err != nil || err2 != nil || last < first {
			return nil, fmt.Errorf("loss list: %q is not a packet number or range: want them as in 10,20-25, counted from 0", word)
		}
		all = append(all, numbers{first, last})
	}
	slices.SortFunc(all, func(a, b numbers) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	joined := all[:1]
	for _, r := range all[1:] {
		if end := &joined[len(joined)-1]; r.first <= end.last+1 {
			end.last = max(end.last, r.last)
		} else {
			joined = append(joined, r)
		}
	}
	return joined, nil
}

func (l LossList) canonical() LossModel {
	ranges, err := l.ranges()
	if err != nil {
		return l // check says so
	}
	words := make([]string, len(ranges))
	for k, r := range ranges {
		words[k] = strconv.FormatUint(r.first, 10)
		if r.last != r.first {
			words[k] += "-" + strconv.FormatUint(r.last, 10)
		}
	}
	return LossList(strings.Join(words, ","))
}

func (l LossList) start(uint64) lossProcess {
	ranges, err := l.ranges()
	if err != nil {
		panic("netem: " + err.Error()) // Validate was asked
	}
	return &dropList{ranges}
}

// dropList is what is left of the list.
type dropList struct{ left []numbers }

func (l *dropList) lost(n uint64) bool {
	if n%2 != 0 {
		return false // a clone
	}
	packet := n / 2
	for len(l.left) > 0 && l.left[0].last < packet {
		l.left = l.left[1:]
	}
	return len(l.left) > 0 && l.left[0].first <= packet
}
