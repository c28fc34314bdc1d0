package netem

import "math"

// The heavy tails of netem, as NIST Net made them and iproute2 ships them
// (netem/pareto.c, netem/paretonormal.c).

// paretoShape is the shape of netem's Pareto distribution. Its mean is 3/2 and
// its standard deviation √3/2 times the smallest value.
const paretoShape = 3

// paretoQuantile is the quantile function of the Pareto distribution with a
// smallest value of 1, moved to a mean of 0 and stretched by 4/3. That is no
// standard deviation of 1: it would be 1.155, and is 0.820 of the table, whose
// tail is cut at 4.
func paretoQuantile(p float64) float64 {
	return (math.Pow(1-p, -1./paretoShape) - 1.5) * 4 / 3
}

func paretoEntry(k int) int {
	return int(math.RoundToEven(min(paretoQuantile(float64(k)/tableSize)*tableScale, math.MaxInt16)))
}

// paretoNormalEntry adds a quarter of the normal quantile to three quarters of
// the Pareto one. Both are whole before they are added, and the fourth part is
// cut towards 0.
func paretoNormalEntry(k int) int { return (normalEntry(k) + 3*paretoEntry(k)) / 4 }
