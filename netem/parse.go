package netem

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads an impairment from the arguments of tc's netem:
//
//	delay TIME [JITTER [CORRELATION]] [noreorder]   (or latency)
//	distribution uniform|normal|pareto|paretonormal|FILE
//	loss [random] PERCENT [CORRELATION]             (or drop)
//	loss state P13 [P31 [P32 [P23 [P14]]]]
//	loss gemodel P [R [1-H [1-K]]]
//	loss list NUMBERS
//	ecn
//	duplicate PERCENT [CORRELATION]
//	corrupt PERCENT [CORRELATION]
//	reorder PERCENT [CORRELATION]    gap N
//	rate RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]]
//	queue tbf BURST
//	queue codel [target TIME] [interval TIME]
//	trace FILE
//	slot MIN [MAX] [packets N] [bytes N]
//	slot distribution NAME DELAY JITTER [packets N] [bytes N]
//	limit PACKETS
//	seed NUMBER
//
// in any order, each keyword whole or shortened as tc allows. The empty
// specification is a clean impairment. Extensions, which tc does not know and
// which cannot be shortened, are noreorder, loss list, queue and trace, and a
// distribution's FILE, which has a slash where tc takes the name of one in a
// directory of its own. A file is read when it is parsed.
//
// It refuses what tc refuses, for the same reason. It is stricter where tc is
// silent and the path would not be the one that was written: a word given
// twice, of which tc takes the last; a rate below a byte a second, which the
// kernel takes for none; a limit of 0, which drops every packet; a jitter above
// MaxJitter, which the kernel cuts; overheads beyond MaxFraming; a limit with a
// suffix of bytes; hexadecimal and other spellings of C's strtod.
func Parse(spec string) (Impairment, error) { return Impairment{}.With(spec) }

// With returns the impairment with what the specification names set anew and the
// rest as it is: "loss 100%" leaves the delay alone. A word brings all its
// arguments, so "delay 50ms" ends a jitter. What cannot stand without what has
// gone goes with it: the distribution with the jitter, ecn with the loss, the gap
// with the reordering; and of rate and trace each takes the place of the other.
func (i Impairment) With(spec string) (Impairment, error) {
	return (&specParser{words: strings.Fields(spec), given: map[string]bool{}, i: i}).parse()
}

// ErrFile says that a specification of another machine names a file.
var ErrFile = errors.New("a file is of the machine that names it: want a distribution by its name")

// ParseForeign is Parse of what another machine says: it reads no file, and fails
// with ErrFile where one is named.
func ParseForeign(spec string) (Impairment, error) {
	return (&specParser{words: strings.Fields(spec), given: map[string]bool{}, foreign: true}).parse()
}

func (p *specParser) parse() (Impairment, error) {
	for len(p.words) > 0 {
		word := p.words[0]
		p.words = p.words[1:]
		o, ok := findOption(word)
		if !ok {
			return Impairment{}, fmt.Errorf("unknown word %q: want %s", word, knownOptions())
		}
		if p.given[o.name] {
			return Impairment{}, fmt.Errorf("%s given twice, the second time as %q: want it once", o.name, word)
		}
		p.given[o.name] = true
		p.clear(o.name)
		if err := o.parse(p, o); err != nil {
			return Impairment{}, err
		}
	}
	p.drop()
	if p.given["ecn"] && p.i.Loss == nil {
		return Impairment{}, errECNNeedsLoss
	}
	if err := p.i.Validate(); err != nil { // before what is of no effect is left out
		return Impairment{}, err
	}
	i := p.i.canonical()
	if p.given["distribution"] && (i.Delay == 0 || i.Jitter == 0) {
		return Impairment{}, errDistributionNeedsJitter // for uniform too, which Validate cannot tell from none
	}
	return i, nil
}

// clear forgets what an option sets, and what that takes the place of.
func (p *specParser) clear(option string) {
	switch i := &p.i; option {
	case "delay":
		i.Delay, i.Jitter, i.DelayCorrelation, i.NoReorder = 0, 0, 0, false
	case "distribution":
		i.Distribution = Uniform
	case "loss":
		i.Loss = nil
	case "duplicate":
		i.Duplicate, i.DuplicateCorrelation = 0, 0
	case "corrupt":
		i.Corrupt, i.CorruptCorrelation = 0, 0
	case "reorder":
		i.Reorder, i.ReorderCorrelation = 0, 0
	case "gap":
		i.Gap = 0
	case "rate":
		i.Rate, i.Framing = 0, Framing{}
		if !p.given["trace"] {
			i.Trace = ""
		}
	case "trace":
		i.Trace = ""
		if !p.given["rate"] {
			i.Rate, i.Framing = 0, Framing{}
		}
	case "queue":
		i.Queue = Queue{}
	case "slot":
		i.Slot = Slot{}
	}
}

// drop takes away what was there before and cannot stand without what is gone.
func (p *specParser) drop() {
	i := &p.i
	if !p.given["distribution"] && (i.Delay == 0 || i.Jitter == 0) {
		i.Distribution = Uniform
	}
	if !p.given["ecn"] && (i.Loss == nil || i.Loss.canonical() == nil) {
		i.ECN = false
	}
	if !p.given["gap"] && i.Reorder == 0 {
		i.Gap = 0
	}
}

// A specParser goes through the words of a specification.
type specParser struct {
	words   []string // those not read yet
	given   map[string]bool
	i       Impairment
	foreign bool     // no file is read
	bare    []string // see BareNumbers
}

// An option is a keyword and how to read what follows it.
type option struct {
	name  string
	usage string
	parse func(*specParser, option) error
}

// options are in the order in which tc tries them, which decides what a
// shortened word means: d is delay and r is reorder. The extensions come last.
var options = []struct {
	word string
	option
}{
	{"limit", option{"limit", "limit PACKETS", (*specParser).limit}},
	{"latency", delayOption},
	{"delay", delayOption},
	{"loss", lossOption},
	{"drop", lossOption},
	{"seed", option{"seed", "seed NUMBER", (*specParser).seed}},
	{"ecn", option{"ecn", "ecn", (*specParser).ecn}},
	{"reorder", option{"reorder", "reorder PERCENT [CORRELATION]", (*specParser).reorder}},
	{"corrupt", option{"corrupt", "corrupt PERCENT [CORRELATION]", (*specParser).corrupt}},
	{"gap", option{"gap", "gap PACKETS", (*specParser).gap}},
	{"duplicate", option{"duplicate", "duplicate PERCENT [CORRELATION]", (*specParser).duplicate}},
	{"distribution", option{"distribution", "distribution uniform|normal|pareto|paretonormal|FILE", (*specParser).distribution}},
	{"rate", option{"rate", "rate RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]]", (*specParser).rate}},
	{"slot", option{"slot", "slot MIN [MAX] or slot distribution NAME DELAY JITTER, with [packets N] [bytes N]", (*specParser).slot}},
	{"queue", option{"queue", "queue tbf BURST or queue codel [target TIME] [interval TIME]", (*specParser).queue}},
	{"trace", option{"trace", "trace FILE", (*specParser).trace}},
}

var (
	delayOption = option{"delay", "delay TIME [JITTER [CORRELATION]]", (*specParser).delay}
	lossOption  = option{"loss", "loss [random] PERCENT [CORRELATION], loss state, loss gemodel or loss list", (*specParser).loss}
)

// isExtension reports whether tc does not know the keyword.
func isExtension(keyword string) bool { return keyword == "queue" || keyword == "trace" }

// findOption returns the first option that the word begins (tc's matches).
func findOption(word string) (option, bool) {
	for _, o := range options {
		if o.word == word || !isExtension(o.word) && strings.HasPrefix(o.word, word) {
			return o.option, true
		}
	}
	return option{}, false
}

func knownOptions() string {
	var names []string
	for _, o := range options {
		if o.word == o.name {
			names = append(names, o.name)
		}
		if o.name == "delay" && o.word == o.name {
			names = append(names, "noreorder (after delay)")
		}
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// value returns the next word, which must be there.
func (p *specParser) value(o option) (string, error) {
	if len(p.words) == 0 {
		return "", fmt.Errorf("%s needs a value: %s", o.name, o.usage)
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word, nil
}

// number returns the next word if it is a number.
func (p *specParser) number() (word string, ok bool) {
	if len(p.words) == 0 || !isNumber(p.words[0]) {
		return "", false
	}
	word = p.words[0]
	p.words = p.words[1:]
	return word, true
}

// keyword takes the next word if it is that one, or begins it as tc's matches
// has it.
func (p *specParser) keyword(word string) bool {
	if len(p.words) == 0 || !strings.HasPrefix(word, p.words[0]) {
		return false
	}
	p.words = p.words[1:]
	return true
}

// percents reads as many percentages as follow, up to one for each of to, and
// returns how many there were.
func (p *specParser) percents(o option, to ...*Probability) (n int, err error) {
	for n < len(to) {
		word, ok := p.number()
		if !ok {
			break
		}
		if *to[n], err = ParsePercent(word); err != nil {
			return n, about(o, err)
		}
		n++
	}
	return n, nil
}

// time reads a time.
func (p *specParser) time(o option, to *time.Duration) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if *to, err = p.duration(o.name, word); err != nil {
		return about(o, err)
	}
	return nil
}

// duration reads a time of the option, or of the part of it, with that name.
func (p *specParser) duration(name, word string) (time.Duration, error) {
	d, err := ParseDuration(word)
	if err == nil && d != 0 && isBare(word) {
		p.bare = append(p.bare, bareTime(name, word, "ms for milliseconds"))
	}
	return d, err
}

// about says which option an error is about.
func about(o option, err error) error { return fmt.Errorf("%s: %w", o.name, err) }

func (p *specParser) delay(o option) error {
	if err := p.time(o, &p.i.Delay); err != nil {
		return err
	}
	if word, ok := p.number(); ok {
		var err error
		if p.i.Jitter, err = p.duration("jitter", word); err != nil {
			return fmt.Errorf("jitter: %w", err)
		}
		if _, err := p.percents(o, &p.i.DelayCorrelation); err != nil {
			return err
		}
	}
	if len(p.words) > 0 && p.words[0] == "noreorder" {
		p.words = p.words[1:]
		p.i.NoReorder = true
	}
	return nil
}

func (p *specParser) loss(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	switch word {
	case "random":
		return p.randomLoss(o)
	case "state":
		return p.lossState(o)
	case "gemodel":
		return p.lossModel(o)
	case "list":
		if word, err = p.value(o); err != nil {
			return err
		}
		l := LossList(word)
		p.i.Loss = l
		return l.check()
	}
	if !isNumber(word) {
		return fmt.Errorf("unknown loss parameter %q: want random, state, gemodel, list or a percentage", word)
	}
	p.words = append([]string{word}, p.words...)
	return p.randomLoss(o)
}

func (p *specParser) randomLoss(o option) error {
	var l CorrelatedLoss
	if err := p.percent(o, &l.Loss, &l.Correlation); err != nil {
		return err
	}
	p.i.Loss = l
	return nil
}

func (p *specParser) lossState(o option) error {
	l := FourState{P23: Always}
	if err := p.percent(o, &l.P13, nil); err != nil {
		return err
	}
	l.P31 = Always - l.P13
	_, err := p.percents(o, &l.P31, &l.P32, &l.P23, &l.P14)
	p.i.Loss = l
	return err
}

func (p *specParser) lossModel(o option) error {
	l := GilbertElliott{BadLoss: Always}
	if err := p.percent(o, &l.P, nil); err != nil {
		return err
	}
	l.R = Always - l.P
	_, err := p.percents(o, &l.R, &l.BadLoss, &l.GoodLoss)
	p.i.Loss = l
	return err
}

func (p *specParser) ecn(option) error {
	p.i.ECN = true
	return nil
}

// percent reads a percentage and, if there may be one, its correlation.
func (p *specParser) percent(o option, to, correlation *Probability) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if *to, err = ParsePercent(word); err != nil {
		return about(o, err)
	}
	if correlation != nil {
		_, err = p.percents(o, correlation)
	}
	return err
}

func (p *specParser) duplicate(o option) error {
	return p.percent(o, &p.i.Duplicate, &p.i.DuplicateCorrelation)
}

func (p *specParser) corrupt(o option) error {
	return p.percent(o, &p.i.Corrupt, &p.i.CorruptCorrelation)
}

func (p *specParser) reorder(o option) error {
	return p.percent(o, &p.i.Reorder, &p.i.ReorderCorrelation)
}

func (p *specParser) distribution(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	p.i.Distribution, err = p.table(word)
	return err
}

// table is a distribution by its name, or by that of its file.
func (p *specParser) table(word string) (Distribution, error) {
	if _, file := Distribution(word).File(); file && p.foreign {
		return Uniform, fmt.Errorf("distribution %q: %w", word, ErrFile)
	}
	return ParseDistribution(word)
}

func (p *specParser) rate(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if p.i.Rate, err = ParseRate(word); err != nil {
		return about(o, err)
	}
	if isBare(word) {
		p.bare = append(p.bare, fmt.Sprintf("rate %s: taken as %s bit/s, as tc does; write %sbit, or %smbit for Mbit/s", word, word, word, word))
	}
	var values [3]int64
	for k, what := range []string{"packet overhead", "cell size", "cell overhead"} {
		word, ok := p.number()
		if !ok {
			break
		}
		if values[k], err = strconv.ParseInt(word, 10, 32); err != nil || k == 1 && values[k] < 0 {
			return fmt.Errorf("rate: %s %q is not a number of bytes", what, word)
		}
	}
	p.i.Framing = Framing{Packet: int32(values[0]), Cell: uint32(values[1]), CellOverhead: int32(values[2])}
	return nil
}

func (p *specParser) slot(o option) error {
	s := &p.i.Slot
	word, err := p.value(o)
	if err != nil {
		return err
	}
	switch {
	case isNumber(word):
		if s.Min, err = p.duration(o.name, word); err != nil {
			return about(o, err)
		}
		s.Max = s.Min
		if word, ok := p.number(); ok {
			if s.Max, err = p.duration(o.name, word); err != nil {
				return about(o, err)
			}
		}
	case word == "distribution":
		if word, err = p.value(o); err != nil {
			return err
		}
		if s.Distribution, err = p.table(word); err != nil {
			return about(o, err)
		}
		if s.Distribution == Uniform {
			return errSlotUniform
		}
		if err := p.time(o, &s.Delay); err != nil {
			return err
		}
		if err := p.time(o, &s.Jitter); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown slot parameter %q: want %s", word, o.usage)
	}
	if p.keyword("packets") {
		if err := p.packets(o, 0, &s.Packets); err != nil {
			return err
		}
	}
	if p.keyword("bytes") {
		if word, err = p.value(o); err != nil {
			return err
		}
		if s.Bytes, err = parseSize(word); err != nil {
			return about(o, err)
		}
	}
	return s.check()
}

func (p *specParser) queue(o option) error {
	q := &p.i.Queue
	word, err := p.value(o)
	if err != nil {
		return err
	}
	q.Kind = QueueKind(word)
	switch q.Kind {
	case TokenBucket:
		if word, err = p.value(o); err != nil {
			return err
		}
		if q.Burst, err = parseSize(word); err != nil {
			return about(o, err)
		}
		if q.Burst == 0 {
			return fmt.Errorf("queue: a burst of %q lets nothing through: want 1 byte or more", word)
		}
		return nil
	case CoDel:
		for len(p.words) > 0 {
			var to *time.Duration
			switch p.words[0] {
			case "target":
				to = &q.Target
			case "interval":
				to = &q.Interval
			default:
				return nil
			}
			name := p.words[0]
			p.words = p.words[1:]
			if *to != 0 {
				return fmt.Errorf("queue: %s given twice", name)
			}
			if err := p.time(o, to); err != nil {
				return err
			}
			if *to == 0 {
				return fmt.Errorf("queue: a %s of 0 drops everything: want a time above 0", name)
			}
		}
		return nil
	}
	return fmt.Errorf("unknown queue %q: want tbf or codel", word)
}

func (p *specParser) trace(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if p.foreign {
		return fmt.Errorf("trace %q: %w", word, ErrFile)
	}
	if _, err := traceFiles.refresh(word); err != nil {
		return fmt.Errorf("trace %w", err)
	}
	p.i.Trace = word
	return nil
}

func (p *specParser) seed(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	p.i.Seed, err = strconv.ParseUint(word, 10, 64)
	if err != nil || p.i.Seed == 0 {
		return fmt.Errorf("seed: %q is not a seed: want a whole number from 1 to %d", word, uint64(math.MaxUint64))
	}
	return nil
}

func (p *specParser) packets(o option, least uint32, to *uint32) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(word, 10, 32)
	if err != nil || uint32(n) < least {
		return fmt.Errorf("%s: %q is not a number of packets: want a whole number from %d to %d", o.name, word, least, uint32(math.MaxUint32))
	}
	*to = uint32(n)
	return nil
}

func (p *specParser) gap(o option) error   { return p.packets(o, 0, &p.i.Gap) } // 0 is none, as in tc
func (p *specParser) limit(o option) error { return p.packets(o, 1, &p.i.Limit) }
