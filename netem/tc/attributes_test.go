package tc

import (
	"bytes"
	"errors"
	"testing"

	"netcmp/netem"
)

// paths are what is tried on the encoding, on the kernel and on tc itself.
var paths = []string{
	"",
	"limit 5000",
	"delay 20ms",
	"delay 100us",
	"delay 20ms 5ms",
	"delay 20ms 5ms 25%",
	"delay 20ms 5ms distribution normal",
	"delay 100ms 20ms distribution pareto",
	"delay 100ms 20ms distribution paretonormal",
	"delay 274s",
	"loss 1%",
	"loss 5% 25%",
	"loss 0.0001%",
	"loss 100%",
	"loss state 3% 40% 10% 60% 0.2%",
	"loss state 1%",
	"loss gemodel 2% 25%",
	"loss gemodel 2% 25% 70% 1%",
	"loss gemodel 10%",
	"loss 2% ecn",
	"duplicate 12%",
	"duplicate 12% 30% loss 1% 10%",
	"corrupt 3%",
	"corrupt 3% 20%",
	"delay 10ms reorder 25%",
	"delay 10ms reorder 25% 50% gap 5",
	"rate 1mbit",
	"rate 1mbit 20 48 5",
	"rate 1mbit -14",
	"rate 40gbit",
	"rate 2mbit delay 10ms 5ms limit 200",
	"slot 10ms",
	"slot 800us 1ms packets 32 bytes 65536",
	"slot distribution normal 5ms 1ms",
	"delay 30ms 7ms distribution normal loss gemodel 1% 30% duplicate 1% corrupt 0.1% reorder 5% gap 3 rate 10mbit limit 3000",
}

// untold is i without what the kernel does not tell: the table of its jitter.
func untold(i netem.Impairment) netem.Impairment {
	i.Distribution = netem.Uniform
	if i.Slot.Jitter != 0 {
		i.Slot.Distribution = netem.Normal
	}
	return i
}

// What is encoded is read back.
func TestEncodeDecode(t *testing.T) {
	for _, spec := range paths {
		i, err := netem.Parse(spec)
		if err != nil {
			t.Fatalf("%q: %v", spec, err)
		}
		for _, whole := range []bool{false, true} {
			b, err := Encode(i, whole)
			if err != nil {
				t.Fatalf("%q: %v", spec, err)
			}
			got, err := Decode(b)
			if err != nil {
				t.Fatalf("%q: %v", spec, err)
			}
			if want := untold(i).String(); got.String() != want {
				t.Errorf("%q comes back as %q", want, got)
			}
		}
	}
}

// TestUniformTable: the table that stands for none has mean 0 and its ends at
// one jitter.
func TestUniformTable(t *testing.T) {
	table := uniformTable()
	sum := 0
	for k, v := range table {
		sum += int(v)
		if k > 0 && v <= table[k-1] {
			t.Fatalf("entry %d does not rise", k)
		}
	}
	if n := len(table); table[0] < -8192 || table[0] > -8180 || table[n-1] > 8192 || table[n-1] < 8180 || sum > n || sum < -n {
		t.Errorf("from %d to %d, sum %d", table[0], table[n-1], sum)
	}
}

func TestRefuse(t *testing.T) {
	for _, spec := range []string{"loss list 1,2", "delay 10ms 2ms noreorder", "rate 1mbit queue codel"} {
		i, err := netem.Parse(spec)
		if err != nil {
			t.Fatalf("%q: %v", spec, err)
		}
		if _, err := Encode(i, false); !errors.Is(err, ErrExtension) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// FuzzDecode: whatever the kernel may say, it is an impairment or an error, and
// one that can be told to it is told back the same.
func FuzzDecode(f *testing.F) {
	for _, spec := range paths {
		i, err := netem.Parse(spec)
		if err != nil {
			f.Fatal(err)
		}
		b, err := Encode(i, false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 400)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := Decode(bytes.Clone(b))
		if err != nil {
			return
		}
		again, err := Encode(i, false)
		if err != nil {
			return // what the kernel takes and tc does not
		}
		if got, err := Decode(again); err != nil || got.String() != untold(i).String() {
			t.Errorf("%q comes back as %q, %v", i, got, err)
		}
	})
}
