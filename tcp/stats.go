package tcp

import (
	"math"
	"strconv"

	"golang.org/x/sys/unix"

	"netcmp/result"
	"netcmp/transport"
	"netcmp/transport/socket"
)

// Stats asks the socket; after Close it gives what was last known.
func (c *Conn) Stats() transport.Stats {
	c.counting.Lock()
	defer c.counting.Unlock()
	if !c.final {
		c.refresh()
	}
	s := c.last
	if p, ok := c.channel.(*plain); ok {
		s.SendCalls, s.ReceiveCalls = p.writes.meter.Cost(), p.reads.meter.Cost()
	}
	return s
}

// refresh leaves last as it is when the socket does not answer.
func (c *Conn) refresh() {
	_ = c.raw.Control(func(handle uintptr) {
		fd := int(handle)
		s := transport.Stats{Congestion: congestion(fd), Connected: c.connected, Secured: c.secured, Resumed: c.resumed}
		s.SendBuffer, s.ReceiveBuffer = socket.Buffers(fd)
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			s.TCPInfo = tcpInfo(info)
			s.Retransmitted = new(int64(info.Total_retrans))
		}
		c.last = s
	})
}

// tcpInfo translates struct tcp_info of linux/tcp.h, whose times are
// microseconds and whose delivery rate is bytes a second.
func tcpInfo(i *unix.TCPInfo) *result.TCPInfo {
	const us = 1000
	minRTT := i.Min_rtt
	if minRTT == math.MaxUint32 {
		minRTT = 0 // the kernel's word for none yet
	}
	return &result.TCPInfo{
		State:           stateName(i.State),
		RTTNS:           int64(i.Rtt) * us,
		RTTVarNS:        int64(i.Rttvar) * us,
		MinRTTNS:        int64(minRTT) * us,
		RTONS:           int64(i.Rto) * us,
		SndCwnd:         i.Snd_cwnd,
		SndSsthresh:     i.Snd_ssthresh,
		SndMSS:          i.Snd_mss,
		RcvMSS:          i.Rcv_mss,
		SegsOut:         i.Segs_out,
		SegsIn:          i.Segs_in,
		BytesSent:       i.Bytes_sent,
		BytesRetrans:    i.Bytes_retrans,
		TotalRetrans:    i.Total_retrans,
		Lost:            i.Lost,
		Reordering:      i.Reordering,
		DSACKDups:       i.Dsack_dups,
		DeliveryRateBPS: i.Delivery_rate * 8,
		BusyTimeNS:      int64(i.Busy_time) * us,
		RwndLimitedNS:   int64(i.Rwnd_limited) * us,
		SndbufLimitedNS: int64(i.Sndbuf_limited) * us,
	}
}

// stateName is the kernel's name of a connection's state (net/tcp_states.h).
func stateName(state uint8) string {
	names := [...]string{
		unix.BPF_TCP_ESTABLISHED:  "ESTABLISHED",
		unix.BPF_TCP_SYN_SENT:     "SYN_SENT",
		unix.BPF_TCP_SYN_RECV:     "SYN_RECV",
		unix.BPF_TCP_FIN_WAIT1:    "FIN_WAIT1",
		unix.BPF_TCP_FIN_WAIT2:    "FIN_WAIT2",
		unix.BPF_TCP_TIME_WAIT:    "TIME_WAIT",
		unix.BPF_TCP_CLOSE:        "CLOSE",
		unix.BPF_TCP_CLOSE_WAIT:   "CLOSE_WAIT",
		unix.BPF_TCP_LAST_ACK:     "LAST_ACK",
		unix.BPF_TCP_LISTEN:       "LISTEN",
		unix.BPF_TCP_CLOSING:      "CLOSING",
		unix.BPF_TCP_NEW_SYN_RECV: "NEW_SYN_RECV",
	}
	if int(state) < len(names) && names[state] != "" {
		return names[state]
	}
	return "state " + strconv.Itoa(int(state))
}
