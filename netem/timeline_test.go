package netem

import (
	"strings"
	"testing"
	"time"
)

func path(t testing.TB, up, down string) Path {
	t.Helper()
	a, err := Parse(up)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(down)
	if err != nil {
		t.Fatal(err)
	}
	return Path{Up: a, Down: b}
}

// A change sets what it names and leaves the rest as it was before.
func TestTimeline(t *testing.T) {
	got, err := path(t, "delay 20ms loss 2%", "delay 20ms").Timeline([]string{
		"5s loss 100%   # a blackout",
		"",
		"# a comment",
		"5500ms up loss 1%",
		"6s down rate 1mbit",
		"7s none",
		"7s delay 1ms",
		"8s clean",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{5 * time.Second, path(t, "delay 20ms loss 100%", "delay 20ms loss 100%")},
		{5500 * time.Millisecond, path(t, "delay 20ms loss 1%", "delay 20ms loss 100%")},
		{6 * time.Second, path(t, "delay 20ms loss 1%", "delay 20ms loss 100% rate 1mbit")},
		{7 * time.Second, path(t, "", "")},
		{7 * time.Second, path(t, "delay 1ms", "delay 1ms")},
		{8 * time.Second, path(t, "", "")},
	}
	if len(got) != len(want) {
		t.Fatalf("%d changes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("change %d:\n got %v %q %q\nwant %v %q %q", i, got[i].At, got[i].Path.Up, got[i].Path.Down, want[i].At, want[i].Path.Up, want[i].Path.Down)
		}
	}
}

func TestTimelineErrors(t *testing.T) {
	for _, x := range []struct{ lines, want string }{
		{"5s", "no arguments"},
		{"5s up", "no arguments"},
		{"soon loss 1%", "soon"},
		{"-5s loss 1%", "-5s"},
		{"2401h loss 1%", "unknown unit"},
		{"8640001s loss 1%", "its time 8640001s is too long: want 0 to 8640000s (100 days)"},
		{"5s loss 120%", "120%"},
		{"5s sideways loss 1%", "sideways"},
		{"5s loss 1%\n4s loss 2%", "before"},
		{"1s loss 1%\n2s reorder 5%", "change 2"},
	} {
		_, err := path(t, "", "").Timeline(strings.Split(x.lines, "\n"))
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", x.lines, err, x.want)
		}
	}
}

// Whatever is read gives paths that can be made.
func FuzzTimeline(f *testing.F) {
	f.Add("5s loss 100%\n5.5s up loss 1%\n7s none")
	f.Add("1 delay 1ms 1ms distribution normal\n2 slot 1ms")
	f.Fuzz(func(t *testing.T, text string) {
		changes, err := path(t, "delay 20ms loss 2%", "delay 1ms rate 1mbit").Timeline(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		for _, c := range changes {
			if c.At < 0 || c.Path.Up.Validate() != nil || c.Path.Down.Validate() != nil {
				t.Errorf("%v: %q, %q", c.At, c.Path.Up, c.Path.Down)
			}
		}
	})
}
