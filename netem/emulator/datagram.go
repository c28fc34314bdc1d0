package emulator

import "netcmp/result"

// fate is what became of a packet, or of a datagram: the worst that happened to
// a fragment of it.
type fate uint8

const (
	intact fate = iota
	corrupted
	queueDropped
	lost
)

type datagramKey struct {
	addresses [32]byte
	id        uint32
	proto     uint8
}

type openDatagram struct {
	key    datagramKey
	fate   fate
	number int64 // of the datagram, from 1; 0: the place is free
}

// datagrams counts the fate of whole IP datagrams. Fragments of one datagram
// come in order, as a host sends them, and a few datagrams may be open at once.
// Where more are, the one open longest is taken for ended, and what comes of it
// later for another datagram.
type datagrams struct {
	counts  result.Datagrams // without dropped
	dropped int64
	open    [16]openDatagram
}

// packet takes in a packet that is a datagram of its own.
func (d *datagrams) packet(f fate) {
	d.counts.Entered++
	d.close(f)
}

func (d *datagrams) close(f fate) {
	switch f {
	case intact:
		d.counts.Intact++
	case corrupted:
		d.counts.Corrupted++
	case queueDropped:
		d.dropped++
	case lost:
		d.counts.Lost++
	}
}

// fragment takes in a fragment. The last one closes its datagram.
func (d *datagrams) fragment(key datagramKey, last bool, f fate) {
	at := &d.open[0]
	for i := range d.open {
		o := &d.open[i]
		if o.number != 0 && o.key == key {
			at = o
			break
		}
		if o.number < at.number {
			at = o
		}
	}
	if at.number == 0 || at.key != key {
		if at.number != 0 {
			d.close(at.fate)
		}
		d.counts.Entered++
		*at = openDatagram{key: key, number: d.counts.Entered}
	}
	at.fate = max(at.fate, f)
	if last {
		d.close(at.fate)
		at.number = 0
	}
}

// tally is the counts with the open datagrams as they stand.
func (d *datagrams) tally() result.Datagrams {
	whole := *d
	for i := range whole.open {
		if whole.open[i].number != 0 {
			whole.close(whole.open[i].fate)
		}
	}
	whole.counts.QueueDropped = new(whole.dropped)
	return whole.counts
}
