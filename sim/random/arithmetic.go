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

// lnBits index the table of Ln by the leading bits of a fraction.
const lnBits = 7

// lnTable has, for each of 128 parts of 1/2 … 1, one over the part's middle, rounded,
// and the logarithm of the middle.
var lnTable = func() (table [1 << lnBits]struct{ inverse, ln float64 }) {
	for i := range table {
		table[i].inverse = 1 / ((float64(i) + 0.5 + 1<<lnBits) / (2 << lnBits))
		table[i].ln = -lnSeries(table[i].inverse)
	}
	return table
}()

// lnSeries is the natural logarithm of an x from 1 to 2, to about 1e-15.
func lnSeries(x float64) float64 {
	// ln x = 2 artanh z with z = (x-1)/(x+1), at most 1/3
	z := (x - 1) / (x + 1)
	zz := z * z
	sum := 0.0
	for k := 35; k >= 1; k -= 2 {
		sum = float64(sum*zz) + 1/float64(k)
	}
	return float64(2 * z * sum)
}

// Ln is the natural logarithm of a positive, finite, normal x, to about 1e-15.
func Ln(x float64) float64 {
	const fractionBits, half = 52, 0x3FE << 52
	b := math.Float64bits(x)
	exponent := int(b>>fractionBits) - 0x3FE
	fraction := math.Float64frombits(b&(1<<fractionBits-1) | half) // 1/2 … 1
	part := &lnTable[b>>(fractionBits-lnBits)&(1<<lnBits-1)]
	r := float64(fraction*part.inverse) - 1 // within 2^-8: six terms of the series are enough
	sum := float64(r*(-1.0/6)) + 1.0/5
	sum = float64(r*sum) - 1.0/4
	sum = float64(r*sum) + 1.0/3
	sum = float64(r*sum) - 1.0/2
	sum = float64(r*r*sum) + r
	k := float64(exponent)
	return (float64(k*ln2High) + part.ln) + (float64(k*ln2Low) + sum)
}

// Exp is e^x, to about 1e-15; beyond 700 it is that of 700, and beyond -700 that of -700.
func Exp(x float64) float64 {
	x = max(-700, min(x, 700))
	k := math.Floor(float64(x*(1/math.Ln2)) + 0.5)
	high, low := float64(k*ln2High), float64(k*ln2Low)
	r := x - high - low
	sum := inverseFactorials[len(inverseFactorials)-1]
	for n := len(inverseFactorials) - 2; n >= 0; n-- {
		sum = float64(sum*r) + inverseFactorials[n]
	}
	return math.Float64frombits(math.Float64bits(sum) + uint64(int64(k))<<52)
}

// inverseFactorials are 1/n!.
var inverseFactorials = func() (table [15]float64) {
	table[0] = 1
	for n := 1; n < len(table); n++ {
		table[n] = table[n-1] / float64(n)
	}
	return table
}()

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
	sum := cosTerms[len(cosTerms)-1]
	for n := len(cosTerms) - 2; n >= 0; n-- {
		sum = float64(sum*xx) + cosTerms[n]
	}
	return sum
}

// cosTerms are (-1)^n / (2n)!.
var cosTerms = func() (table [12]float64) {
	table[0] = 1
	for n := 1; n < len(table); n++ {
		table[n] = -table[n-1] / float64(2*n*(2*n-1))
	}
	return table
}()
