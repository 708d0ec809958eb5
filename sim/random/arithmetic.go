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
	rr := float64(r * r)
	sum := (1.0/3 - float64(r*(1.0/4))) + float64(rr*(1.0/5-float64(r*(1.0/6))))
	sum = r + (float64(rr*float64(r*sum)) - float64(rr*0.5))
	k := float64(exponent)
	return (float64(k*ln2High) + part.ln) + (float64(k*ln2Low) + sum)
}

// expBits index the table of Exp by how many 64ths of a doubling an exponent has.
const expBits = 6

// expTable has 2^(i/64).
var expTable = func() (table [1 << expBits]float64) {
	for i := range table {
		table[i] = expSeries(float64(i) / (1 << expBits) * math.Ln2)
	}
	return table
}()

// expSeries is e^x for an x from 0 to 1, to about 1e-16.
func expSeries(x float64) float64 {
	sum := 1.0
	for n := 20; n >= 1; n-- {
		sum = 1 + float64(x*sum)/float64(n)
	}
	return sum
}

// Exp is e^x, to about 1e-15; beyond 700 it is that of 700, and beyond -700 that of -700.
func Exp(x float64) float64 {
	const parts = 1 << expBits
	if x > 700 {
		x = 700
	} else if x < -700 {
		x = -700
	}
	k := math.Floor(float64(x*(parts/math.Ln2)) + 0.5)
	r := x - float64(k*(ln2High/parts)) - float64(k*(ln2Low/parts)) // within 2^-7: five terms of the series are enough
	rr := float64(r * r)
	more := r + float64(rr*(1.0/2+float64(r*(1.0/6)))) + float64(float64(rr*rr)*(1.0/24+float64(r*(1.0/120))))
	n := int64(k)
	part := expTable[n&(parts-1)]
	return math.Float64frombits(math.Float64bits(part+float64(part*more)) + uint64(n>>expBits)<<52)
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

// turnBits index the table of cosQuarter by how many 256ths of a turn an angle has.
const turnBits = 8

// turnTable has the cosine and the sine of i/256 of a turn, up to a quarter.
var turnTable = func() (table [1<<turnBits/4 + 1]struct{ cos, sin float64 }) {
	for i := range table {
		turn := float64(float64(i) / (1 << turnBits))
		table[i].cos, table[i].sin = cosSeries(turn), cosSeries(0.25-turn)
	}
	return table
}()

// cosQuarter is cos(2π·turn) for a turn from 0 to a quarter.
func cosQuarter(turn float64) float64 {
	k := math.Floor(float64(turn*(1<<turnBits)) + 0.5)
	x := float64(2 * math.Pi * (turn - float64(k*(1.0/(1<<turnBits))))) // within 2^-6: three terms of each series are enough
	xx := float64(x * x)
	less := float64(xx * (1.0/2 - float64(xx*(1.0/24-float64(xx*(1.0/720)))))) // 1 - cos x
	sin := x - float64(float64(x*xx)*(1.0/6-float64(xx*(1.0/120))))
	part := &turnTable[int(k)]
	return part.cos - (float64(part.cos*less) + float64(part.sin*sin))
}

// cosSeries is cosQuarter, to about 1e-16.
func cosSeries(turn float64) float64 {
	x := 2 * math.Pi * turn // at most π/2
	xx := x * x
	sum := 1.0
	for n := 12; n >= 1; n-- {
		sum = 1 - float64(xx*sum)/float64(2*n*(2*n-1))
	}
	return sum
}
