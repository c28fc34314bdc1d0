package report

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"netcmp/records"
	"netcmp/result"
	"netcmp/workload"
)

// recordsHead are the columns of Records.
const recordsHead = "proto,direction,number,planned_ns,arrived_ns,delay_ns,waiting_ns,crossing_ns,held_ns," +
	"blocked_ns,read_late_ns,arm,block,trial,sent_ns,received_ns,read_ns,sequence,connection\n"

// Records writes what became of each message, as CSV: one header, and of every run a row
// for each message that was due, in the order of their numbers.
//
// Times are ns from the beginning of the run, on one clock: planned, sent (handed to the
// transport), received (by the kernel, where the transport tells) and read (by the
// receiver's process, as arrived_ns). A message that was not sent or did not arrive has
// empty fields there. sequence is the order in which messages were read, from 1.
// connection is the message's own, from 1, and 0 where all share one. arm, block and
// trial are empty outside of comparisons; block and trial count from 1. The parts of the
// delay are those of result.Anatomy, of the first result.MaxMessages.
type Records struct {
	out   *bufio.Writer
	trial int
	err   error
}

// NewRecords begins to write to w.
func NewRecords(w io.Writer) *Records {
	r := &Records{out: bufio.NewWriterSize(w, 1<<16)}
	_, r.err = r.out.WriteString(recordsHead)
	return r
}

// Close writes what is buffered, and returns what has kept Records from writing.
func (r *Records) Close() error {
	if r.err == nil {
		r.err = r.out.Flush()
	}
	return r.err
}

// Add writes the rows of a run, of whose messages spool has the records. A run between
// two machines has those of the other end in its document alone, of the first
// result.MaxMessages.
func (r *Records) Add(d *result.Document, spool *records.Spool) error {
	r.trial++
	for _, way := range waysOf(d, spool) {
		if way.m == nil || r.err != nil {
			continue
		}
		if way.received != nil {
			r.err = r.spooled(d, way)
		} else {
			r.err = r.kept(d, way)
		}
	}
	return r.err
}

// way is the messages of one direction, and the files of their records.
type way struct {
	name           string
	m              *result.Measured
	sent, received *os.File // nil: the document alone tells
}

func waysOf(d *result.Document, s *records.Spool) []way {
	up, down := way{name: up}, way{name: down}
	if s != nil {
		up.sent, up.received = s.Client.Sent, s.Server.Received
		down.sent, down.received = s.Server.Sent, s.Client.Received
		if requestResponse(d) {
			up.received = s.Client.Received
		} else if d.Engine == "remote" {
			up.received, down.received = nil, nil
		}
	}
	if direction(d) == down.name {
		down.m = &d.Measured
	} else {
		up.m, down.m = &d.Measured, d.Reverse
	}
	return []way{up, down}
}

// planned gives the planned times of a run's messages in turn, or Unknown: a saturating
// plan has none.
func planned(d *result.Document) func() int64 {
	p := d.Plan
	plan := workload.Plan{
		Count: p.Count, Duration: time.Duration(p.DurationNS), Size: p.SizeBytes, Rate: p.RatePerS, Saturate: p.Saturate,
		Arrival: workload.Arrival(p.Arrival), Burst: p.Burst, Seed: uint64(d.Seed),
	}
	if p.Saturate || plan.WithDefaults().Validate() != nil {
		return func() int64 { return records.Unknown }
	}
	schedule := workload.NewSchedule(plan)
	return func() int64 {
		m, ok := schedule.Next()
		if !ok {
			return records.Unknown
		}
		return int64(m.Offset)
	}
}

func (r *Records) spooled(d *result.Document, w way) error {
	next := planned(d)
	return records.Each(w.sent, w.received, w.m.Delivery.Planned(), func(x records.Row) error {
		at := next()
		if at == records.Unknown {
			at = x.Sent // of a saturating plan
		}
		return r.row(d, w, x, at)
	})
}

// kept writes what the document has of each message.
func (r *Records) kept(d *result.Document, w way) error {
	m := w.m.Messages
	if m == nil {
		return nil
	}
	for i := range min(len(m.PlannedNS), len(m.DelayNS)) {
		x := records.Row{Number: int64(i), Sent: records.Unknown, Received: records.Unknown, Read: records.Unknown}
		at := m.PlannedNS[i]
		if at < 0 {
			at = records.Unknown
		} else if m.DelayNS[i] >= 0 {
			x.Read = at + m.DelayNS[i]
		}
		if err := r.row(d, w, x, at); err != nil {
			return err
		}
	}
	if due := w.m.Delivery.Planned(); due > int64(len(m.PlannedNS)) {
		return fmt.Errorf("--records: between two machines there are rows of the first %d messages only, and %d were due; send fewer, or measure in the lab", len(m.PlannedNS), due)
	}
	return nil
}

func (r *Records) row(d *result.Document, w way, x records.Row, planned int64) error {
	b := append(r.out.AvailableBuffer(), printable(d.Proto)...)
	b = append(append(b, ','), w.name...)
	delay, arrived := int64(records.Unknown), int64(records.Unknown)
	if planned != records.Unknown && x.Read != records.Unknown {
		delay = max(x.Read-planned, 0)
		arrived = planned + delay
	}
	number := func(v int64) {
		b = append(b, ',')
		if v != records.Unknown {
			b = strconv.AppendInt(b, v, 10)
		}
	}
	number(x.Number)
	number(planned)
	number(arrived)
	number(delay)
	if m := w.m.Messages; m != nil {
		for _, part := range [][]int64{m.WaitingNS, m.CrossingNS, m.HeldNS, m.BlockedNS, m.ReadLateNS} {
			number(partOf(part, x.Number))
		}
	} else {
		b = append(b, ",,,,,"...)
	}
	if t := d.Trial; t != nil {
		b = append(append(b, ','), printable(t.Arm)...)
		number(int64(t.Block) + 1)
		number(int64(r.trial))
	} else {
		b = append(b, ",,,"...)
	}
	number(x.Sent)
	number(x.Received)
	number(x.Read)
	if x.Sequence > 0 {
		number(x.Sequence)
	} else {
		b = append(b, ',')
	}
	if d.Plan.Connection == shortConnection {
		number(x.Number + 1)
	} else {
		number(0)
	}
	_, err := r.out.Write(append(b, '\n'))
	return err
}

// partOf returns the part of message i's delay, or Unknown.
func partOf(values []int64, i int64) int64 {
	if i >= int64(len(values)) || values[i] < 0 {
		return records.Unknown
	}
	return values[i]
}
