package emulator

import (
	"encoding/binary"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"netcmp/result"
)

func partitioned(c result.Datagrams) bool {
	return c.Entered == c.Intact+c.Lost+*c.QueueDropped+c.Corrupted
}

// TestDatagrams: as long as no more are open than there are places, every
// datagram is counted once, with the worst fate of its fragments, however they
// are interleaved.
func TestDatagrams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sending struct {
			key   datagramKey
			left  int
			worst fate
		}
		var d datagrams
		want := result.Datagrams{QueueDropped: new(int64)}
		count := func(f fate) {
			*[]*int64{&want.Intact, &want.Corrupted, want.QueueDropped, &want.Lost}[f]++
		}
		fates := rapid.SampledFrom([]fate{intact, intact, intact, corrupted, queueDropped, lost})
		var open []*sending
		entered := int64(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			choice := rapid.IntRange(0, 2).Draw(t, "step")
			switch {
			case choice == 0:
				f := fates.Draw(t, "fate")
				d.packet(f)
				count(f)
				entered++
			case len(open) == 0 || choice == 1 && len(open) < len(d.open):
				entered++
				s := &sending{left: rapid.IntRange(1, 6).Draw(t, "fragments")}
				s.key.id = uint32(entered)
				open = append(open, s)
				fallthrough
			default:
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				if choice == 1 {
					i = len(open) - 1
				}
				s := open[i]
				f := fates.Draw(t, "fate")
				s.worst = max(s.worst, f)
				s.left--
				d.fragment(s.key, s.left == 0, f)
				if s.left == 0 {
					count(s.worst)
					open = append(open[:i], open[i+1:]...)
				}
			}
			// The open ones count as they stand.
			before, dropped := want, *want.QueueDropped
			for _, s := range open {
				count(s.worst)
			}
			want.Entered = want.Intact + want.Corrupted + *want.QueueDropped + want.Lost
			if got := d.tally(); !reflect.DeepEqual(got, want) || !partitioned(got) {
				t.Fatalf("%+v, want %+v", got, want)
			}
			want, *want.QueueDropped = before, dropped
		}
	})
}

func seen(d *datagrams, key datagramKey) bool {
	for i := range d.open {
		if d.open[i].number != 0 && d.open[i].key == key {
			return true
		}
	}
	return false
}

// TestTooManyOpenDatagrams: the oldest makes room; the counts stay a partition.
func TestTooManyOpenDatagrams(t *testing.T) {
	var d datagrams
	n := len(d.open)
	for i := range n + 1 {
		d.fragment(datagramKey{id: uint32(i)}, false, lost)
	}
	if got := d.counts; got != (result.Datagrams{Entered: int64(n + 1), Lost: 1}) {
		t.Errorf("%+v", got)
	}
	if seen(&d, datagramKey{id: 0}) || !seen(&d, datagramKey{id: 1}) {
		t.Error("the wrong one made room")
	}
	// A place that is free is taken before one that is in use.
	d.fragment(datagramKey{id: 5}, true, intact)
	d.fragment(datagramKey{id: 100}, false, intact)
	if got := d.counts; got.Entered != int64(n+2) || got.Lost != 2 {
		t.Errorf("%+v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		var d datagrams
		for range 400 {
			d.fragment(datagramKey{id: rapid.Uint32Range(0, 40).Draw(t, "id")}, rapid.IntRange(0, 9).Draw(t, "last") == 0, fate(rapid.IntRange(0, 3).Draw(t, "fate")))
			if !partitioned(d.tally()) {
				t.Fatalf("%+v", d.tally())
			}
		}
	})
}

// TestFragmentKeys: what makes a packet a fragment, of which datagram, and
// which one is the last.
func TestFragmentKeys(t *testing.T) {
	v4 := func(id, place uint16) []byte {
		f := &flow{udp: true, id: id, size: 100, payload: make([]byte, 100)}
		_, frame := f.frame(0, 1, true)
		binary.BigEndian.PutUint16(frame[20:], place)
		return frame
	}
	v6 := func(before []byte, next uint8, id uint32, place uint16) []byte {
		header := []byte{17, 0, byte(place >> 8), byte(place)}
		header = binary.BigEndian.AppendUint32(header, id)
		f := &flow{udp: true, v6: true, next: next, ipOptions: append(before, header...), size: 100, payload: make([]byte, 100)}
		_, frame := f.frame(0, 1, true)
		return frame
	}
	fragment := func(frame []byte) (datagramKey, bool, bool) {
		tr := parse(offload{}, frame)
		return tr.fragment()
	}
	hopByHop := []byte{44, 0, 1, 4, 0, 0, 0, 0}
	two := []byte{43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0}
	for name, c := range map[string]struct {
		frame    []byte
		last, ok bool
	}{
		"IPv4 whole":                     {v4(7, 0), false, false},
		"IPv4 whole, not to be cut":      {v4(7, 0x4000), false, false},
		"IPv4 first":                     {v4(7, 0x2000), false, true},
		"IPv4 middle":                    {v4(7, 0x2000|185), false, true},
		"IPv4 last":                      {v4(7, 370), true, true},
		"IPv6 first":                     {v6(nil, 44, 7, 1), false, true},
		"IPv6 middle":                    {v6(nil, 44, 7, 185<<3|1), false, true},
		"IPv6 last":                      {v6(nil, 44, 7, 370<<3), true, true},
		"IPv6 whole":                     {v6(nil, 60, 7, 0), false, false}, // of options, not of a fragment
		"IPv6 behind options":            {v6(hopByHop, 0, 7, 370<<3), true, true},
		"IPv6 behind options and routes": {v6(two, 0, 7, 1), false, true},
		"IPv6 cut off":                   {v6(nil, 44, 7, 1)[:54+7], false, false},
		"IPv6 options cut off":           {v6(hopByHop, 0, 7, 1)[:54+9], false, false},
	} {
		if key, last, ok := fragment(c.frame); last != c.last || ok != c.ok || ok != (key.id == 7) {
			t.Errorf("%s: key %+v, last %v, %v", name, key, last, ok)
		}
	}
	same := func(a, b []byte) bool {
		x, _, _ := fragment(a)
		y, _, _ := fragment(b)
		return x == y
	}
	if !same(v4(7, 0x2000), v4(7, 370)) || !same(v6(nil, 44, 7, 1), v6(nil, 44, 7, 370<<3)) {
		t.Error("fragments of one datagram have different keys")
	}
	other := func(frame []byte, at int) []byte {
		frame = append([]byte{}, frame...)
		frame[at] ^= 8
		return frame
	}
	for name, pair := range map[string][2][]byte{
		"IPv4 identification": {v4(7, 1), v4(8, 1)},
		"IPv4 protocol":       {v4(7, 1), other(v4(7, 1), 14+9)},
		"IPv4 source":         {v4(7, 1), other(v4(7, 1), 14+15)},
		"IPv4 destination":    {v4(7, 1), other(v4(7, 1), 14+19)},
		"IPv6 identification": {v6(nil, 44, 7, 1), v6(nil, 44, 7+1<<16, 1)},
		"IPv6 source":         {v6(nil, 44, 7, 1), other(v6(nil, 44, 7, 1), 14+8)},
		"IPv6 destination":    {v6(nil, 44, 7, 1), other(v6(nil, 44, 7, 1), 14+39)},
		"version":             {v4(7, 1), v6(nil, 44, 7, 1)},
	} {
		if same(pair[0], pair[1]) {
			t.Errorf("%s: the same key", name)
		}
	}
}
