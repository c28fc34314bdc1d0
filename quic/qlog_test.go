package quic_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netcmp/message"
	"netcmp/quic"
	"netcmp/transport"
	"netcmp/transport/transporttest"
)

// Each end's log is whole when its connection is closed, and the secrets are
// those that Wireshark asks for.
func TestTraces(t *testing.T) {
	for _, tr := range []transport.Transport{quic.New(), quic.NewStreams(), quic.NewDatagram()} {
		t.Run(tr.Name(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "logs")
			keys := filepath.Join(t.TempDir(), "keys")
			client, server := transporttest.Pair(t, tr, netip.MustParseAddr("127.0.0.1"), transport.Config{
				Traces: transport.Traces{QlogDir: dir, KeyLog: keys},
			})
			m := make([]byte, 100)
			message.Seal(m, message.Header{})
			if _, err := client.Send([][]byte{m}); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Receive(make([]transport.Message, 1)); err != nil {
				t.Fatal(err)
			}
			for _, c := range []transport.Conn{client, server} {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*_client.sqlog"))
			if len(files) != 1 {
				t.Fatalf("the client's logs are %v", files)
			}
			b, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			records := bytes.Split(bytes.TrimPrefix(b, []byte{0x1e}), []byte{0x1e})
			for _, r := range records {
				if !json.Valid(r) {
					t.Errorf("not JSON: %q", r)
				}
			}
			if len(records) < 10 || !bytes.Contains(b, []byte("packet_sent")) {
				t.Errorf("%d records", len(records))
			}
			secrets, err := os.ReadFile(keys)
			if err != nil || !strings.Contains(string(secrets), "CLIENT_TRAFFIC_SECRET_0 ") {
				t.Errorf("%v: secrets %q", err, secrets)
			}
		})
	}
}
