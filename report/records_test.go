package report

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"testing"

	"netcmp/records"
	"netcmp/result"
)

// Every due message has its row: one that arrived, one that was lost, one that was never
// sent. There is one header, however many trials.
func TestRecords(t *testing.T) {
	s, err := records.New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sent, received := records.NewWriter(s.Client.Sent), records.NewWriter(s.Server.Received)
	for i := range int64(3) {
		sent.Sent(i*2e6+5, 1)
	}
	received.Received(2, 24e6, 23e6)
	received.Received(0, 25e6, records.Unknown)
	if err := sent.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := received.Flush(); err != nil {
		t.Fatal(err)
	}
	d := &result.Document{Proto: "udp", Trial: &result.Trial{Arm: "udp#1", Block: 4}}
	d.Plan = result.Plan{Count: 4, SizeBytes: 500, RatePerS: 500, Arrival: "constant", Direction: "up"}
	d.Delivery = result.Delivery{Due: 4, Sent: 3, Unsent: 1}
	d.Messages = &result.Messages{WaitingNS: []int64{1, -1, 2}, BlockedNS: []int64{0, -1, 3}}
	var b bytes.Buffer
	w := NewRecords(&b)
	for range 2 {
		if err := w.Add(d, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 9 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	want := []string{
		"udp,up,0,0,25000000,25000000,1,,,0,,udp#1,5,1,5,,25000000,2,0",
		"udp,up,1,2000000,,,,,,,,udp#1,5,1,2000005,,,,0",
		"udp,up,2,4000000,24000000,20000000,2,,,3,,udp#1,5,1,4000005,23000000,24000000,1,0",
		"udp,up,3,6000000,,,,,,,,udp#1,5,1,,,,,0",
	}
	for i, row := range rows[1:] {
		text := strings.Replace(want[i%4], ",5,1,", ",5,"+strconv.Itoa(i/4+1)+",", 1)
		if got := strings.Join(row, ","); got != text {
			t.Errorf("row %d\n%s, want\n%s", i, got, text)
		}
	}
	if head := rows[0]; !slices.Contains(head, "read_ns") || head[0] != "proto" || head[8] != "held_ns" {
		t.Errorf("head %v", head)
	}
}

// A run between two machines has what its document has, and says so if that is less.
func TestRecordsBetweenMachines(t *testing.T) {
	d := &result.Document{Proto: "tcp", Engine: "remote"}
	d.Plan.Direction = "up"
	d.Delivery = result.Delivery{Due: 3, Sent: 3}
	d.Messages = &result.Messages{PlannedNS: []int64{0, 2000}, DelayNS: []int64{50, -1}}
	var b bytes.Buffer
	w := NewRecords(&b)
	if err := w.Add(d, nil); err == nil || !strings.Contains(err.Error(), "3 were due") {
		t.Errorf("%v", err)
	}
}
