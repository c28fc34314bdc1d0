package report

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// screen is a terminal: it understands what a progress line needs, and fails
// at anything else, and at a line that would wrap.
type screen struct {
	t      interface{ Fatalf(string, ...any) }
	width  int
	row    []rune
	cursor int
	writes int
}

func (s *screen) Write(p []byte) (int, error) {
	s.writes++
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case r == '\r':
			s.cursor = 0
		case r == '\x1b':
			end := i + 1
			for end < len(text) && (text[end] == '[' || text[end] >= '0' && text[end] <= '9') {
				end++
			}
			switch code := string(text[i:min(end+1, len(text))]); code {
			case "\x1b[K":
				s.row = s.row[:s.cursor]
			case "\x1b[2m", "\x1b[0m":
			default:
				s.t.Fatalf("the screen does not know %q", code)
			}
			i = end
		case r < ' ':
			s.t.Fatalf("control character %q", r)
		default:
			if s.cursor+1 >= s.width {
				s.t.Fatalf("the line reaches column %d of %d: %q", s.cursor+1, s.width, string(s.row))
			}
			s.row = append(s.row[:s.cursor], r)
			s.cursor++
		}
	}
	return len(p), nil
}

func (s *screen) String() string { return string(s.row) }

func TestProgressLine(t *testing.T) {
	p50 := int64(20_100_000)
	p := Progress{Elapsed: 1640 * time.Millisecond, Total: 4 * time.Second, Sent: 820, Delivered: 790, Lost: 12, Scheduled: 2000, DelayP50NS: &p50}
	for _, color := range []bool{false, true} {
		s := &screen{t: t, width: 90}
		l := NewProgressLine(s, s.width, color)
		l.Update(p)
		if got, want := s.String(), " 1.6 s of 4.0 s · 820 of 2000 sent · 790 delivered · 12 lost · p50 20.1 ms"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		l.Update(p)
		if s.writes != 1 {
			t.Error("the same line was written again")
		}
		l.Update(Progress{Label: "udp", Elapsed: time.Second})
		if got, want := s.String(), " udp · 1.0 s · 0 sent · 0 delivered · 0 lost"; got != want {
			t.Errorf("a shorter line: got %q, want %q", got, want)
		}
		l.Done()
		if s.String() != "" || s.cursor != 0 {
			t.Errorf("left on the screen: %q, cursor at %d", s, s.cursor)
		}
		writes := s.writes
		l.Done()
		if s.writes != writes {
			t.Error("nothing was cleared twice")
		}
		l.Update(p)
		if s.String() == "" {
			t.Error("Done was the end")
		}
	}
}

func TestProgressLineNarrow(t *testing.T) {
	p := Progress{Elapsed: 90 * time.Second, Total: 2 * time.Hour, Sent: 820, Delivered: 790, Lost: 12}
	for width, want := range map[int]string{
		5: "", 20: "", 24: " 1:30 min of 2:00:00 h", 35: " 1:30 min of 2:00:00 h · 820 sent",
	} {
		s := &screen{t: t, width: width}
		NewProgressLine(s, width, true).Update(p)
		if s.String() != want {
			t.Errorf("width %d: got %q, want %q", width, s, want)
		}
	}
	s := &screen{t: t, width: 80} // a width that is not known is 80
	NewProgressLine(s, 0, false).Update(p)
	if !strings.HasSuffix(s.String(), "12 lost") {
		t.Errorf("got %q", s)
	}
}

func TestProgressLineWait(t *testing.T) {
	for _, x := range []struct {
		width   int
		elapsed time.Duration
		want    string
	}{
		{80, 15 * time.Second, " TIME_WAIT ██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 15.0 s of 1:00 min"},
		{40, 30 * time.Second, " TIME_WAIT ████░░░░░ 30.0 s of 1:00 min"},
		{40, 62 * time.Second, " TIME_WAIT ███████ 1:02 min of 1:00 min"},
		{31, 30 * time.Second, " TIME_WAIT  30.0 s of 1:00 min"},
		{20, 30 * time.Second, ""},
	} {
		s := &screen{t: t, width: x.width}
		l := NewProgressLine(s, x.width, false)
		l.Wait("TIME_WAIT", x.elapsed, time.Minute)
		if s.String() != x.want {
			t.Errorf("width %d: got %q, want %q", x.width, s, x.want)
		}
		if l.Done(); s.String() != "" {
			t.Errorf("left on the screen: %q", s)
		}
	}
}

func TestProgressLineLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &screen{t: t, width: rapid.IntRange(1, 120).Draw(t, "width")}
		l := NewProgressLine(s, s.width, rapid.Bool().Draw(t, "color"))
		for range 4 {
			l.Update(Progress{
				Label:   rapid.String().Draw(t, "label"),
				Elapsed: time.Duration(rapid.Int64().Draw(t, "elapsed")), Total: time.Duration(rapid.Int64().Draw(t, "total")),
				Sent: rapid.Int64().Draw(t, "sent"), Delivered: rapid.Int64().Draw(t, "delivered"),
				Lost: rapid.Int64().Draw(t, "lost"), Scheduled: rapid.Int64().Draw(t, "scheduled"),
				DelayP50NS: rapid.Ptr(rapid.Int64(), true).Draw(t, "p50"),
			})
			l.Wait(rapid.String().Draw(t, "what"), time.Duration(rapid.Int64().Draw(t, "waited")), time.Duration(rapid.Int64().Draw(t, "to wait")))
		}
		l.Done()
		if s.String() != "" {
			t.Fatalf("left on the screen: %q", s)
		}
	})
}

func TestClockText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 0: "0.0 s", 999 * time.Millisecond: "0.9 s", 59999 * time.Millisecond: "59.9 s",
		time.Minute: "1:00 min", 61 * time.Second: "1:01 min", time.Hour: "1:00:00 h", 25*time.Hour + 3*time.Second: "25:00:03 h",
	} {
		if got := clockText(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
