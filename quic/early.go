package quic

import (
	quicgo "github.com/quic-go/quic-go"

	"netcmp/transport"
)

// earlyMax is how many bytes may be sent before the handshake is done: the initial
// window of RFC 9002 §7.2, which is TCP's, too (RFC 6928). quic-go would send 32
// packets. If then the one of its two first packets is lost, and the other is
// acknowledged, the loss makes the congestion window smaller than what is under way,
// which nothing acknowledges without that packet; and quic-go sends it again neither
// by the window nor, since it is no longer outstanding, by its timer
// (OnLossDetectionTimeout): the handshake never ends. What is no more than this
// leaves room for it.
const earlyMax = 14720

// earlyHeaders is what a message in a packet of its own costs beside its bytes.
const earlyHeaders = 64

// room is how many of n bytes of a message may be sent now.
func (l *link) room(n int) int {
	select {
	case <-l.session.HandshakeComplete():
		return n
	default:
	}
	m := max(min(n, earlyMax-l.early-earlyHeaders), 0)
	l.early += m + earlyHeaders
	return m
}

// awaitHandshake waits until it is done.
func (l *link) awaitHandshake() error {
	select {
	case <-l.session.HandshakeComplete():
		return nil
	case <-l.session.Context().Done():
		return transport.ErrPeerGone
	case <-l.ended.Done():
		return transport.ErrClosed
	}
}

// write writes to a stream. What may not be sent before the handshake is done waits
// for that.
func (l *link) write(out *quicgo.SendStream, b []byte) (n int, err error) {
	now := l.room(len(b))
	if now > 0 {
		if n, err = out.Write(b[:now]); err != nil {
			return n, err
		}
	}
	if now == len(b) {
		return n, nil
	}
	if err := l.awaitHandshake(); err != nil {
		return n, err
	}
	more, err := out.Write(b[now:])
	return n + more, err
}
