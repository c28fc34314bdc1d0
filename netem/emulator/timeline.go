package emulator

import "netcmp/netem"

// timeline is the changes of a path that are still to come. Its time begins
// with the first packet, in either direction.
type timeline struct {
	changes []netem.Change
	begun   bool
	start   int64 // when the first packet came
	both    [2]*direction
}

// newTimeline gives both directions of a path its changes.
func newTimeline(changes []netem.Change, up, down *direction) {
	t := &timeline{changes: changes, both: [2]*direction{up, down}}
	up.timeline, down.timeline = t, t
}

// advance makes the changes that are due for a packet that comes at the
// instant at. A nil timeline has none.
func (t *timeline) advance(at int64) {
	if t == nil {
		return
	}
	if !t.begun {
		t.begun, t.start = true, at
		for _, d := range t.both {
			d.verdict.StartClock(at)
		}
	}
	for len(t.changes) > 0 && at-t.start >= int64(t.changes[0].At) {
		p := t.changes[0].Path
		t.changes = t.changes[1:]
		t.both[0].change(p.Up)
		t.both[1].change(p.Down)
	}
}
