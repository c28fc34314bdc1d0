package tc

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Filter picks the packets that meet a netem; the others pass beside it. Its
// zero value picks all.
type Filter struct {
	Source, Destination         netip.Prefix // invalid: any
	Protocol                    uint8        // of IP; 0: any
	SourcePort, DestinationPort uint16       // of TCP or UDP; 0: any
	Port                        uint16       // either of them, so that it picks both ways; 0: any
}

const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

var protocolNames = map[string]uint8{"tcp": protocolTCP, "udp": protocolUDP, "icmp": protocolICMP, "icmpv6": protocolICMPv6}

// ParseFilter reads a filter:
//
//	[src ADDRESS[/LENGTH]] [dst ADDRESS[/LENGTH]]
//	[proto tcp|udp|icmp|icmpv6|NUMBER] [sport PORT] [dport PORT] [port PORT]
func ParseFilter(s string) (f Filter, err error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return f, errors.New("an empty filter: want src, dst, proto, sport, dport or port with a value each")
	}
	seen := map[string]bool{}
	for len(words) > 0 {
		name := words[0]
		if seen[name] {
			return f, fmt.Errorf("%s stands twice", name)
		}
		seen[name] = true
		if len(words) == 1 {
			return f, fmt.Errorf("%s without a value: want src, dst, proto, sport, dport or port with a value each", name)
		}
		value := words[1]
		words = words[2:]
		switch name {
		case "src":
			f.Source, err = parsePrefix(value)
		case "dst":
			f.Destination, err = parsePrefix(value)
		case "proto":
			f.Protocol, err = parseProtocol(value)
		case "sport":
			f.SourcePort, err = parsePort(value)
		case "dport":
			f.DestinationPort, err = parsePort(value)
		case "port":
			f.Port, err = parsePort(value)
		default:
			return f, fmt.Errorf("%q is unknown: want src, dst, proto, sport, dport or port with a value each", name)
		}
		if err != nil {
			return f, fmt.Errorf("%s %s: %w", name, value, err)
		}
	}
	if f.ports() && f.Protocol != 0 && f.Protocol != protocolTCP && f.Protocol != protocolUDP {
		return f, errors.New("ports are of TCP and UDP: want proto tcp or udp beside them, or none")
	}
	if f.Port != 0 && (f.SourcePort != 0 || f.DestinationPort != 0) {
		return f, errors.New("port is either of the two: sport and dport cannot stand beside it")
	}
	if len(f.rules()) == 0 {
		return f, errors.New("no packet has an address of IPv4 and one of IPv6")
	}
	return f, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if !p.Addr().Is4In6() {
			return p.Masked(), nil
		}
	} else if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, errors.New("want an address, as 10.0.0.5, 10.0.0.0/24 or 2001:db8::1")
}

func parseProtocol(s string) (uint8, error) {
	if n, ok := protocolNames[s]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 {
		return 0, errors.New("want tcp, udp, icmp, icmpv6 or a number from 1 to 255")
	}
	return uint8(n), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("want a port from 1 to 65535")
	}
	return uint16(n), nil
}

// All says that the filter picks every packet.
func (f Filter) All() bool { return f == Filter{} }

func (f Filter) ports() bool { return f.SourcePort != 0 || f.DestinationPort != 0 || f.Port != 0 }

// String is the filter in the words that ParseFilter reads.
func (f Filter) String() string {
	var words []string
	add := func(name string, value any) { words = append(words, name, fmt.Sprint(value)) }
	prefix := func(name string, p netip.Prefix) {
		switch {
		case !p.IsValid():
		case p.IsSingleIP():
			add(name, p.Addr())
		default:
			add(name, p)
		}
	}
	prefix("src", f.Source)
	prefix("dst", f.Destination)
	if f.Protocol != 0 {
		add("proto", protocolName(f.Protocol))
	}
	if f.SourcePort != 0 {
		add("sport", f.SourcePort)
	}
	if f.DestinationPort != 0 {
		add("dport", f.DestinationPort)
	}
	if f.Port != 0 {
		add("port", f.Port)
	}
	return strings.Join(words, " ")
}

func protocolName(n uint8) string {
	for name, x := range protocolNames {
		if x == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

// rule is a part of a filter that one flower filter can be: of one family and,
// with ports, of one protocol.
type rule struct {
	ipv6                bool
	protocol            uint8
	source, destination uint16 // ports
}

// rules are the parts of the filter.
func (f Filter) rules() []rule {
	var all []rule
	for _, ipv6 := range []bool{false, true} {
		fits := true
		for _, p := range []netip.Prefix{f.Source, f.Destination} {
			fits = fits && (!p.IsValid() || p.Addr().Is6() == ipv6)
		}
		if !fits || f.Protocol == protocolICMP && ipv6 || f.Protocol == protocolICMPv6 && !ipv6 {
			continue
		}
		protocols := []uint8{f.Protocol}
		if f.Protocol == 0 && f.ports() {
			protocols = []uint8{protocolTCP, protocolUDP}
		}
		for _, p := range protocols {
			if f.Port != 0 {
				all = append(all, rule{ipv6, p, f.Port, 0}, rule{ipv6, p, 0, f.Port})
			} else {
				all = append(all, rule{ipv6, p, f.SourcePort, f.DestinationPort})
			}
		}
	}
	return all
}

// words is the rule in tc's.
func (f Filter) words(r rule) string {
	s := "protocol ip flower"
	if r.ipv6 {
		s = "protocol ipv6 flower"
	}
	if r.protocol != 0 {
		s += " ip_proto " + protocolName(r.protocol)
	}
	if f.Source.IsValid() {
		s += " src_ip " + f.Source.String()
	}
	if f.Destination.IsValid() {
		s += " dst_ip " + f.Destination.String()
	}
	if r.source != 0 {
		s += fmt.Sprintf(" src_port %d", r.source)
	}
	if r.destination != 0 {
		s += fmt.Sprintf(" dst_port %d", r.destination)
	}
	return s
}
