package quic_test

import (
	"testing"

	"go.uber.org/goleak"

	"netcmp/quic"
	"netcmp/transport"
	"netcmp/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for _, tr := range []transport.Transport{quic.New(), quic.NewStreams(), quic.NewDatagram()} {
		t.Run(tr.Name(), func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, tr)
		})
	}
}
