package emulator

import (
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// TestDelayLine: what leaves is the row of what came, sorted by due time and,
// where that is equal, as it came.
func TestDelayLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var line delayLine
		var model []run
		packets, came := 0, int32(0)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			if len(model) == 0 || rapid.IntRange(0, 9).Draw(t, "push") < 6 {
				r := run{due: rapid.Int64Range(-5, 5).Draw(t, "due"), first: came, count: rapid.Int32Range(1, 45).Draw(t, "count")}
				came++
				line.push(r)
				model = append(model, r)
				sort.SliceStable(model, func(i, j int) bool { return model[i].due < model[j].due })
				packets += int(r.count)
			} else {
				next := *line.next()
				got, want := line.pop(), model[0]
				model = model[1:]
				packets -= int(want.count)
				if got != next || got.due != want.due || got.first != want.first || got.count != want.count {
					t.Fatalf("%+v after %+v was next, want %+v", got, next, want)
				}
			}
			if line.packets != packets || (line.next() == nil) != (len(model) == 0) {
				t.Fatalf("%d packets, want %d; next %v", line.packets, packets, line.next())
			}
		}
	})
}

// TestPool: buffers are used again, never by two at once, and hold a copy.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pool
		type kept struct {
			b      *buffer
			length int
			mark   byte
		}
		var held []kept
		most := map[int]int{}
		frame := make([]byte, frameSize)
		for mark := range byte(200) {
			if len(held) > 0 && rapid.Bool().Draw(t, "release") {
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				p.release(held[i].b)
				held = append(held[:i], held[i+1:]...)
			} else {
				size := classSizes[rapid.IntRange(0, len(classSizes)-1).Draw(t, "class")]
				n := size - rapid.IntRange(0, 1).Draw(t, "less")*rapid.IntRange(0, size-1).Draw(t, "by")
				frame[0], frame[n-1] = mark, mark
				b := p.keep(&train{frame: frame[:n], count: 1})
				frame[0], frame[n-1] = 0, 0
				if b.refs != 0 || len(b.store) < n {
					t.Fatalf("%d references, room of %d for %d", b.refs, len(b.store), n)
				}
				held = append(held, kept{b, n, mark})
			}
			inUse := map[int]int{}
			for _, k := range held {
				if f := k.b.train.frame; len(f) != k.length || f[0] != k.mark || f[k.length-1] != k.mark {
					t.Fatalf("a buffer of %d marked %d holds %d marked %d", k.length, k.mark, len(f), f[0])
				}
				inUse[k.b.class]++
			}
			made := 0
			for class, n := range inUse {
				most[class] = max(most[class], n)
			}
			for _, n := range most {
				made += n
			}
			if p.made != made {
				t.Fatalf("%d buffers made where %d were in use at most", p.made, made)
			}
		}
	})
}
