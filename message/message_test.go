package message_test

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"netcmp/message"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sizes are those that matter on a path: the smallest useful message, the
// default, a full packet, and one that only a stream carries.
var sizes = []int{64, 500, 1400, 131072}

func sealed(size int, h message.Header) []byte {
	b := make([]byte, size)
	message.Fill(b[message.HeaderSize:], h.Number)
	message.Seal(b, h)
	return b
}

func headers() *rapid.Generator[message.Header] {
	return rapid.Custom(func(t *rapid.T) message.Header {
		return message.Header{
			Kind:    rapid.SampledFrom([]message.Kind{message.Data, message.Reply}).Draw(t, "kind"),
			Session: rapid.Uint64().Draw(t, "session"),
			Number:  rapid.Uint64Max(message.MaxNumber).Draw(t, "number"),
			Planned: rapid.Int64().Draw(t, "planned"),
			Sent:    rapid.Int64().Draw(t, "sent"),
		}
	})
}

// What is appended parses to the same header, leaves what stood before it
// alone, and is what Seal writes.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := headers().Draw(t, "header")
		h.Length = rapid.Int().Draw(t, "ignored length")
		payload := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "payload")
		before := rapid.SliceOf(rapid.Byte()).Draw(t, "before")

		all := message.AppendTo(bytes.Clone(before), h, payload)
		if !bytes.HasPrefix(all, before) {
			t.Fatal("the bytes before the message changed")
		}
		b := all[len(before):]
		h.Length = message.HeaderSize + len(payload)
		got, err := message.Parse(b)
		if err != nil || got != h {
			t.Fatalf("parsed %+v, %v\nwant   %+v", got, err, h)
		}
		if !bytes.Equal(b[message.HeaderSize:], payload) {
			t.Fatal("the payload changed")
		}
		buf := append(make([]byte, message.HeaderSize), payload...)
		message.Seal(buf, h)
		if !bytes.Equal(buf, b) {
			t.Fatal("Seal and AppendTo differ")
		}
	})
}

// A stream of messages, however it is chopped, is cut into the same messages.
func TestFraming(t *testing.T) {
	const largest = message.HeaderSize + 300
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(headers(), 0, 10).Draw(t, "headers")
		var stream []byte
		for i := range want {
			payload := make([]byte, rapid.IntRange(0, largest-message.HeaderSize).Draw(t, "size"))
			want[i].Length = message.HeaderSize + len(payload)
			stream = message.AppendTo(stream, want[i], payload)
		}
		var got []message.Header
		var buf []byte
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "chunk")
			buf, stream = append(buf, stream[:n]...), stream[n:]
			for {
				n, err := message.Length(buf, largest)
				if errors.Is(err, message.ErrShort) || err == nil && n > len(buf) {
					break // more is to come
				}
				if err != nil {
					t.Fatal(err)
				}
				h, err := message.Parse(buf[:n])
				if err != nil {
					t.Fatal(err)
				}
				got, buf = append(got, h), buf[n:]
			}
		}
		if len(buf) != 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d bytes left over; got %v, want %v", len(buf), got, want)
		}
	})
}

func flip(b []byte, bit int) { b[bit/8] ^= 1 << (bit % 8) }

// One flipped bit is found wherever it is, and so are two.
func TestEveryFlipIsFound(t *testing.T) {
	b := sealed(64, message.Header{Session: 7, Number: 3, Planned: 1e9, Sent: 1e9 + 5})
	bits := len(b) * 8
	for i := range bits {
		flip(b, i)
		if _, err := message.Parse(b); !errors.Is(err, message.ErrCorrupt) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
		for j := range i {
			flip(b, j)
			if _, err := message.Parse(b); !errors.Is(err, message.ErrCorrupt) {
				t.Fatalf("bits %d and %d flipped: %v", i, j, err)
			}
			flip(b, j)
		}
		flip(b, i)
	}
	if _, err := message.Parse(b); err != nil {
		t.Fatalf("whole again: %v", err)
	}
}

// Up to three flips are found in messages of any size.
func TestFlipsInLargeMessages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range sizes {
		b := sealed(size, message.Header{Session: rng.Uint64(), Number: 1 << 40})
		for range 500 {
			// Sorted and without repeats: the same bit twice is no flip at all.
			bits := make([]int, 1+rng.IntN(3))
			for i := range bits {
				bits[i] = rng.IntN(size * 8)
			}
			slices.Sort(bits)
			bits = slices.Compact(bits)
			for _, bit := range bits {
				flip(b, bit)
			}
			if _, err := message.Parse(b); !errors.Is(err, message.ErrCorrupt) {
				t.Fatalf("%d bytes, bits %v flipped: %v", size, bits, err)
			}
			for _, bit := range bits {
				flip(b, bit)
			}
		}
	}
}

// A message that lost bytes or has bytes behind it is not one message.
func TestCutOrGrown(t *testing.T) {
	b := sealed(100, message.Header{Number: 1})
	for n := range b {
		_, err := message.Parse(b[:n])
		want := message.ErrCorrupt
		if n < message.HeaderSize {
			want = message.ErrShort
		}
		if !errors.Is(err, want) {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(b), err, want)
		}
	}
	if _, err := message.Parse(append(b, 0)); !errors.Is(err, message.ErrCorrupt) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestErrors(t *testing.T) {
	other := sealed(64, message.Header{})
	other[0] = 2
	if _, err := message.Parse(other); !errors.Is(err, message.ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
	unknown := sealed(64, message.Header{Kind: 3}) // its checksum holds
	if _, err := message.Parse(unknown); !errors.Is(err, message.ErrCorrupt) || errors.Is(err, message.ErrVersion) {
		t.Errorf("kind 3: %v", err)
	}
	if errors.Is(message.ErrShort, message.ErrCorrupt) {
		t.Error("a message of which more may come is not a corrupt one")
	}
}

func TestLength(t *testing.T) {
	whole := sealed(500, message.Header{})
	with := func(at int, v ...byte) []byte {
		b := bytes.Clone(whole[:message.HeaderSize])
		copy(b[at:], v)
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		max  int
		n    int
		err  error
	}{
		{"a header is enough", whole[:40], 500, 500, nil},
		{"more does not matter", append(bytes.Clone(whole), 1, 2, 3), 500, 500, nil},
		{"nothing", nil, 500, 0, message.ErrShort},
		{"one byte short", whole[:39], 500, 0, message.ErrShort},
		{"above max", whole, 499, 0, message.ErrCorrupt},
		{"max below a header", whole, 0, 0, message.ErrCorrupt},
		{"max negative", whole, -1, 0, message.ErrCorrupt},
		{"huge", with(32, 0xff), 1 << 24, 0, message.ErrCorrupt},
		{"below a header", with(32, 0, 0, 0, 39), 500, 0, message.ErrCorrupt},
		{"the header alone", with(32, 0, 0, 0, 40), 500, 40, nil},
		{"version", with(0, 0), 500, 0, message.ErrCorrupt},
		{"kind", with(1, 3), 500, 0, message.ErrCorrupt},
	} {
		if n, err := message.Length(c.b, c.max); n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, n, err, c.n, c.err)
		}
	}
}

func TestSealPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"no room":          func() { message.Seal(make([]byte, message.HeaderSize-1), message.Header{}) },
		"number too large": func() { message.Seal(make([]byte, 64), message.Header{Number: message.MaxNumber + 1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// The layout is a promise between versions: these bytes may not change while
// the version is 1.
func TestGolden(t *testing.T) {
	const at = 0x1122334455667788
	cases := []struct {
		name    string
		header  message.Header
		payload int
	}{
		{"empty", message.Header{}, 0},
		{"data", message.Header{Session: 0xa1a2a3a4a5a6a7a8, Number: 0xb1b2b3b4b5b6, Planned: at, Sent: at + 1}, 24},
		{"reply", message.Header{Kind: message.Reply, Session: 1, Number: message.MaxNumber, Planned: -1, Sent: math.MinInt64}, 3},
	}
	var dump strings.Builder
	for _, c := range cases {
		payload := make([]byte, c.payload)
		message.Fill(payload, 42)
		fmt.Fprintf(&dump, "%s %+v\n%s\n", c.name, c.header, hex.Dump(message.AppendTo(nil, c.header, payload)))
	}
	golden := filepath.Join("testdata", "layout.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(dump.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if dump.String() != string(want) {
		t.Errorf("got\n%swant\n%s", dump.String(), want)
	}
}

// Nothing here allocates: it runs once a message.
func TestNoAllocation(t *testing.T) {
	for _, size := range sizes {
		b := sealed(size, message.Header{})
		payload, room := b[message.HeaderSize:], make([]byte, 0, size)
		h := message.Header{Session: 9, Number: 1}
		for name, f := range map[string]func(){
			"Seal":     func() { message.Seal(b, h) },
			"AppendTo": func() { room = message.AppendTo(room[:0], h, payload) },
			"Parse":    func() { _, _ = message.Parse(b) },
			"broken":   func() { _, _ = message.Parse(b[:size-1]) },
			"Length":   func() { _, _ = message.Length(b, size) },
			"Fill":     func() { message.Fill(payload, 1) },
		} {
			if n := testing.AllocsPerRun(20, f); n != 0 {
				t.Errorf("%s of %d bytes: %v allocations", name, size, n)
			}
		}
	}
}

// A payload depends on its seed alone, a shorter one begins a longer one, and
// neighbouring seeds share nothing.
func TestFill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		long := make([]byte, rapid.IntRange(0, 300).Draw(t, "size"))
		message.Fill(long, seed)
		short := make([]byte, rapid.IntRange(0, len(long)).Draw(t, "shorter"))
		message.Fill(short, seed)
		if !bytes.HasPrefix(long, short) {
			t.Fatalf("%x does not begin %x", short, long)
		}
		if len(long) < 8 {
			return
		}
		other := make([]byte, 300)
		for _, d := range []uint64{1, 2, 1 << 32} {
			message.Fill(other, seed+d)
			if bytes.Contains(other, long[:8]) {
				t.Fatalf("seeds %d and %d share bytes", seed, seed+d)
			}
		}
	})
}

func TestFillDoesNotCompress(t *testing.T) {
	payload := make([]byte, 1<<17)
	message.Fill(payload, 1)
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(payload); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() < len(payload) {
		t.Errorf("%d bytes compressed to %d", len(payload), out.Len())
	}
}

// Whatever the bytes, Parse and Length stay in bounds, and what parses is
// sealed to the same bytes again.
func FuzzParse(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(sealed(message.HeaderSize, message.Header{}), 40)
	f.Add(sealed(64, message.Header{Kind: message.Reply, Session: 1, Number: message.MaxNumber, Planned: -1, Sent: 2}), 64)
	f.Add(sealed(500, message.Header{Number: 9})[:499], 1500)
	f.Fuzz(func(t *testing.T, b []byte, max int) {
		n, err := message.Length(b, max)
		if err == nil && (n < message.HeaderSize || n > max) || err != nil && n != 0 {
			t.Fatalf("Length: %d, %v with max %d", n, err, max)
		}
		h, err := message.Parse(b)
		if err != nil {
			if h != (message.Header{}) {
				t.Fatalf("%+v beside %v", h, err)
			}
			return
		}
		if n, err := message.Length(b, len(b)); n != len(b) || err != nil || h.Length != n {
			t.Fatalf("parsed a message of %d bytes whose length is %d, %v", len(b), n, err)
		}
		again := bytes.Clone(b)
		clear(again[:message.HeaderSize])
		message.Seal(again, h)
		if !bytes.Equal(again, b) {
			t.Fatalf("%x\nsealed again is\n%x", b, again)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	bench(b, func(buf []byte) { message.Seal(buf, message.Header{Session: 1, Number: 2}) })
}

func BenchmarkParse(b *testing.B) {
	bench(b, func(buf []byte) {
		if _, err := message.Parse(buf); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	bench(b, func(buf []byte) { message.Fill(buf[message.HeaderSize:], 1) })
}

func bench(b *testing.B, f func([]byte)) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			buf := sealed(size, message.Header{Number: 1})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				f(buf)
			}
		})
	}
}
