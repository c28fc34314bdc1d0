package netem

import (
	"slices"
	"strings"
	"testing"
)

func TestBareNumbers(t *testing.T) {
	const ms = ", or %ms for milliseconds"
	line := func(name, word string) string {
		return name + " " + word + ": taken as " + word + " µs, as tc does; write " + word + "us" + strings.ReplaceAll(ms, "%", word)
	}
	for spec, want := range map[string][]string{
		"":                        nil,
		"delay 20ms 5ms loss 2":   nil, // a bare percentage is what it seems
		"delay 0 limit 50 gap 0":  nil,
		"delay 20":                {line("delay", "20")},
		"latency 1e3 5 25":        {line("delay", "1e3"), line("jitter", "5")},
		"slot 5 10ms bytes 3":     {line("slot", "5")},
		"rate 10":                 {"rate 10: taken as 10 bit/s, as tc does; write 10bit, or 10mbit for Mbit/s"},
		"rate 1mbit 14 48":        nil, // bytes
		"delay 20 loss 120% rate": {line("delay", "20")},
	} {
		if got := BareNumbers(spec); !slices.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", spec, got, want)
		}
	}
	got := BareInTimeline([]string{"5 up delay 20", "# 7 delay 30", "5 down delay 20", "0 none", "6s clean", "x"})
	if want := []string{"the instant 5: taken as 5 µs, as tc does; write 5us, or 5s for seconds", line("delay", "20")}; !slices.Equal(got, want) {
		t.Errorf("timeline:\n got %q\nwant %q", got, want)
	}
}
