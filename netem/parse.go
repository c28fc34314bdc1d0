package netem

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads an impairment from the arguments of tc's netem:
//
//	delay TIME [JITTER]   (or latency)   distribution normal|uniform
//	loss [random] PERCENT (or drop)      duplicate PERCENT
//	corrupt PERCENT                      reorder PERCENT [gap N]
//	rate RATE                            limit PACKETS
//
// in any order, each keyword whole or shortened as tc allows. The empty
// specification is a clean impairment. What tc understands beyond this is an
// [ErrNotSupported].
//
// It refuses what tc refuses, for the same reason. It is stricter where tc is
// silent and the path would not be the one that was written: a word given
// twice, of which tc takes the last; a rate below a byte a second, which the
// kernel takes for none; a limit of 0, which drops every packet; a jitter above
// MaxJitter, which the kernel cuts; a limit with a suffix of bytes; hexadecimal
// and other spellings of C's strtod.
func Parse(spec string) (Impairment, error) {
	p := specParser{words: strings.Fields(spec), given: map[string]bool{}}
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
		if err := o.parse(&p, o); err != nil {
			return Impairment{}, err
		}
	}
	i := p.i.canonical()
	if p.given["distribution"] && (i.Delay == 0 || i.Jitter == 0) {
		return Impairment{}, errDistributionNeedsJitter // for uniform too, which Validate cannot tell from none
	}
	if err := i.Validate(); err != nil {
		return Impairment{}, err
	}
	return i, nil
}

// A specParser goes through the words of a specification.
type specParser struct {
	words []string // those not read yet
	given map[string]bool
	i     Impairment
}

// An option is a keyword and how to read what follows it.
type option struct {
	name  string
	usage string
	parse func(*specParser, option) error
}

// options are in the order in which tc tries them, which decides what a
// shortened word means: d is delay and r is reorder.
var options = []struct {
	word string
	option
}{
	{"limit", option{"limit", "limit PACKETS", (*specParser).limit}},
	{"latency", delayOption},
	{"delay", delayOption},
	{"loss", lossOption},
	{"drop", lossOption},
	{"seed", unsupportedOption("seed")},
	{"ecn", unsupportedOption("ecn")},
	{"reorder", option{"reorder", "reorder PERCENT", (*specParser).reorder}},
	{"corrupt", option{"corrupt", "corrupt PERCENT", (*specParser).corrupt}},
	{"gap", option{"gap", "gap PACKETS", (*specParser).gap}},
	{"duplicate", option{"duplicate", "duplicate PERCENT", (*specParser).duplicate}},
	{"distribution", option{"distribution", "distribution normal|uniform", (*specParser).distribution}},
	{"rate", option{"rate", "rate RATE", (*specParser).rate}},
	{"slot", unsupportedOption("slot")},
}

var (
	delayOption = option{"delay", "delay TIME [JITTER]", (*specParser).delay}
	lossOption  = option{"loss", "loss [random] PERCENT", (*specParser).loss}
)

func unsupportedOption(name string) option {
	return option{name: name, parse: func(*specParser, option) error {
		return fmt.Errorf("%w: %s", ErrNotSupported, name)
	}}
}

// findOption returns the first option that the word begins (tc's matches).
func findOption(word string) (option, bool) {
	for _, o := range options {
		if strings.HasPrefix(o.word, word) {
			return o.option, true
		}
	}
	return option{}, false
}

func knownOptions() string {
	var names []string
	for _, o := range options {
		if o.word == o.name && o.usage != "" {
			names = append(names, o.name)
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

// noMore refuses a number where tc has a parameter that is not supported.
func (p *specParser) noMore(o option, parameter string) error {
	if word, ok := p.number(); ok {
		return fmt.Errorf("%w: %s %s %q", ErrNotSupported, o.name, parameter, word)
	}
	return nil
}

// about says which option an error is about.
func about(o option, err error) error { return fmt.Errorf("%s: %w", o.name, err) }

func (p *specParser) delay(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if p.i.Delay, err = ParseDuration(word); err != nil {
		return about(o, err)
	}
	if word, ok := p.number(); ok {
		if p.i.Jitter, err = ParseDuration(word); err != nil {
			return fmt.Errorf("jitter: %w", err)
		}
	}
	return p.noMore(o, "correlation")
}

func (p *specParser) loss(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	switch word {
	case "random":
		if word, err = p.value(o); err != nil {
			return err
		}
	case "state", "gemodel":
		return fmt.Errorf("%w: loss %s", ErrNotSupported, word)
	default:
		if !isNumber(word) {
			return fmt.Errorf("unknown loss parameter %q: want loss [random] PERCENT", word)
		}
	}
	probability, err := ParsePercent(word)
	if err != nil {
		return about(o, err)
	}
	p.i.Loss = RandomLoss(probability)
	return p.noMore(o, "correlation")
}

func (p *specParser) percent(o option, to *Probability) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if *to, err = ParsePercent(word); err != nil {
		return about(o, err)
	}
	return p.noMore(o, "correlation")
}

func (p *specParser) duplicate(o option) error { return p.percent(o, &p.i.Duplicate) }
func (p *specParser) corrupt(o option) error   { return p.percent(o, &p.i.Corrupt) }
func (p *specParser) reorder(o option) error   { return p.percent(o, &p.i.Reorder) }

func (p *specParser) distribution(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	p.i.Distribution, err = ParseDistribution(word)
	return err
}

func (p *specParser) rate(o option) error {
	word, err := p.value(o)
	if err != nil {
		return err
	}
	if p.i.Rate, err = ParseRate(word); err != nil {
		return about(o, err)
	}
	return p.noMore(o, "packet overhead")
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
