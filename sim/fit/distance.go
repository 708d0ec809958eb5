package fit

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// kolmogorovSmirnov is the largest distance between the distributions of two
// histograms over the same bins. Their sums need not be equal.
func kolmogorovSmirnov(got, want []float64) float64 {
	bins := make([]float64, len(got))
	for i := range bins {
		bins[i] = float64(i)
	}
	return stat.KolmogorovSmirnov(bins, got, bins, want)
}

// totalVariation is the share of one distribution over unordered kinds that must be
// moved to make the other.
func totalVariation(got, want []float64) float64 {
	gotSum, wantSum, moved := sum(got), sum(want), 0.0
	for i := range got {
		moved += math.Abs(got[i]/gotSum - want[i]/wantSum)
	}
	return moved / 2
}

// outside is how far got is from low … high, as a share of the bound that it is beyond.
func outside(got, low, high float64) float64 {
	switch {
	case got >= low && got <= high:
		return 0
	case got < low:
		return (low - got) / low
	}
	return (got - high) / high // no number if got is none
}

// hoursApart is the distance between two times of day, in hours.
func hoursApart(a, b float64) float64 { return math.Abs(math.Remainder(a-b, 24)) }

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
