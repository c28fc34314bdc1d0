package emulator

import "netcmp/result"

// fate is what became of a packet, all its copies taken together, or of a
// datagram, all its fragments taken together: the worst of them.
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
	key  datagramKey
	fate fate
	used bool
}

// datagrams counts the fate of whole IP datagrams. Fragments of one datagram
// follow each other; a few datagrams may be open at once.
type datagrams struct {
	counts result.Datagrams
	open   [16]openDatagram
	next   int // the place to be taken over next
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
		d.counts.QueueDropped++
	case lost:
		d.counts.Lost++
	}
}

// fragment takes in a fragment. The last one closes its datagram.
func (d *datagrams) fragment(key datagramKey, last bool, f fate) {
	var at *openDatagram
	for i := range d.open {
		if d.open[i].used && d.open[i].key == key {
			at = &d.open[i]
			break
		}
	}
	if at == nil {
		at = &d.open[d.next]
		d.next = (d.next + 1) % len(d.open)
		if at.used {
			d.close(at.fate)
		}
		*at = openDatagram{key: key, used: true}
		d.counts.Entered++
	}
	at.fate = max(at.fate, f)
	if last {
		d.close(at.fate)
		at.used = false
	}
}

// tally is the counts with the open datagrams as they stand.
func (d *datagrams) tally() result.Datagrams {
	whole := *d
	for i := range whole.open {
		if whole.open[i].used {
			whole.close(whole.open[i].fate)
		}
	}
	return whole.counts
}
