package lesson

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"netcmp/capture"
)

// sharkAgrees: what tshark reads in the lesson's files, one of each host's device, is what the lesson tells of its
// packets: when they left the one host and came to the other, and of TCP the flags,
// the numbers as they are and from where they began, and the length.
func sharkAgrees(t *testing.T, d *Document, pcap map[string]*bytes.Buffer) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Log("tshark is not installed: the packets are not held against what it reads")
		return
	}
	args := []string{"-T", "fields", "-E", "separator=|", "-E", "occurrence=f", "-Y", "(tcp or udp or icmp or icmpv6) and not ipv6.dst == ff00::/8"}
	for _, f := range []string{"frame.interface_name", "frame.time_epoch", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.seq_raw", "tcp.ack_raw", "tcp.len"} {
		args = append(args, "-e", f)
	}
	// By the device and the time, which those share that left in one piece.
	read := map[string][]string{}
	for device, file := range pcap {
		name := filepath.Join(t.TempDir(), "lesson.pcapng")
		if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tshark, append(args, "-r", name)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "|", 3)
			if fields[0] != device {
				t.Fatalf("the file of %s has a packet of %s", device, fields[0])
			}
			at := fields[0] + " " + fields[1]
			read[at] = append(read[at], fields[2])
		}
	}
	left := 0
	for _, s := range d.Scenes {
		left += s.Left
		for i, p := range s.Packets {
			devices := [2]string{capture.Client, capture.Server}
			if !p.Up {
				devices[0], devices[1] = devices[1], devices[0]
			}
			for end, at := range []*int64{p.SentNS, p.ArrivedNS} {
				if at == nil {
					continue
				}
				key := fmt.Sprintf("%s %d.%09d", devices[end], *at/1e9, *at%1e9)
				n := slices.IndexFunc(read[key], func(got string) bool { return p.TCP == nil || got == p.asTshark() })
				if n < 0 {
					t.Errorf("%s: packet %d, at %s: tshark reads %q, want %q", s.Title, i+1, key, read[key], p.asTshark())
					continue
				}
				if read[key] = slices.Delete(read[key], n, n+1); len(read[key]) == 0 {
					delete(read, key)
				}
			}
		}
	}
	if left == 0 && len(read) > 0 {
		t.Errorf("tshark reads %d packets that the lesson does not tell of: %v", len(read), read)
	}
}

// asTshark is a segment as tshark writes its fields.
func (p *Packet) asTshark() string {
	t := p.TCP
	if t == nil {
		return ""
	}
	var bits uint8
	for i := range 8 {
		if f := capture.Flags(1 << i); strings.Contains("+"+t.Flags+"+", "+"+f.String()+"+") {
			bits |= uint8(f)
		}
	}
	var ack, relAck uint32
	if t.Ack != nil {
		ack, relAck = *t.Ack, *t.RelAck
	}
	fields := []string{fmt.Sprintf("0x%04x", bits)}
	for _, n := range []uint32{t.RelSeq, relAck, t.Seq, ack, uint32(p.Length)} {
		fields = append(fields, strconv.FormatUint(uint64(n), 10))
	}
	return strings.Join(fields, "|")
}
