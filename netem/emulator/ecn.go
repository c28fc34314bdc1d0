package emulator

// The ECN field is the low two bits of IPv4's TOS and of IPv6's traffic class
// (RFC 3168 §5): 00 is not capable, 11 is congestion experienced.
const (
	ecnMask  = 0b11
	ecnMet   = 0b11
	ecnShift = 4 // of the field in IPv6's second byte
)

// ecnCapable says whether the train's packets may be marked.
func (t *train) ecnCapable() bool {
	ip := t.frame[t.network:]
	if t.ipv6 {
		return ip[1]>>ecnShift&ecnMask != 0
	}
	return ip[1]&ecnMask != 0
}

// mark tells a packet, from its IP header on, that it met congestion.
func mark(ip []byte, ipv6 bool) {
	if ipv6 {
		ip[1] |= ecnMet << ecnShift
		return
	}
	ip[1] |= ecnMet
	checksumIPv4(ip[:int(ip[0]&15)*4])
}
