package report

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netcmp/result"
)

var update = flag.Bool("update", false, "write the golden files anew")

func text(t *testing.T, d *result.Document, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, d, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextGolden(t *testing.T) {
	for name, build := range documents {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".txt", text(t, build(), Options{}))
		})
	}
	t.Run("narrow", func(t *testing.T) { golden(t, "narrow.txt", text(t, overrun(), Options{Width: 50})) })
	t.Run("terminal", func(t *testing.T) { golden(t, "terminal.txt", text(t, tcpLossy(), Options{Width: 80})) })
	t.Run("color", func(t *testing.T) { golden(t, "color.txt", text(t, overrun(), Options{Width: 100, Color: true})) })
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs\n--- got\n%s--- want\n%s", name, got, want)
	}
}

var escape = regexp.MustCompile("\x1b\\[[0-9]*m")

// Colour marks; it does not tell. And a text for a terminal has no line that
// is longer than it, but for the command.
func TestTextLawsOfLayout(t *testing.T) {
	for name, build := range documents {
		for _, width := range []int{0, 20, 40, 60, 72, 80, 100, 132, 200} {
			plain := text(t, build(), Options{Width: width})
			colored := text(t, build(), Options{Width: width, Color: true})
			if escape.ReplaceAllString(colored, "") != plain {
				t.Errorf("%s at %d: colour changes more than colour:\n%s\n%s", name, width, plain, colored)
			}
			if strings.Contains(plain, "\x1b") || strings.Contains(plain, nbsp) {
				t.Errorf("%s at %d: marks in a plain text", name, width)
			}
			for line := range strings.Lines(plain) {
				line = strings.TrimSuffix(line, "\n")
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s at %d: space at the end of %q", name, width, line)
				}
				if width >= 40 && columns(line) > width && !strings.HasPrefix(line, " again") {
					t.Errorf("%s: %d columns in a width of %d: %q", name, columns(line), width, line)
				}
			}
			if words, all := strings.Fields(plain), strings.Fields(text(t, build(), Options{})); len(strings.Join(words, "")) > len(strings.Join(all, "")) {
				t.Errorf("%s at %d: folding added words", name, width)
			}
		}
	}
}

func TestSentences(t *testing.T) {
	few := jittered()
	few.Delay.MinNS, few.Delay.P999NS = n(20_000_000), n(20_800_000)
	doubled := base("udp")
	doubled.Delivery.Duplicated = n(1)
	stuck := tcpLossy()
	stuck.Delivery.Delivered, stuck.Delivery.Lost = n(1999), n(1)
	single := base("udp")
	single.Plan.Count, single.Delivery = 1, result.Delivery{Scheduled: 1, Sent: 1, Delivered: n(1), Lost: n(0), Ratio: f(1)}
	negative := base("udp")
	negative.Account.Unexplained = n(-2)
	for _, c := range []struct {
		name string
		d    *result.Document
		want []string
	}{
		{"a letter", udpLossy(), []string{"Letters: 39 of 2000 never arrived; the other 1961 came on time, none waited for another."}},
		{"a call", tcpLossy(), []string{"Call: everything was heard, in order; 143 messages were head-of-line blocked behind a lost one, the longest silence was 280 ms. This machine read 22 messages more than 1 ms late."}},
		{"few late", few, []string{"Letters: all 2000 messages arrived on time but for a few, the slowest after 36.9 ms, none waited for another; 412 came out of order, by up to 7 messages. 21 further copies came of messages that were already there."}},
		{"one copy", doubled, []string{"Letters: all 2000 messages arrived on time, none waited for another. 1 further copy came of a message that was already there."}},
		{"account too long", negative, []string{"Letters: all 2000 messages arrived on time, none waited for another. The account of the missing is 2 too long, so the loss here is in doubt."}},
		{"one lost in a call", stuck, []string{"Call: 1999 of 2000 messages had been heard by the end, in order; 143 messages were head-of-line blocked behind a lost one, the longest silence was 280 ms. This machine read 22 messages more than 1 ms late. The other 1 had not come when the run stopped waiting."}},
		{"only one", single, []string{"Letters: the only message arrived on time."}},
		{"nothing sent", &result.Document{Proto: "tcp"}, []string{"Call: nothing was sent."}},
	} {
		if got := sentences(c.d); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// "on time" must not be said of a run with slow messages, whatever the loss.
func TestOnTimeIsEarned(t *testing.T) {
	for _, c := range []struct {
		name           string
		min, p90, slow int64
		late           int64
		onTime         bool
	}{
		{"steady", 20 * ms, 20 * ms, 21 * ms, 0, true},
		{"a tenth", 100 * ms, 105 * ms, 110 * ms, 0, true},
		{"over a tenth", 100 * ms, 115 * ms, 111 * ms, 0, false},
		{"one slow", 20 * ms, 30 * ms, 60 * ms, 0, false},
		{"steady and too late", 200 * ms, 200 * ms, 201 * ms, 7, false},
		{"loopback", ms / 50, ms / 20, ms / 2, 0, true},
	} {
		d := udpLossy()
		d.Delay.MinNS, d.Delay.P90NS, d.Delay.MaxNS, d.Delivery.Late = n(c.min), n(c.p90), n(c.slow), n(c.late)
		if got := strings.Contains(sentences(d)[0], "on time"); got != c.onTime {
			t.Errorf("%s: %s", c.name, sentences(d)[0])
		}
	}
}

// A saved file may come from anywhere; its escape sequences must not reach
// the terminal.
func TestTextDisarmsStrings(t *testing.T) {
	d := base("udp")
	d.Warnings = []string{"\x1b[31mred\x1b[0m\nsecond line\u202e"}
	d.Plan.NetemUp, d.Plan.Command, d.Engine = "\x1b]0;title\a", "netcmp\x00run", "e\u009b1m"
	d.Proto, d.Plan.Arrival, d.Plan.Congestion = "u\x1bdp", "\x1b", "\x1b"
	got := text(t, d, Options{})
	for _, r := range got {
		if r != '\n' && (r < ' ' || r == 0x7f || r == 0x9b || r == 0x202e) {
			t.Errorf("control character %U in:\n%s", r, got)
		}
	}
}

func TestTextErrors(t *testing.T) {
	if err := Text(&bytes.Buffer{}, nil, Options{}); err == nil {
		t.Error("no document, and no error")
	}
	if err := Text(brokenWriter{}, base("udp"), Options{}); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDisk }

func TestUseColor(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		terminal bool
		env      func(string) string
		want     bool
	}{
		{true, env("TERM", "xterm"), true},
		{true, env("TERM", "xterm", "NO_COLOR", ""), true},
		{true, env("TERM", "xterm", "NO_COLOR", "0"), false},
		{true, env("TERM", "dumb"), false},
		{true, env(), true},
		{false, env("TERM", "xterm"), false},
	} {
		if got := UseColor(c.terminal, c.env); got != c.want {
			t.Errorf("UseColor(%t, TERM=%q NO_COLOR=%q) = %t", c.terminal, c.env("TERM"), c.env("NO_COLOR"), got)
		}
	}
}

// TestBlockedAndReadLate: head-of-line blocking and reading late are rows of their own;
// what orders nothing has none of the first; documents that do not tell the two apart
// keep the name of both.
func TestBlockedAndReadLate(t *testing.T) {
	legacy := tcpLossy()
	legacy.Anatomy.BlockedNS, legacy.ReadLate = nil, nil
	for _, x := range []struct {
		name     string
		d        *result.Document
		has, not []string
	}{
		{"tcp", tcpLossy(), []string{"\n blocked    143 messages", "\n read late  22 messages"}, []string{"held back"}},
		{"udp", udpLossy(), []string{"\n silence    6.10 ms"}, []string{"blocked", "held back", "read late"}},
		{"an older version's", legacy, []string{"\n held back  143 messages"}, []string{"\n blocked", "\n read late"}},
	} {
		var b strings.Builder
		if err := Text(&b, x.d, Options{Width: 300}); err != nil {
			t.Fatal(err)
		}
		for _, want := range x.has {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", x.name, want, b.String())
			}
		}
		for _, no := range x.not {
			if strings.Contains(b.String(), no) {
				t.Errorf("%s: it says %q in\n%s", x.name, no, b.String())
			}
		}
	}
}
