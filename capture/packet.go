package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Packet is a packet of a wire as one device saw it, decoded.
type Packet struct {
	Device string // of lab.Devices
	At     int64  // CLOCK_REALTIME, ns
	Out    bool   // it left by the device; else it came in
	Frame  []byte // from the Ethernet header on

	Proto    string         // "tcp", "udp", "icmp" (either version's), or "" for what is none of them
	Src, Dst netip.AddrPort // without ports where Proto has none
	TTL      uint8          // of IPv6 the hop limit
	TCP      *TCP           // nil for all others
	ICMP     string         // what it says
	Length   int            // of the transport's payload, bytes
	Comment  string         // what is known of it beyond its bytes: "message 17"
}

// TCP is a segment's header.
type TCP struct {
	Flags    Flags
	Seq, Ack uint32
	// RelSeq and RelAck count from the initial numbers of the two directions. Where no
	// SYN was seen, the first number that was is 1. RelAck is 0 without the ACK flag.
	RelSeq, RelAck uint32
	Window         uint16 // as in the header: not scaled
	Options        []layers.TCPOption
}

// Flags are the control bits of a TCP header (RFC 9293 §3.1).
type Flags uint8

// The flags.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

var flagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

// String names the flags as they are spoken of: "SYN+ACK".
func (f Flags) String() string {
	var names []string
	for _, i := range []int{1, 0, 2, 3, 4, 5, 6, 7} { // SYN before FIN, and both before ACK
		if f&(1<<i) != 0 {
			names = append(names, flagNames[i])
		}
	}
	return strings.Join(names, "+")
}

// Is says whether all of these flags are set, and no others but PSH.
func (f Flags) Is(all Flags) bool { return f&^PSH == all&^PSH }

// flow is one direction of a conversation.
type flow struct {
	proto    string
	src, dst netip.AddrPort
}

func (f flow) back() flow { return flow{f.proto, f.dst, f.src} }

func (p *Packet) flow() flow { return flow{p.Proto, p.Src, p.Dst} }

// decoder decodes packets in the order of time. It knows where the numbers of
// each direction of each conversation begin.
type decoder struct {
	first map[flow]uint32
}

func newDecoder() *decoder { return &decoder{first: map[flow]uint32{}} }

// decode fills in what the frame says. A frame that cannot be read is left as it
// is, up to where it could.
func (d *decoder) decode(p *Packet) {
	data := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true, Lazy: true})
	var src, dst netip.Addr
	switch ip := data.NetworkLayer().(type) {
	case *layers.IPv4:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		p.TTL = ip.TTL
	case *layers.IPv6:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		p.TTL = ip.HopLimit
	default:
		return
	}
	p.Src, p.Dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	ports := func(from, to uint16) {
		p.Src, p.Dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	}
	switch transport := data.TransportLayer().(type) {
	case *layers.TCP:
		p.Proto, p.Length = "tcp", len(transport.Payload)
		ports(uint16(transport.SrcPort), uint16(transport.DstPort))
		p.TCP = &TCP{
			Flags: Flags(transport.Contents[13]), Seq: transport.Seq, Ack: transport.Ack,
			Window: transport.Window, Options: transport.Options,
		}
		d.relate(p)
	case *layers.UDP:
		p.Proto, p.Length = "udp", len(transport.Payload)
		ports(uint16(transport.SrcPort), uint16(transport.DstPort))
	default:
		if icmp, ok := data.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
			p.Proto, p.ICMP, p.Length = "icmp", icmp.TypeCode.String(), len(icmp.Payload)
		} else if icmp, ok := data.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
			p.Proto, p.ICMP, p.Length = "icmp", icmp.TypeCode.String(), len(icmp.Payload)
		}
	}
}

// relate finds a segment's numbers from where they began.
func (d *decoder) relate(p *Packet) {
	t, f := p.TCP, p.flow()
	if t.Flags&SYN != 0 {
		d.first[f] = t.Seq
	} else if _, known := d.first[f]; !known {
		d.first[f] = t.Seq - 1 // its SYN would have had that
	}
	if t.Flags&ACK != 0 {
		back := f.back()
		if _, known := d.first[back]; !known {
			d.first[back] = t.Ack - 1
		}
		t.RelAck = t.Ack - d.first[back]
	}
	t.RelSeq = t.Seq - d.first[f]
}

// String is the packet on one line.
func (p *Packet) String() string {
	way := "in"
	if p.Out {
		way = "out"
	}
	text := fmt.Sprintf("%d %s %s", p.At, p.Device, way)
	if p.Src.IsValid() {
		text += fmt.Sprintf(" %v > %v %s", p.Src, p.Dst, p.Proto)
	}
	if t := p.TCP; t != nil {
		text += fmt.Sprintf(" %v seq %d ack %d", t.Flags, t.RelSeq, t.RelAck)
	}
	return fmt.Sprintf("%s len %d %s", text, p.Length, p.Comment)
}

// payload is what the transport carries of the packet; nil where it is not known.
func (p *Packet) payload() []byte {
	if p.Proto == "" || p.Length == 0 || p.Length > len(p.Frame) {
		return nil
	}
	end := len(p.Frame)
	// Behind the IP packet there may be padding.
	switch binary.BigEndian.Uint16(p.Frame[12:]) {
	case 0x0800:
		end = min(end, 14+int(binary.BigEndian.Uint16(p.Frame[16:])))
	case 0x86dd:
		end = min(end, 14+40+int(binary.BigEndian.Uint16(p.Frame[18:])))
	}
	return p.Frame[max(end-p.Length, 0):end]
}
