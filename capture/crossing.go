package capture

import "netcmp/netem/emulator"

// Crossing is a packet's way from one host to the other, by what the hosts'
// devices saw of it.
type Crossing struct {
	Up      bool    // from the client to the server
	Sent    *Packet // nil: nothing like it was sent, so the path has changed it
	Arrived *Packet // nil: it did not come
	Copy    bool    // the path doubled it, and this is not the first to come
}

// Crossings finds each packet again at the other host: it is known by what a path
// leaves of it as it is. They are in the order of their sending, and those of
// unknown beginning in that of their arrival; the packets are in the order of
// time. A packet that no path carries, such as one for a group of stations, has
// none.
func Crossings(packets []Packet) []Crossing {
	var all []Crossing
	type way struct {
		up   bool
		hash uint64
	}
	open := map[way][]int{}    // crossings whose packet has not come yet
	known := map[way]*Packet{} // the latest sent of them
	at := func(p *Packet) bool { return p.Device == Client || p.Device == Server }
	for i := range packets {
		p := &packets[i]
		hash, ok := emulator.Identity(p.Frame)
		if !ok || !at(p) {
			continue
		}
		w := way{p.Out == (p.Device == Client), hash}
		if p.Out {
			open[w] = append(open[w], len(all))
			known[w] = p
			all = append(all, Crossing{Up: w.up, Sent: p})
			continue
		}
		if waiting := open[w]; len(waiting) > 0 {
			all[waiting[0]].Arrived = p
			open[w] = waiting[1:]
			continue
		}
		all = append(all, Crossing{Up: w.up, Sent: known[w], Arrived: p, Copy: known[w] != nil})
	}
	return all
}

// Lost says whether it was sent and never came.
func (c *Crossing) Lost() bool { return c.Arrived == nil }

// Packet is what was seen of it: where it was sent, or else where it came.
func (c *Crossing) Packet() *Packet {
	if c.Sent != nil {
		return c.Sent
	}
	return c.Arrived
}
