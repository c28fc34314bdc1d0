package netem

import (
	"math"
	"path/filepath"
	"testing"
)

// TestTables against the figures of reference.md.
func TestTables(t *testing.T) {
	for _, c := range []struct {
		d                  Distribution
		mean, sd, from, to float64
	}{
		{Normal, -0.001, 1.000, -4, 3.52},
		{Pareto, -0.034, 0.820, -0.67, 4},
		{ParetoNormal, -0.025, 0.834, -1.5, 3.88},
	} {
		table := c.d.table()
		sum, squares := 0.0, 0.0
		for k, v := range table {
			if k > 0 && v < table[k-1] {
				t.Fatalf("%s: entry %d is %d after %d: not a quantile function", c.d, k, v, table[k-1])
			}
			x := float64(v) / tableScale
			sum, squares = sum+x, squares+x*x
		}
		mean := sum / tableSize
		sd := math.Sqrt(squares/tableSize - mean*mean)
		from, to := float64(table[0])/tableScale, float64(table[tableSize-1])/tableScale
		t.Logf("%s: mean %.5f, sd %.5f, from %.4f to %.4f", c.d, mean, sd, from, to)
		if len(table) != tableSize || math.Abs(mean-c.mean) > 0.0006 || math.Abs(sd-c.sd) > 0.0005 || math.Abs(from-c.from) > 0.005 || math.Abs(to-c.to) > 0.005 {
			t.Errorf("%s: mean %.4f, sd %.4f, from %.3f to %.3f; want %v", c.d, mean, sd, from, to, c)
		}
	}
}

// TestTablesAreTcs compares with the tables that tc gives the kernel, where
// iproute2 is installed, and reads its files by the way.
func TestTablesAreTcs(t *testing.T) {
	for _, d := range []Distribution{Normal, Pareto, ParetoNormal, "experimental"} {
		files, _ := filepath.Glob("/usr/lib*/tc/" + string(d) + ".dist")
		multiarch, _ := filepath.Glob("/usr/lib/*/tc/" + string(d) + ".dist")
		files = append(files, multiarch...)
		if len(files) == 0 {
			t.Skip("iproute2's tables are not installed")
		}
		file, err := ParseDistribution(files[0])
		if err != nil {
			t.Fatal(err)
		}
		theirs := file.table()
		if len(theirs) != tableSize {
			t.Fatalf("%s has %d entries", file, len(theirs))
		}
		if tables[d] == nil {
			continue
		}
		differ, most := 0, 0
		for k, ours := range d.table() {
			if d := max(int(ours)-int(theirs[k]), int(theirs[k])-int(ours)); d > 0 {
				differ++
				most = max(most, d)
			}
		}
		t.Logf("%d of %d entries differ from %s, by %d at most", differ, tableSize, file, most)
		if most > 1 {
			t.Errorf("%s: an entry differs by %d/%d of a standard deviation", d, most, tableScale)
		}
	}
}

func TestParseDistribution(t *testing.T) {
	for name, want := range map[string]Distribution{"": Uniform, "uniform": Uniform, "normal": Normal, "pareto": Pareto, "paretonormal": ParetoNormal} {
		if got, err := ParseDistribution(name); err != nil || got != want {
			t.Errorf("ParseDistribution(%q) = %q, %v", name, string(got), err)
		}
	}
	for _, name := range []string{"norm", "Normal", "experimental", "../normal"} {
		if got, err := ParseDistribution(name); err == nil || got != Uniform {
			t.Errorf("ParseDistribution(%q) = %q, %v", name, string(got), err)
		}
	}
}

// TestTabledDelayArithmetic checks the split arithmetic against the product it
// stands for: at most a nanosecond apart.
func TestTabledDelayArithmetic(t *testing.T) {
	for _, jitter := range []int64{1, 8191, 8192, 8193, 5_000_000, 123_456_789, int64(MaxJitter)} {
		d := jitteredDelay{mean: 10_000_000, jitter: jitter, table: tables[Normal](), draws: newCorrelated(1, drawJitter, 0)}
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
		d := jitteredDelay{mean: 10_000_000, jitter: jitter, draws: newCorrelated(1, drawJitter, 0)}
		for n := range uint64(20_000) {
			want := 10_000_000 - jitter + int64(d.draws.uint32(n))%(2*jitter)
			if got := d.at(n); got != want || got < d.mean-jitter || got >= d.mean+jitter {
				t.Fatalf("jitter %d, draw %d: %d, want %d", jitter, d.draws.uint32(n), got, want)
			}
		}
	}
}
