// Package transporttest is the one conformance suite of all transports: what
// package transport says of them, put to the proof on the loopback device. A
// transport is held to what its Properties promise and to nothing more, but
// everything that a session relies on is asked for here, so that the rest of
// netcmp can be written against the contract alone.
package transporttest

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netcmp/transport"
)

// Run puts tr to the proof over IPv4 and over IPv6; over IPv4 also with messages that
// take turns, which only those look at that do not encrypt, and one that resumes sessions
// with each of its connections resumed.
func Run(t *testing.T, tr transport.Transport) {
	for _, family := range []struct {
		name string
		host netip.Addr
	}{
		{"IPv4", netip.MustParseAddr("127.0.0.1")},
		{"IPv6", netip.IPv6Loopback()},
	} {
		if testing.Short() && family.name == "IPv6" {
			continue // the same code but for the addresses, and the first run has seen them
		}
		t.Run(family.name, func(t *testing.T) {
			s := suite{tr: tr, host: family.host, promise: tr.Properties()}
			s.requireHost(t)
			s.run(t)
			if !s.promise.Encrypted && family.host.Is4() {
				turns := s
				turns.turns = true
				t.Run("Turns", turns.run)
			}
			if s.promise.Resumes && family.host.Is4() {
				s.resume = true
				t.Run("Resumed", func(t *testing.T) {
					SkipEarlyData(t, tr)
					s.run(t)
				})
			}
		})
	}
}

// SkipEarlyData leaves early data out of the race detector's runs, which are short:
// whoever opens a stream of quic-go's or sends a datagram reads the peer's parameters
// while the handshake replaces those of the ticket by equal ones (connection.go,
// peerParams).
func SkipEarlyData(t *testing.T, tr transport.Transport) {
	t.Helper()
	if tr.Properties().EarlyData && testing.Short() {
		t.Skip("quic-go's sender and its handshake race")
	}
}

// suite is one run over one family.
type suite struct {
	tr      transport.Transport
	host    netip.Addr
	promise transport.Properties
	resume  bool // pair gives connections that resume a session
	turns   bool // pair gives connections whose messages take turns
}

func (s suite) run(t *testing.T) {
	always := []struct {
		name string
		test func(*testing.T)
	}{
		{"Properties", s.testProperties},
		{"Addresses", s.testAddresses},
		{"RoundTrip", s.testRoundTrip},
		{"ReceiveWaits", s.testReceiveWaits},
		{"SmallBatches", s.testSmallBatches},
		{"EmptyBatches", s.testEmptyBatches},
		{"TooLarge", s.testTooLarge},
		{"Garbage", s.testGarbage},
		{"CloseWakesReceive", s.testCloseWakesReceive},
		{"CloseWakesSend", s.testCloseWakesSend},
		{"CloseTwice", s.testCloseTwice},
		{"Cancelled", s.testCancelled},
		{"ListenerClosed", s.testListenerClosed},
		{"BadConfig", s.testBadConfig},
		{"Buffers", s.testBuffers},
		{"NoBatch", s.testNoBatch},
		{"Congestion", s.testCongestion},
		{"StatsAnyTime", s.testStatsAnyTime},
	}
	for _, c := range always {
		t.Run(c.name, c.test)
	}
	if s.promise.Reliable {
		t.Run("Everything", s.testEverything)
		t.Run("CloseDelivers", s.testCloseDelivers)
		t.Run("CloseIsSeen", s.testCloseIsSeen)
		t.Run("CloseDeliversWhileReceiving", s.testCloseDeliversWhileReceiving)
	}
	if s.promise.Handshake {
		t.Run("PeerGone", s.testPeerGone)
		t.Run("AcceptCancelled", s.testAcceptCancelled)
		t.Run("StrangerRefused", s.testStrangerRefused)
	} else {
		t.Run("EarlyDatagrams", s.testEarlyDatagrams)
		t.Run("OtherSession", s.testOtherSession)
	}
}

// requireHost skips a family that the machine has not got.
func (s suite) requireHost(t *testing.T) {
	t.Helper()
	l, err := s.tr.Listen(t.Context(), s.any(), transport.Config{})
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skipf("no %v here: %v", s.host, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func (s suite) any() netip.AddrPort { return netip.AddrPortFrom(s.host, 0) }

func (s suite) pair(t *testing.T, c transport.Config) (client, server transport.Conn) {
	t.Helper()
	if c.Session == 0 {
		c.Session = session
	}
	c.Resumable, c.Turns = s.resume, s.turns
	client, server = Pair(t, s.tr, s.host, c)
	if s.resume {
		s.requireResumed(t, client)
	}
	return client, server
}

// requireResumed fails unless the connection resumed a session, with early data
// where the transport has that.
func (s suite) requireResumed(t *testing.T, client transport.Conn) {
	t.Helper()
	within(t, patience, "the handshake", func() error {
		for client.Stats().Secured == 0 {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	got := client.Stats()
	if got.Resumed == nil || !*got.Resumed {
		t.Error("no session was resumed")
	}
	if (got.EarlyData != nil && *got.EarlyData) != s.promise.EarlyData {
		t.Error("early data: ", got.EarlyData, ", promised: ", s.promise.EarlyData)
	}
}

func (s suite) testProperties(t *testing.T) {
	if s.tr.Name() == "" {
		t.Error("no name")
	}
	if s.promise.MaxMessage < 1000 {
		t.Errorf("MaxMessage is %d", s.promise.MaxMessage)
	}
	if s.promise.Reliable && !s.promise.Handshake {
		t.Error("reliable without a handshake: who would keep the promise?")
	}
}

func (s suite) testAddresses(t *testing.T) {
	client, server := s.pair(t, transport.Config{})
	for _, c := range []transport.Conn{client, server} {
		if a := c.LocalAddr(); a.Addr() != s.host || a.Port() == 0 {
			t.Errorf("LocalAddr is %v, not an address and a port of %v", a, s.host)
		}
	}
	if client.LocalAddr() == server.LocalAddr() {
		t.Error("both ends have the address", client.LocalAddr())
	}
}
