package random

import "math"

// The functions below are not math's because math's differ in the last bit from
// one processor to another. Every product that meets a sum is converted to
// float64, which forbids the compiler to fuse the two.

// Sqrt is math.Sqrt, which is rounded exactly everywhere.
func Sqrt(x float64) float64 { return math.Sqrt(x) }

const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)

// Ln is the natural logarithm of a positive, finite x, to about 1e-15.
func Ln(x float64) float64 {
	fraction, exponent := math.Frexp(x)
	if fraction < math.Sqrt2/2 {
		fraction *= 2
		exponent--
	}
	// ln m = 2 artanh z with z = (m-1)/(m+1), |z| < 0.172
	z := (fraction - 1) / (fraction + 1)
	zz := z * z
	sum := 0.0
	for k := 23; k >= 1; k -= 2 {
		sum = float64(sum*zz) + 1/float64(k)
	}
	k := float64(exponent)
	return float64(k*ln2High) + (float64(2*z*sum) + float64(k*ln2Low))
}

// Exp is e^x, to about 1e-15, for |x| < 700.
func Exp(x float64) float64 {
	k := math.Floor(float64(x/math.Ln2) + 0.5)
	r := (x - float64(k*ln2High)) - float64(k*ln2Low)
	sum := 1.0
	for n := 14; n >= 1; n-- {
		sum = 1 + float64(sum*r)/float64(n)
	}
	return math.Ldexp(sum, int(k))
}

// CosTurn is cos(2π·turn) for any finite turn, to about 1e-15.
func CosTurn(turn float64) float64 {
	turn = math.Abs(turn - math.Floor(turn+0.5)) // 0 … 1/2
	if turn > 0.25 {
		return -cosQuarter(0.5 - turn)
	}
	return cosQuarter(turn)
}

// SinTurn is sin(2π·turn).
func SinTurn(turn float64) float64 { return CosTurn(turn - 0.25) }

func cosQuarter(turn float64) float64 {
	x := 2 * math.Pi * turn // at most π/2
	xx := x * x
	sum := 1.0
	for n := 22; n >= 2; n -= 2 {
		sum = 1 - float64(sum*xx)/float64(n*(n-1))
	}
	return sum
}
