package fit

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestKolmogorovSmirnov(t *testing.T) {
	near(t, "the same shape", kolmogorovSmirnov([]float64{1, 2, 1}, []float64{10, 20, 10}), 0, 1e-12)
	near(t, "all in one bin", kolmogorovSmirnov([]float64{1, 1, 1, 1}, []float64{4, 0, 0, 0}), 0.75, 1e-12)
	near(t, "nothing in common", kolmogorovSmirnov([]float64{0, 0, 5}, []float64{1, 0, 0}), 1, 1e-12)
	// exp(1) and exp(2): sup |e^-x - e^-2x| is 1/4, at ln 2.
	exponential := func(rate float64) []float64 {
		return masses(20_000, 0.001, func(x float64) float64 { return 1 - math.Exp(-rate*x) })
	}
	near(t, "two exponentials", kolmogorovSmirnov(exponential(1), exponential(2)), 0.25, 1e-6)
	// Two normals a standard deviation apart: 2 Φ(1/2) - 1.
	shifted := func(by float64) []float64 {
		return masses(20_000, 0.001, func(x float64) float64 { return normal(x - 10 - by) })
	}
	near(t, "two normals", kolmogorovSmirnov(shifted(0), shifted(1)), 0.382925, 1e-6)
}

func TestTotalVariation(t *testing.T) {
	near(t, "the same shares", totalVariation([]float64{1, 3}, []float64{25, 75}), 0, 1e-12)
	near(t, "a tenth moved", totalVariation([]float64{6, 4}, []float64{7, 3}), 0.1, 1e-12)
	near(t, "nothing in common", totalVariation([]float64{1, 0}, []float64{0, 1}), 1, 1e-12)
}

func TestOutside(t *testing.T) {
	near(t, "in the range", outside(22, 21, 24), 0, 0)
	near(t, "below", outside(18.9, 21, 24), 0.1, 1e-12)
	near(t, "above", outside(26.4, 21, 24), 0.1, 1e-12)
	if got := outside(math.NaN(), 1, 2); got <= 1 { // what is not a number must not be near
		t.Errorf("no number: got %v", got)
	}
}

func TestHoursApart(t *testing.T) {
	near(t, "over midnight", hoursApart(23.5, 0.5), 1, 1e-12)
	near(t, "the other way", hoursApart(1, 22), 3, 1e-12)
}

func TestLognormal(t *testing.T) {
	near(t, "up to the median", lognormal(60, 60, 1.5), 0.5, 1e-12)
	near(t, "up to a sigma", lognormal(60*math.Exp(1.5), 60, 1.5), 0.841345, 1e-6)
	near(t, "nothing below 0", lognormal(0, 60, 1.5), 0, 0)
}
