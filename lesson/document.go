package lesson

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"netcmp/capture"
	"netcmp/result"
)

// Schema names the form of a Document.
const Schema = "netcmp.lesson/v1"

// Document is a lesson as it went.
type Document struct {
	Schema   string      `json:"schema"`
	Tool     result.Tool `json:"tool"`
	Name     string      `json:"name"`
	Title    string      `json:"title"`
	Language Language    `json:"language,omitempty"` // of titles and sentences; left out, English
	Claims   []*Claim    `json:"claims,omitempty"`   // that are tried in the scenes
	Quick    bool        `json:"quick,omitempty"`    // what takes a minute was not waited for
	Scenes   []*Scene    `json:"scenes"`

	options Options
}

// Scene is a part of a lesson: one conversation through one path.
type Scene struct {
	Title      string      `json:"title"`
	Up         string      `json:"up"` // the path, in netem's words
	Down       string      `json:"down"`
	Steps      []Step      `json:"steps"`
	Assertions []Assertion `json:"assertions"`
	States     []State     `json:"states,omitempty"` // of both ends' sockets, in the order of time
	Table      []Row       `json:"table,omitempty"`
	Packets    []Packet    `json:"packets"`
	Left       int         `json:"packets_left,omitempty"` // that are not among them
	LateNS     int64       `json:"late_ns"`                // how late this machine ran the scene's processes at most

	Ladder *capture.Ladder `json:"-"`
	Axis   string          `json:"-"` // a drawing in text beside the ladder

	language Language
}

// Step is a sentence and the figure that it stands on.
type Step struct {
	Text   string `json:"text"`
	Figure Figure `json:"figure"`
}

// Figure is what was measured.
type Figure struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
	Unit  string `json:"unit"` // "ns", "packets", "bytes"; "" for a bare number
}

// Row is a row of a scene's table: the same figures of one thing after the other.
type Row struct {
	Name    string   `json:"name"`
	Figures []Figure `json:"figures"`
}

// Assertion is something that the lesson teaches, held against what was measured.
type Assertion struct {
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Measured string `json:"measured"`
	Holds    bool   `json:"holds"`
	// Disturbed says that it does not hold and that this machine disturbed the scene,
	// so that nothing follows from it.
	Disturbed bool `json:"disturbed,omitempty"`
	Timed     bool `json:"timed"` // it rests on how punctual the machine is, too
}

// Packet is a packet on its way from one host to the other.
type Packet struct {
	Up        bool     `json:"up"`         // from the client to the server
	SentNS    *int64   `json:"sent_ns"`    // wall clock
	ArrivedNS *int64   `json:"arrived_ns"` // null: it was lost
	Src       string   `json:"src"`
	Dst       string   `json:"dst"`
	Proto     string   `json:"proto"`
	TTL       uint8    `json:"ttl"`
	Length    int      `json:"length"` // of what it carries
	TCP       *Segment `json:"tcp,omitempty"`
	ICMP      string   `json:"icmp,omitempty"`
	Comment   string   `json:"comment,omitempty"`
}

// Segment is what a TCP header says.
type Segment struct {
	Flags   string   `json:"flags"`
	Seq     uint32   `json:"seq"`
	Ack     *uint32  `json:"ack"` // null without the ACK flag
	RelSeq  uint32   `json:"rel_seq"`
	RelAck  *uint32  `json:"rel_ack"`
	Window  uint16   `json:"window"`
	Options []string `json:"options"`
}

// disturbed marks what does not hold in a scene whose processes this machine ran late.
func (s *Scene) disturbed(late time.Duration) {
	s.LateNS = int64(late)
	for i := range s.Assertions {
		a := &s.Assertions[i]
		a.Disturbed = !a.Holds && late > lateMax
	}
}

// Disturbed counts the assertions of Failed that this machine disturbed.
func (d *Document) Disturbed() (n int) {
	for _, a := range d.Failed() {
		if a.Disturbed {
			n++
		}
	}
	return n
}

// Failed are the assertions that do not hold.
func (d *Document) Failed() (failed []Assertion) {
	for _, s := range d.Scenes {
		for _, a := range s.Assertions {
			if !a.Holds {
				failed = append(failed, a)
			}
		}
	}
	return failed
}

// words are a scene's title in the document's language.
func (d *Document) words(format string, args ...any) string {
	return fmt.Sprintf(d.options.Language.words(format), args...)
}

// language is the document's; English is left out of it.
func (d *Document) language() Language { return cmp.Or(d.options.Language, English) }

// say adds a sentence and its figure.
func (s *Scene) say(f Figure, format string, args ...any) {
	s.Steps = append(s.Steps, Step{fmt.Sprintf(s.language.words(format), args...), f})
}

// check adds an assertion.
func (s *Scene) check(name, expected, measured string, holds bool) {
	s.Assertions = append(s.Assertions, Assertion{Name: name, Expected: expected, Measured: measured, Holds: holds})
}

// timed adds an assertion on times, which a machine that is late can spoil.
func (s *Scene) timed(name, expected, measured string, holds bool) {
	s.Assertions = append(s.Assertions, Assertion{Name: name, Expected: expected, Measured: measured, Holds: holds, Timed: true})
}

// equal asserts that something is what it is expected to be.
func equal[T comparable](s *Scene, name string, expected, measured T) {
	s.check(name, fmt.Sprint(expected), fmt.Sprint(measured), expected == measured)
}

// between asserts that a time lies in bounds, which belong to it.
func (s *Scene) between(name string, least, most, measured time.Duration) {
	s.timed(name, ms(least)+" to "+ms(most), ms(measured), least <= measured && measured <= most)
}

// crosses asserts that a packet was under way for the path's delay, and not for a
// round trip: how late a path may be belongs to the machine.
func (s *Scene) crosses(what string, c *capture.Crossing) {
	s.between(what+" is under way for the path's delay", delay, 2*delay, since(sent(c), arrived(c)))
}

// answers asserts that a packet is answered at once by a host that has it.
func (s *Scene) answers(what string, c, answer *capture.Crossing) {
	s.between(what, 0, punctual, since(arrived(c), sent(answer)))
}

// mostDrawn is how many packets of a scene are shown whose number says more than each
// of them.
const mostDrawn = 40

// abridge leaves out the packets behind the first so many.
func (s *Scene) abridge(most int) {
	if over := len(s.Packets) - most; over > 0 {
		s.Packets, s.Left = s.Packets[:most], over
		s.Ladder.Rungs, s.Ladder.Left = s.Ladder.Rungs[:most], over
	}
}

// median is the middle of some times, the later of two; of none it is 0.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// took is a figure that is a time.
func took(name string, d time.Duration) Figure { return Figure{name, int64(d), "ns"} }

// packets is a figure that is a number of packets.
func packets(name string, n int) Figure { return Figure{name, int64(n), "packets"} }

// ms writes a time in milliseconds, to the microsecond.
func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/1e6, 'f', 3, 64) + " ms"
}

// newPacket is a crossing for the document.
func newPacket(c *capture.Crossing) Packet {
	p := c.Packet()
	x := Packet{
		Up: c.Up, Src: p.Src.String(), Dst: p.Dst.String(), Proto: p.Proto, TTL: p.TTL,
		Length: p.Length, ICMP: p.ICMP, Comment: p.Comment,
	}
	if c.Sent != nil {
		x.SentNS = &c.Sent.At
	}
	if c.Arrived != nil {
		x.ArrivedNS = &c.Arrived.At
	}
	if t := p.TCP; t != nil {
		x.TCP = &Segment{Flags: t.Flags.String(), Seq: t.Seq, RelSeq: t.RelSeq, Window: t.Window, Options: options(t)}
		if t.Flags&capture.ACK != 0 {
			x.TCP.Ack, x.TCP.RelAck = &t.Ack, &t.RelAck
		}
	}
	return x
}
