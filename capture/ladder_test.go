package capture

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var update = flag.Bool("update", false, "write the golden files anew")

// made is a conversation that nobody held: a connection, three messages of which
// the second is lost and sent again, a copy that the path makes, a packet that it
// changes, and the close.
func made(t *testing.T) []Packet {
	t.Helper()
	return seenAt(madeFrames(t), Client, Server)
}

// seenAt is what a capture at these devices tells of packets.
func seenAt(packets []Packet, devices ...string) []Packet {
	x := Capture{config: Config{Keep: len(packets)}, decoder: newDecoder(), commenter: newCommenter(Framing{Proto: "tcp", Size: 100}, devices)}
	for _, device := range devices {
		x.taps = append(x.taps, &tap{device: device, kept: true})
	}
	for _, p := range packets {
		if slices.Contains(devices, p.Device) {
			x.waiting = append(x.waiting, p)
		}
	}
	x.order(1<<63 - 1)
	return x.packets
}

// TestCommentsOfOneDevice: what is said of a packet does not depend on who else looks at
// packets; only that a segment was sent before is not known where its first sending is
// not seen.
func TestCommentsOfOneDevice(t *testing.T) {
	frames := madeFrames(t)
	all := seenAt(frames, Client, Server)
	for _, device := range []string{Client, Server} {
		one := seenAt(frames, device)
		for i := range all {
			want := all[i]
			if want.Device != device {
				continue
			}
			comment := want.Comment
			if !want.Out {
				comment = strings.TrimPrefix(comment, "retransmission of ")
			}
			if one[0].At != want.At || one[0].Comment != comment {
				t.Errorf("%s: %v, want the comment %q", device, &one[0], comment)
			}
			one = one[1:]
		}
	}
}

// madeFrames are the packets of made, not yet decoded.
func madeFrames(t *testing.T) []Packet {
	t.Helper()
	var j, k uint32 = 4_294_967_290, 1000 // the client's numbers pass their end
	var packets []Packet
	id := uint16(0)
	say := func(up bool, at, takes float64, flags Flags, seq, ack uint32, length int) {
		id++
		frame := segment(t, up, id, flags, seq, ack, length)
		from, to := Client, Server
		if !up {
			from, to = to, from
		}
		packets = append(packets, Packet{Device: from, At: instant(at), Out: true, Frame: frame})
		if takes >= 0 {
			packets = append(packets, Packet{Device: to, At: instant(at + takes), Frame: frame})
		}
	}
	say(true, 0, 25, SYN, j, 0, 0)
	say(false, 25.04, 25, SYN|ACK, k, j+1, 0)
	say(true, 50.1, 25, ACK, j+1, k+1, 0)
	say(true, 60, 25, PSH|ACK, j+1, k+1, 100)
	say(true, 80, -1, PSH|ACK, j+101, k+1, 100)
	say(false, 85.05, 25, ACK, k+1, j+101, 0)
	say(true, 100, 25, PSH|ACK, j+201, k+1, 100)
	say(false, 125.1, 25, ACK, k+1, j+101, 0)
	say(true, 170.2, 25, PSH|ACK, j+101, k+1, 100)
	say(false, 195.3, 25, ACK, k+1, j+301, 0)
	again := packets[len(packets)-1]
	again.At += 300_000
	packets = append(packets, again)
	changed := Packet{Device: Server, At: instant(220), Frame: segment(t, true, 999, ACK, j+301, k+1, 0)}
	packets = append(packets, changed)
	say(true, 250, 25, FIN|ACK, j+301, k+1, 0)
	say(false, 275.1, 25, FIN|ACK, k+1, j+302, 0)
	say(true, 300.2, 25, ACK, j+302, k+2, 0)

	return packets
}

func instant(ms float64) int64 { return 1_700_000_000_000_000_000 + int64(ms*1e6) }

// segment is a frame between the two hosts.
func segment(t *testing.T, up bool, id uint16, flags Flags, seq, ack uint32, length int) []byte {
	t.Helper()
	client, server := netip.MustParseAddrPort("198.18.0.1:40000"), netip.MustParseAddrPort("198.18.0.2:7000")
	from, to := client, server
	if !up {
		from, to = to, from
	}
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: id, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: seq, Ack: ack, Window: 500,
		FIN: flags&FIN != 0, SYN: flags&SYN != 0, RST: flags&RST != 0, PSH: flags&PSH != 0, ACK: flags&ACK != 0,
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		eth, ip, tcp, gopacket.Payload(make([]byte, length))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLadderGolden(t *testing.T) {
	all := Crossings(made(t))
	for name, draw := range map[string]func(io.Writer) error{
		"ladder.txt":        func(w io.Writer) error { return NewLadder("One message is lost", all, 0).Text(w, 0) },
		"ladder-wide.txt":   func(w io.Writer) error { return NewLadder("", all, 0).Text(w, 140) },
		"ladder-narrow.txt": func(w io.Writer) error { return NewLadder("", all, 5).Text(w, 60) },
		"ladder.svg":        NewLadder("One message is lost", all, 0).SVG,
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := draw(&b); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (go test -update writes it)", err)
			}
			if b.String() != string(want) {
				t.Errorf("%s differs\n--- got\n%s--- want\n%s", name, b.String(), want)
			}
		})
	}
}

// TestLadderLaws: no line of a ladder is wider than it may be, every packet has
// one, and the lost ones have their ×; the drawing is sound XML with as many
// arrows.
func TestLadderLaws(t *testing.T) {
	all := Crossings(made(t))
	lawful(t, all)
}

func lawful(t *testing.T, all []Crossing) {
	t.Helper()
	lost := 0
	for i := range all {
		if all[i].Lost() {
			lost++
		}
	}
	l := NewLadder("A conversation", all, 0)
	for _, width := range []int{48, 60, 80, 100, 132, 200} {
		var b strings.Builder
		if err := l.Text(&b, width); err != nil {
			t.Fatal(err)
		}
		arrows := strings.Count(b.String(), "▶") + strings.Count(b.String(), "◀")
		if arrows != len(all)-lost || strings.Count(b.String(), "×") != lost {
			t.Errorf("at %d: %d arrows and %d crosses for %d packets of which %d are lost", width, arrows, strings.Count(b.String(), "×"), len(all), lost)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if columns(line) > width || strings.TrimRight(line, " ") != line {
				t.Errorf("at %d: %q has %d columns", width, line, columns(line))
			}
		}
	}
	var b strings.Builder
	if err := l.SVG(&b); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					count[a.Value]++
				}
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s: %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	if count["way"] != len(all) || count["cross"] != lost || count["end"] != len(all)-lost {
		t.Errorf("the drawing has %d arrows, %d crosses and %d heads for %d packets of which %d are lost",
			count["way"], count["cross"], count["end"], len(all), lost)
	}
}
