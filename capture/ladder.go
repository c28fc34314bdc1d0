package capture

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Ladder is a conversation drawn as two poles and an arrow a packet: on the left
// the client, on the right the server, downwards time. A lost packet's arrow ends
// in ×.
type Ladder struct {
	Title  string
	Origin int64 // that times count from, CLOCK_REALTIME, ns; 0: the first packet
	Rungs  []Rung
	Left   int // packets that are not drawn
}

// Rung is a packet of a ladder.
type Rung struct {
	Up             bool
	Sent, Arrived  int64 // CLOCK_REALTIME, ns; 0: not seen
	Copy           bool
	Src, Dst       netip.AddrPort
	What           string // flags, or what else it is
	Seq, Ack       string // relative and absolute; "" where there are none
	Length         int
	Comment        string
	relSeq, relAck string
}

// NewLadder draws the crossings, at most so many of them; 0 is all.
func NewLadder(title string, crossings []Crossing, most int) *Ladder {
	l := &Ladder{Title: title}
	for i := range crossings {
		if most > 0 && i == most {
			l.Left = len(crossings) - most
			break
		}
		l.Rungs = append(l.Rungs, newRung(&crossings[i]))
	}
	return l
}

func newRung(c *Crossing) Rung {
	p := c.Packet()
	r := Rung{Up: c.Up, Copy: c.Copy, Src: p.Src, Dst: p.Dst, Length: p.Length, Comment: p.Comment}
	if c.Sent != nil {
		r.Sent = c.Sent.At
	}
	if c.Arrived != nil {
		r.Arrived = c.Arrived.At
	}
	switch {
	case p.TCP != nil:
		t := p.TCP
		r.What = t.Flags.String()
		r.relSeq, r.Seq = numberPair("seq", t.RelSeq, t.Seq)
		if t.Flags&ACK != 0 {
			r.relAck, r.Ack = numberPair("ack", t.RelAck, t.Ack)
		}
	case p.ICMP != "":
		r.What = "ICMP " + p.ICMP
	case p.Proto != "":
		r.What = strings.ToUpper(p.Proto)
	default:
		r.What = "packet"
	}
	return r
}

// numberPair writes a sequence number from where its direction began, and with
// what stands in the header beside it.
func numberPair(name string, relative, absolute uint32) (short, long string) {
	short = name + " " + strconv.FormatUint(uint64(relative), 10)
	return short, short + " (" + strconv.FormatUint(uint64(absolute), 10) + ")"
}

// From is the instant that times count from: Origin, or the first packet's.
func (l *Ladder) From() int64 {
	if l.Origin != 0 || len(l.Rungs) == 0 {
		return l.Origin
	}
	r := &l.Rungs[0]
	if r.Sent != 0 {
		return r.Sent
	}
	return r.Arrived
}

// milliseconds writes an instant of the ladder; "" for one that was not seen.
func (l *Ladder) milliseconds(at int64) string {
	if at == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(at-l.From())/1e6, 'f', 3, 64)
}

// ends are the times at the client and at the server.
func (l *Ladder) ends(r *Rung) (client, server string) {
	if r.Up {
		return l.milliseconds(r.Sent), l.milliseconds(r.Arrived)
	}
	return l.milliseconds(r.Arrived), l.milliseconds(r.Sent)
}

// fate is what became of a packet beyond that it crossed.
func (r *Rung) fate() string {
	switch {
	case r.Arrived == 0:
		return "lost"
	case r.Copy:
		return "a copy that the path made"
	case r.Sent == 0:
		return "changed on the way"
	}
	return ""
}

// labels are what an arrow may be told by, the fullest first.
func (r *Rung) labels() []string {
	join := func(parts ...string) string {
		var kept []string
		for _, p := range parts {
			if p != "" {
				kept = append(kept, p)
			}
		}
		return strings.Join(kept, ", ")
	}
	length := ""
	if r.Length > 0 || r.Seq == "" {
		length = "len " + strconv.Itoa(r.Length)
	}
	note := r.Comment
	if f := r.fate(); f == "lost" && note == "" {
		note = f
	} else if f != "" {
		note = join(note, f)
	}
	return []string{
		join(r.What, r.Seq, r.Ack, length, note),
		join(r.What, r.relSeq, r.relAck, length, note),
		join(r.What, r.relSeq, r.relAck, length),
		r.What,
	}
}

// peers are the two ends' addresses, as the first packet has them.
func (l *Ladder) peers() (client, server string) {
	client, server = "client", "server"
	for i := range l.Rungs {
		r := &l.Rungs[i]
		if !r.Src.IsValid() {
			continue
		}
		from, to := address(r.Src), address(r.Dst)
		if !r.Up {
			from, to = to, from
		}
		return client + " " + from, server + " " + to
	}
	return client, server
}

func address(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// The least widths of a ladder's text: of the column of times, and of an arrow.
const (
	timeWidth  = 10
	arrowWidth = 24
	// usualWidth is that of a ladder that nobody gave a width.
	usualWidth = 100
)

// Text writes the ladder for a terminal that is so many columns wide; 0 is a
// usual one. What does not fit on an arrow is left out: first the absolute
// numbers, then the comment.
func (l *Ladder) Text(w io.Writer, width int) error {
	if width <= 0 {
		width = usualWidth
	}
	times := timeWidth
	for i := range l.Rungs {
		client, server := l.ends(&l.Rungs[i])
		times = max(times, len(client), len(server))
	}
	room := max(width-2*times-4, arrowWidth)
	var b strings.Builder
	line := func(left, middle, right string) {
		text := fmt.Sprintf("%*s %s %s", times, left, middle, right)
		b.WriteString(strings.TrimRight(text, " "))
		b.WriteByte('\n')
	}
	if l.Title != "" {
		b.WriteString(l.Title + "\n\n")
	}
	client, server := l.peers()
	if gap := room + 2 - columns(client) - columns(server); gap > 0 {
		line("ms", client+strings.Repeat(" ", gap)+server, "ms")
	} else {
		line("ms", "client"+strings.Repeat(" ", room+2-len("clientserver"))+"server", "ms")
	}
	for i := range l.Rungs {
		r := &l.Rungs[i]
		client, server := l.ends(r)
		line(client, "│"+r.arrow(room)+"│", server)
	}
	if l.Left > 0 {
		line("", fmt.Sprintf("… and %d more packets", l.Left), "")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// arrow draws the packet's way on so many columns.
func (r *Rung) arrow(room int) string {
	label := ""
	for _, label = range r.labels() {
		if columns(label)+6 <= room {
			break
		}
	}
	if runes := []rune(label); len(runes)+6 > room {
		label = string(runes[:max(room-6, 0)])
	}
	lost := r.Arrived == 0
	// A lost packet gets as far as the middle, or its label does.
	length := room
	if lost {
		length = max(room*3/5, columns(label)+6)
	}
	shaft := length - columns(label) - 3 // less its head and the spaces beside the label
	before := max(shaft/2, 1)
	after := max(shaft-before, 1)
	head := "▶"
	if !r.Up {
		head = "◀"
	}
	if lost {
		head = "×"
	}
	gap := strings.Repeat(" ", max(room-length, 0))
	if r.Up {
		return strings.Repeat("─", before) + " " + label + " " + strings.Repeat("─", after) + head + gap
	}
	return gap + head + strings.Repeat("─", before) + " " + label + " " + strings.Repeat("─", after)
}

// columns counts the terminal columns of text, none of which is wide here.
func columns(s string) int { return utf8.RuneCountInString(s) }
