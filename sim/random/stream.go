// Package random draws numbers by counter: the n-th number of stream s under a
// seed is a pure function of (seed, s, n). Streams never depend on each other
// or on the order in which they are read, and a stream's whole state is its
// counter.
//
// Its floating point uses only operations that IEEE 754 rounds exactly, with
// no fused multiply-add, so the same seed gives the same numbers on every
// processor.
package random

import "math/bits"

const golden = 0x9E3779B97F4A7C15

// Mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014, with Stafford's
// constants): a bijection of 64 bits in which every input bit moves every
// output bit.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// Key is the identity of stream number stream under seed. Domain keeps apart
// the uses one stream number has (its behaviour, its session ids, …).
func Key(seed, domain, stream uint64) uint64 {
	return NewFamily(seed, domain).Key(stream)
}

// Family is the keys of all streams of one use under a seed.
type Family uint64

// NewFamily is the family of a domain: NewFamily(seed, domain).Key(n) is Key(seed, domain, n).
func NewFamily(seed, domain uint64) Family { return Family(Mix(Mix(seed+golden) + domain*golden)) }

// Key is the identity of stream number stream.
func (f Family) Key(stream uint64) uint64 { return Mix(uint64(f) + (stream+1)*golden) }

// Hash is number n of the stream with that key.
func Hash(key uint64, n uint32) uint64 { return Mix(key + (uint64(n)+1)*golden) }

// Stream reads the numbers of one key in order. Copy it freely; it is not safe
// for concurrent use.
type Stream struct {
	key uint64
	n   uint32
}

// At is the stream with that key, next to give number n.
func At(key uint64, n uint32) Stream { return Stream{key, n} }

// Key is the key of its numbers.
func (s *Stream) Key() uint64 { return s.key }

// Counter is the number that comes next.
func (s *Stream) Counter() uint32 { return s.n }

// Uint64 is the next number, uniform over 64 bits.
func (s *Stream) Uint64() uint64 {
	x := Hash(s.key, s.n)
	s.n++
	return x
}

// Float64 is uniform in [0, 1), a multiple of 2^-53.
func (s *Stream) Float64() float64 {
	return float64(float64(int64(s.Uint64()>>11)) * (1.0 / (1 << 53))) // from an int64 it is one instruction
}

// Intn is uniform in 0 … n-1, n > 0 (multiply-shift; its bias is below n/2^64).
func (s *Stream) Intn(n int) int {
	hi, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int(hi)
}

// Chance is true with probability p.
func (s *Stream) Chance(p float64) bool { return s.Float64() < p }

// Between is uniform in [low, high).
func (s *Stream) Between(low, high float64) float64 {
	return low + float64((high-low)*s.Float64())
}

// Exp is exponential with mean 1.
func (s *Stream) Exp() float64 { return -Ln(1 - s.Float64()) }

// Lognormal is exp(Normal(ln median, sigma)).
func (s *Stream) Lognormal(median, sigma float64) float64 {
	return median * Exp(float64(sigma*s.Normal()))
}

// Normal is standard normal (Box and Muller 1958; the second value is not kept,
// so that every draw takes two numbers).
func (s *Stream) Normal() float64 {
	radius := Sqrt(2 * s.Exp())
	return radius * CosTurn(s.Float64())
}
