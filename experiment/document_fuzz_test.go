package experiment

import (
	"encoding/json"
	"testing"

	"netcmp/peer"
	"netcmp/result"
	"netcmp/workload"
)

// FuzzServerReport makes a document of whatever a server tells of a session.
func FuzzServerReport(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"received":{}}`, `{"sent":{"sent":-3,"scheduled":9223372036854775807}}`, `{"requests":-1,"receiver_dropped":9223372036854775807}`,
		`{"received":{"delivery":{"sent":3,"delivered":2,"lost":1},"messages":{"planned_ns":[-1,-1,5,6,7]}},"stats":{"QUIC":{},"Carriage":{},"Connections":{}}}`,
		`{"received":{"delivery":{"delivered":-5}},"cpu_ns":-9223372036854775808,"first_ns":-9223372036854775808,"stats":{"Retransmitted":9223372036854775807}}`,
	} {
		for how := range uint8(12) {
			f.Add([]byte(s), how)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, how uint8) {
		var theirs *peer.EndReport
		if json.Unmarshal(text, &theirs) != nil {
			return
		}
		spec := peer.Spec{
			Proto:     []string{"udp", "tcp", "quic-datagram"}[how%3],
			Direction: []peer.Direction{peer.Up, peer.Down, peer.Both}[how/3%3],
			Plan:      workload.Plan{Count: 3, Saturate: how&64 != 0},
		}
		if how&128 != 0 {
			spec.Direction, spec.Pattern = peer.Up, peer.RequestResponse
		}
		own := &peer.EndReport{Sent: &peer.SendReport{Scheduled: 3, Sent: 3}}
		if spec.Direction != peer.Up || spec.Pattern == peer.RequestResponse {
			own.Received = &result.Measured{}
		}
		d := document(Config{Spec: spec.WithDefaults()}, Remote, processorTime{}, &peer.Outcome{Client: own, Server: theirs}, nil, nil)
		if _, err := json.Marshal(d); err != nil {
			t.Error(err)
		}
	})
}
