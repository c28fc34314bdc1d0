package report

import (
	"bufio"
	"io"
	"strconv"

	"netcmp/result"
)

// Records writes a row for each message, as CSV: when it was due from the
// beginning of the run, when it came, and how long it took, ns, in all and in its
// parts (result.Anatomy). What is not known is empty; a message that was lost has
// an empty arrival.
func Records(w io.Writer, d *result.Document) error {
	out := bufio.NewWriter(w)
	_, _ = out.WriteString("proto,direction,number,planned_ns,arrived_ns,delay_ns,waiting_ns,crossing_ns,held_ns\n")
	for _, way := range []struct {
		name string
		m    *result.Measured
	}{{direction(d), &d.Measured}, {down, d.Reverse}} {
		if way.m == nil || way.m.Messages == nil {
			continue
		}
		x := way.m.Messages
		for i := range min(len(x.PlannedNS), len(x.DelayNS)) {
			planned, delay := x.PlannedNS[i], x.DelayNS[i]
			arrived := int64(-1)
			if planned >= 0 && delay >= 0 {
				arrived = planned + delay
			}
			row := append([]byte(printable(d.Proto)), ',')
			row = append(append(row, way.name...), ',')
			row = strconv.AppendInt(row, int64(i), 10)
			for _, v := range []int64{planned, arrived, delay, at(x.WaitingNS, i), at(x.CrossingNS, i), at(x.HeldNS, i)} {
				row = append(row, ',')
				if v >= 0 {
					row = strconv.AppendInt(row, v, 10)
				}
			}
			_, _ = out.Write(append(row, '\n'))
		}
	}
	return out.Flush()
}

// at is the i-th value, or what stands for one that is not known.
func at(values []int64, i int) int64 {
	if i >= len(values) {
		return -1
	}
	return values[i]
}
