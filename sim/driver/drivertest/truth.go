package drivertest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/playhead-load/playhead/results"
)

// Freeze is a target's schedule: it stands still for the last part of every period, by
// the clock on the wall, so that whoever knows the clock knows the truth.
type Freeze struct{ Period, Frozen time.Duration }

// Left is how long the target still stands still at a moment.
func (f Freeze) Left(at time.Time) time.Duration {
	left := f.Period - time.Duration(at.UnixNano()%int64(f.Period))
	if left > f.Frozen {
		return 0
	}
	return left
}

// Delay holds back what arrives while the target stands still.
func (f Freeze) Delay(_ int64, at time.Time) time.Duration { return f.Left(at) }

// Truth is the response time of each request that is due at such a moment, on a target
// that takes no time but when it stands still.
func (f Freeze) Truth(due []time.Time) []time.Duration {
	times := make([]time.Duration, len(due))
	for i, at := range due {
		times[i] = f.Left(at)
	}
	return times
}

// Law draws one delay.
type Law func(random *rand.Rand) time.Duration

// Constant is always the same.
func Constant(d time.Duration) Law {
	return func(*rand.Rand) time.Duration { return d }
}

// Uniform is anything from least to most.
func Uniform(least, most time.Duration) Law {
	return func(random *rand.Rand) time.Duration { return least + time.Duration(random.Int64N(int64(most-least))) }
}

// Exponential has that mean, and the long tail of a queue.
func Exponential(mean time.Duration) Law {
	return func(random *rand.Rand) time.Duration { return time.Duration(random.ExpFloat64() * float64(mean)) }
}

// Draws are the first n delays of the seed's stream.
func Draws(law Law, seed uint64, n int) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 0))
	draws := make([]time.Duration, n)
	for i := range draws {
		draws[i] = law(random)
	}
	return draws
}

// DelayOf holds the n-th request back by the n-th draw, in turn.
func DelayOf(draws []time.Duration) Delay {
	return func(n int64, _ time.Time) time.Duration { return draws[n%int64(len(draws))] }
}

// PercentilesOf are those of the times, of which there is at least one; each is a time
// that occurred.
func PercentilesOf(times []time.Duration) results.Percentiles {
	sorted := slices.Sorted(slices.Values(times))
	at := func(percent float64) float64 {
		rank := int(percent/100*float64(len(sorted)) + 0.5) // as the histograms count
		return float64(sorted[max(rank, 1)-1].Microseconds()) / 1000
	}
	return results.Percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: at(100)}
}

// Tolerance is how far a figure may be from the truth, as a share of it.
const Tolerance = 0.05

// floorMS is where a share of the truth is no measure any more: a timer fires a
// millisecond late and a process waits for its turn as long, whatever is measured.
const floorMS = 40

// Misses says which of p50, p90, p99 and the maximum are further from the truth than
// Tolerance of it, or of 40 ms where that is more.
func Misses(measured, truth results.Percentiles) (misses []string) {
	for _, p := range []struct {
		name            string
		measured, truth float64
	}{
		{"p50", measured.P50, truth.P50},
		{"p90", measured.P90, truth.P90},
		{"p99", measured.P99, truth.P99},
		{"max", measured.Max, truth.Max},
	} {
		if math.Abs(p.measured-p.truth) > Tolerance*max(p.truth, floorMS) {
			misses = append(misses, fmt.Sprintf("%s is %.1f ms, in truth %.1f", p.name, p.measured, p.truth))
		}
	}
	return misses
}
