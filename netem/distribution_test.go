package netem

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNormalTable(t *testing.T) {
	table := tables[Normal]()
	sum, squares := 0.0, 0.0
	for k, v := range table {
		if k > 0 && v < table[k-1] {
			t.Fatalf("entry %d is %d after %d: not a quantile function", k, v, table[k-1])
		}
		x := float64(v) / tableScale
		sum, squares = sum+x, squares+x*x
	}
	mean := sum / tableSize
	sd := math.Sqrt(squares/tableSize - mean*mean)
	// The figures of the normal table in reference.md.
	if math.Abs(mean+0.001) > 0.0005 || math.Abs(sd-1) > 0.0005 || table[0] != -4*tableScale || math.Abs(float64(table[tableSize-1])/tableScale-3.52) > 0.005 {
		t.Errorf("mean %.4f, sd %.4f, from %.3f to %.3f", mean, sd, float64(table[0])/tableScale, float64(table[tableSize-1])/tableScale)
	}
	t.Logf("mean %.5f, sd %.5f, from %.3f to %.3f", mean, sd, float64(table[0])/tableScale, float64(table[tableSize-1])/tableScale)
}

// TestNormalTableIsTcs compares with the table that tc gives the kernel, where
// iproute2 is installed.
func TestNormalTableIsTcs(t *testing.T) {
	files, _ := filepath.Glob("/usr/lib*/tc/normal.dist")
	multiarch, _ := filepath.Glob("/usr/lib/*/tc/normal.dist")
	files = append(files, multiarch...)
	if len(files) == 0 {
		t.Skip("iproute2's normal.dist is not installed")
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var theirs []int
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, word := range strings.Fields(line) {
			var v int
			if _, err := fmt.Sscan(word, &v); err != nil {
				t.Fatal(err)
			}
			theirs = append(theirs, v)
		}
	}
	if len(theirs) != tableSize {
		t.Fatalf("%s has %d entries", files[0], len(theirs))
	}
	differ, most := 0, 0
	for k, ours := range tables[Normal]() {
		if d := max(int(ours)-theirs[k], theirs[k]-int(ours)); d > 0 {
			differ++
			most = max(most, d)
		}
	}
	t.Logf("%d of %d entries differ from %s, by %d at most", differ, tableSize, files[0], most)
	if most > 1 {
		t.Errorf("an entry differs by %d/%d of a standard deviation", most, tableScale)
	}
}

func TestParseDistribution(t *testing.T) {
	for name, want := range map[string]Distribution{"": Uniform, "uniform": Uniform, "normal": Normal} {
		if got, err := ParseDistribution(name); err != nil || got != want {
			t.Errorf("ParseDistribution(%q) = %q, %v", name, string(got), err)
		}
	}
	for _, name := range []string{"norm", "Normal", "pareto", "../normal"} {
		if got, err := ParseDistribution(name); err == nil || got != Uniform {
			t.Errorf("ParseDistribution(%q) = %q, %v", name, string(got), err)
		}
	}
}

// TestTabledDelayArithmetic checks the split arithmetic against the product it
// stands for: at most a nanosecond apart.
func TestTabledDelayArithmetic(t *testing.T) {
	for _, jitter := range []int64{1, 8191, 8192, 8193, 5_000_000, 123_456_789, int64(MaxJitter)} {
		d := jitteredDelay{mean: 10_000_000, jitter: jitter, table: tables[Normal](), draws: newStream(1, drawJitter)}
		for n := range uint64(20_000) {
			v := float64(d.table[d.draws.uint32(n)%tableSize])
			want := 1e7 + float64(jitter)*v/tableScale
			if got := float64(d.at(n)); math.Abs(got-want) > 1 {
				t.Fatalf("jitter %d, table %v: %v, want %v", jitter, v, got, want)
			}
		}
	}
}

// TestUniformDelayArithmetic: the draw modulo twice the jitter, down to a
// jitter of a nanosecond and up to the largest, whose double just fits 32 bits.
func TestUniformDelayArithmetic(t *testing.T) {
	for _, jitter := range []int64{1, 3, 5_000_000, int64(MaxJitter)} {
		d := jitteredDelay{mean: 10_000_000, jitter: jitter, draws: newStream(1, drawJitter)}
		for n := range uint64(20_000) {
			want := 10_000_000 - jitter + int64(d.draws.uint32(n))%(2*jitter)
			if got := d.at(n); got != want || got < d.mean-jitter || got >= d.mean+jitter {
				t.Fatalf("jitter %d, draw %d: %d, want %d", jitter, d.draws.uint32(n), got, want)
			}
		}
	}
}
