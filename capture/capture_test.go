package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/goleak"

	"netcmp/lab"
	"netcmp/netem"
	"netcmp/netem/emulator"
)

func TestMain(m *testing.M) {
	lab.Dispatch(map[string]func() int{"talk": talk, "listen": listen, "trickle": trickle})
	goleak.VerifyTestMain(m)
}

// What is said over TCP: some writes that a device has to cut, and small ones.
const (
	port   = 7000
	spoken = 400_000
)

// talk sends and waits until the other end has heard all.
func talk() int {
	c, err := net.Dial("tcp", netip.AddrPortFrom(lab.Server.Addr(), port).String())
	if err != nil {
		return 1
	}
	defer c.Close()
	b := make([]byte, spoken)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	for len(b) > 0 {
		n := min(1+random.IntN(60_000), len(b))
		if _, err := c.Write(b[:n]); err != nil {
			return 1
		}
		b = b[n:]
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return 1
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return 1
	}
	return 0
}

func listen() int {
	l, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
	if err != nil {
		return 1
	}
	c, err := l.Accept()
	if err != nil {
		return 1
	}
	defer c.Close()
	if n, err := io.Copy(io.Discard, c); err != nil || n != spoken {
		return 1
	}
	return 0
}

// What trickles: datagrams that are far enough apart for each to be alone in its block.
const (
	trickled     = 40
	trickleEvery = 25 * time.Millisecond
)

// trickle sends to a port that is closed, of which a socket that is not connected hears
// nothing.
func trickle() int {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return 1
	}
	defer c.Close()
	for range trickled {
		if _, err := c.WriteToUDPAddrPort(make([]byte, 100), netip.AddrPortFrom(lab.Server.Addr(), port)); err != nil {
			return 1
		}
		time.Sleep(trickleEvery)
	}
	time.Sleep(time.Duration(hold)) // by then the last block has been handed over
	return 0
}

// conversation is what crosses a lab with that path while one host talks to the
// other.
func conversation(t *testing.T, path string, c Config) (*Capture, *lab.Lab) {
	t.Helper()
	i, err := netem.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(t.Context(), lab.Config{Path: netem.Path{Up: i, Down: i}, Seed: 5, Engine: lab.Auto})
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	x, err := Start(t.Context(), l, c)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = x.Stop(0)
		}
	}()
	server, err := l.Run(t.Context(), lab.Server, lab.Self("listen"))
	if err != nil || !server.Listening(t.Context()) {
		t.Fatalf("the server does not listen: %v", err)
	}
	client, err := l.Run(t.Context(), lab.Client, lab.Self("talk"))
	if err != nil {
		t.Fatal(err)
	}
	if c, s := client.Wait(), server.Wait(); c.Code != 0 || s.Code != 0 {
		t.Fatalf("client %v, server %v", c, s)
	}
	stopped = true
	if err := x.Stop(time.Second); err != nil {
		t.Fatal(err)
	}
	return x, l
}

// TestEveryPacketOnce: on a path that loses nothing every packet is seen once at
// each of its devices, as a wire would carry it, and nothing is missing of what
// was said.
func TestEveryPacketOnce(t *testing.T) {
	x, l := conversation(t, "delay 5ms", Config{Keep: 1 << 20})
	packets, left := x.Packets()
	if left != 0 || x.Missed() != 0 {
		t.Fatalf("%d were left out, %d missed", left, x.Missed())
	}
	type view struct {
		device string
		out    bool
	}
	seen := map[view]map[uint64]int{}
	var next uint32 = 1
	for i := range packets {
		p := &packets[i]
		if i > 0 && p.At < packets[i-1].At {
			t.Fatalf("%v comes before %v", p, &packets[i-1])
		}
		hash, ok := emulator.Identity(p.Frame)
		if !ok {
			continue
		}
		v := view{p.Device, p.Out}
		if seen[v] == nil {
			seen[v] = map[uint64]int{}
		}
		if seen[v][hash]++; seen[v][hash] > 1 {
			t.Errorf("seen twice: %v", p)
		}
		whole := emulator.NewFrame(make([]byte, emulator.OffloadSize), p.Frame)
		if len(p.Frame) > 1514 || !whole.Intact() {
			t.Errorf("no wire carries this: %v, %d bytes", p, len(p.Frame))
		}
		if p.Device == Server && !p.Out && p.Length > 0 {
			if p.TCP.RelSeq != next {
				t.Errorf("%v, want seq %d", p, next)
			}
			next += uint32(p.Length)
		}
	}
	if next != spoken+1 {
		t.Errorf("%d bytes came, want %d", next-1, spoken)
	}
	link, _, err := l.Link(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		from, by, to string
		n            int64
	}{{Client, PathClient, Server, link.Up.Packets}, {Server, PathServer, Client, link.Down.Packets}} {
		sent, passed, came := len(seen[view{w.from, true}]), len(seen[view{w.by, false}]), len(seen[view{w.to, false}])
		if sent == 0 || passed != sent || came != sent || int64(sent) != w.n {
			t.Errorf("%s sent %d packets, %d passed, %d came, the path counted %d", w.from, sent, passed, came, w.n)
		}
	}
}

// TestCrossings: each packet that one host sent has come to the other or was
// lost, as many as the path says.
func TestCrossings(t *testing.T) {
	x, l := conversation(t, "delay 5ms loss list 3,30,31 duplicate 2%", Config{Keep: 1 << 20})
	packets, _ := x.Packets()
	link, _, err := l.Link(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	lawful(t, Crossings(packets)[:200])
	sent, lost, copies := map[bool]int64{}, map[bool]int64{}, map[bool]int64{}
	for _, c := range Crossings(packets) {
		switch {
		case c.Sent == nil:
			t.Errorf("nobody sent %v", c.Arrived)
		case c.Copy:
			copies[c.Up]++
		case c.Lost():
			lost[c.Up]++
			sent[c.Up]++
		default:
			sent[c.Up]++
			if d := time.Duration(c.Arrived.At - c.Sent.At); d < 5*time.Millisecond {
				t.Errorf("%v took %v", c.Sent, d)
			}
		}
	}
	for up, d := range map[bool]*[4]int64{
		true:  {link.Up.Packets, link.Up.Lost, link.Up.Duplicated, link.Up.Delivered},
		false: {link.Down.Packets, link.Down.Lost, link.Down.Duplicated, link.Down.Delivered},
	} {
		// Of a packet that is doubled and loses a copy one comes, as of any other.
		if sent[up] != d[0] || sent[up]-lost[up]+copies[up] != d[3] || lost[up] < 1 {
			t.Errorf("up %v: %d sent, %d lost, %d copies; the path says %v", up, sent[up], lost[up], copies[up], *d)
		}
	}
}

// TestTshark: what tshark reads in the file of each device is what Packets returns of
// it: the same packets at the same times, flags, relative numbers and comments; it finds
// no fault in their checksums, and the interface's statistics count them.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	files, written := Files{}, map[string]*bytes.Buffer{}
	for _, p := range Points() {
		written[p.Device] = &bytes.Buffer{}
		files[p.Device] = written[p.Device]
	}
	x, _ := conversation(t, "delay 5ms loss list 30,31", Config{
		Keep: 1 << 20, Pcap: files, Messages: Framing{Proto: "tcp", Size: 1000}, Application: "netcmp test",
	})
	packets, _ := x.Packets()
	for _, point := range Points() {
		t.Run(point.Name, func(t *testing.T) {
			var of []Packet
			for _, p := range packets {
				if p.Device == point.Device {
					of = append(of, p)
				}
			}
			sharkReads(t, tshark, written[point.Device].Bytes(), of)
			counted(t, written[point.Device], point.Device, uint64(len(of)))
		})
	}
}

// counted fails unless a file has one interface, of that device, whose statistics count
// so many packets and none dropped.
func counted(t *testing.T, file io.Reader, device string, packets uint64) {
	t.Helper()
	r, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = r.ReadPacketData()
	}
	i, err := r.Interface(0)
	if err != nil || r.NInterfaces() != 1 || i.Name != device {
		t.Fatalf("%d interfaces, the first is %q, %v", r.NInterfaces(), i.Name, err)
	}
	if s := i.Statistics; s.PacketsReceived != packets || s.PacketsDropped != 0 || !s.EndTime.After(s.StartTime) {
		t.Errorf("the statistics are %+v, want %d packets", s, packets)
	}
}

// sharkReads fails unless tshark reads these packets in a file of one device.
func sharkReads(t *testing.T, tshark string, file []byte, packets []Packet) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "lab.pcapng")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	fields := []string{
		"frame.interface_name", "frame.time_epoch", "frame.len", "frame.comment", "ip.ttl",
		"tcp.flags", "tcp.seq", "tcp.ack", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "ip.checksum.status", "tcp.checksum.status",
	}
	args := []string{"-r", name, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("tshark reads %d packets, want %d", len(lines), len(packets))
	}
	said := map[string]bool{}
	for i := range packets {
		p := &packets[i]
		want := []string{p.Device, fmt.Sprintf("%d.%09d", p.At/1e9, p.At%1e9), strconv.Itoa(len(p.Frame)), p.Comment}
		if c, _, ok := strings.Cut(p.Comment, "message"); ok {
			said[c] = true
		}
		if p.TCP == nil { // the hosts' group membership
			want = append(want, strings.Split("||||||||", "|")...)
		} else {
			const good = "1"
			want = append(want, strconv.Itoa(int(p.TTL)), fmt.Sprintf("0x%04x", uint8(p.TCP.Flags)),
				fmt.Sprint(p.TCP.RelSeq), fmt.Sprint(p.TCP.RelAck), fmt.Sprint(p.TCP.Seq), fmt.Sprint(p.TCP.Ack), strconv.Itoa(p.Length), good, good)
		}
		if got := lines[i]; got != strings.Join(want, "|") {
			t.Errorf("packet %d: tshark reads\n%s, want\n%s", i+1, got, strings.Join(want, "|"))
		}
	}
	if some := packets[0].Device != PathServer; said[""] != some || said["retransmission of "] != some {
		t.Errorf("no packet is said to carry a message, or none to be a retransmission: %v", said)
	}
}

// TestMissedPacketsAreCounted: a ring that nobody reads says how many found no
// room.
func TestMissedPacketsAreCounted(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Config{})
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, index, err := l.PacketSocket(t.Context(), Client)
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRing(socket, index, view{snap: snapAll, outgoing: true, incoming: true, block: wholeBlock, blocks: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	server, err := l.Run(t.Context(), lab.Server, lab.Self("listen"))
	if err != nil || !server.Listening(t.Context()) {
		t.Fatalf("the server does not listen: %v", err)
	}
	client, err := l.Run(t.Context(), lab.Client, lab.Self("talk"))
	if err != nil {
		t.Fatal(err)
	}
	client.Wait()
	server.Wait()
	n := 0
	r.drain(func(*sight) { n++ })
	if missed, err := r.missed(); err != nil || missed == 0 || n == 0 {
		t.Errorf("%d frames were kept and %d missed, %v", n, missed, err)
	}
}

// TestStoppedReader: a ring that is not read for a second, while a packet comes every
// 25 ms, loses none of them, although the kernel hands over a block for each. The sizes
// hold for 3 s of a packet in every block's time.
func TestStoppedReader(t *testing.T) {
	for _, blocks := range []int{headerBlocks, wholeBlocks} {
		if span := time.Duration(blocks) * retireAfter * time.Millisecond; span < 3*time.Second {
			t.Errorf("%d blocks are used up after %v", blocks, span)
		}
	}
	l, err := lab.Start(t.Context(), lab.Config{})
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, v := range []view{
		{snap: snapHeaders, outgoing: true, incoming: true, block: headerBlock, blocks: headerBlocks},
		{snap: snapAll, outgoing: true, incoming: true, block: wholeBlock, blocks: wholeBlocks},
	} {
		socket, index, err := l.PacketSocket(t.Context(), Client)
		if err != nil {
			t.Fatal(err)
		}
		r, err := openRing(socket, index, v)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		client, err := l.Run(t.Context(), lab.Client, lab.Self("trickle"))
		if err != nil {
			t.Fatal(err)
		}
		client.Wait()
		n := 0
		blocks := r.drain(func(s *sight) {
			if h, ok := readHeaders(s); ok && s.outgoing && h.proto == 17 {
				n++
			}
		})
		missed, err := r.missed()
		if n != trickled || missed != 0 || err != nil || blocks < trickled/2 {
			t.Errorf("%d of %d packets in %d blocks, %d missed, %v", n, trickled, blocks, missed, err)
		}
	}
}

func TestUnknownDevice(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Config{})
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := l.PacketSocket(t.Context(), "client:eth1"); err == nil || !strings.Contains(err.Error(), "server:eth0") {
		t.Errorf("%v", err)
	}
}
