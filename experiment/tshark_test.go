package experiment

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"netcmp/capture"
	"netcmp/result"
	"netcmp/workload"
)

// sharked makes an experiment with the packets of the client's device in a file. It
// returns the document, and what counts the packets of the file that a filter of tshark's
// lets through.
func sharked(t *testing.T, c Config) (d *result.Document, count func(filter string) int) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	var file bytes.Buffer
	c.Pcap = capture.Files{capture.Client: &file}
	c.Traces.KeyLog = filepath.Join(t.TempDir(), "secrets")
	d = try(t, c)
	if d.Capture.Missed > 0 {
		t.Skipf("the capture missed %d frames", d.Capture.Missed)
	}
	name := filepath.Join(t.TempDir(), "client.pcapng")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return d, func(filter string) int {
		t.Helper()
		out, err := exec.Command(tshark, "-r", name, "-o", "tls.keylog_file:"+c.Traces.KeyLog, "-Y", filter, "-T", "fields", "-e", "frame.number").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(out), "\n")
	}
}

// TestTsharkCountsRetransmissions: in the file of the sender's device tshark finds as
// many retransmissions of data as the document tells of. Those that come sooner than a
// round trip after the newest segment it calls out of order. The handshake's packets and
// the acknowledgments pass, so that no sending end is left with what did arrive.
func TestTsharkCountsRetransmissions(t *testing.T) {
	if testing.Short() {
		t.Skip("figures, which the first run has held")
	}
	for seed := range uint64(4) {
		c := config(t, "tcp", "delay 20ms loss 2%", workload.Plan{Count: 1000, Size: 500, Rate: 500})
		c.Path.Down.Loss = nil
		c.Seed = seed + 1
		d, count := sharked(t, c)
		found := count("(tcp.analysis.retransmission or tcp.analysis.fast_retransmission or tcp.analysis.spurious_retransmission or tcp.analysis.out_of_order) and tcp.len > 0")
		said := count(`frame.comment contains "retransmission of message"`)
		if want := int(*d.Wire.Retransmitted); found != want || said != want || want == 0 {
			t.Errorf("seed %d: tshark finds %d retransmissions, %d are called that, the document has %d", c.Seed, found, said, want)
		}
	}
}

// TestTsharkDecryptsQUIC: with the secrets tshark reads every packet of the client's
// device, those after a key update (RFC 9001 §6) among them.
func TestTsharkDecryptsQUIC(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector sees every part of it in other tests")
	}
	for _, proto := range []string{"quic", "quic-streams", "quic-datagram"} {
		_, count := sharked(t, config(t, proto, "delay 20ms", workload.Plan{Count: 300, Size: 500, Rate: 1000}))
		all, read, updated := count("quic"), count("quic.frame"), count("quic.key_phase == 1 and quic.frame")
		if all < 300 || read != all || updated == 0 {
			t.Errorf("%s: tshark reads %d of %d packets, %d of them after a key update", proto, read, all, updated)
		}
	}
}
