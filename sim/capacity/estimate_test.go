package capacity_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/playhead-load/playhead/sim/capacity"
)

// TestIntervalCoversTheTruth in the share of searches that it states, whether the limit
// hardly varies from step to step or by a tenth. What the bisection alone says does not:
// the test would see an interval that claims too much.
func TestIntervalCoversTheTruth(t *testing.T) {
	const searches = 200
	// Three standard errors of a share of as many.
	least := capacity.Confidence - 3*math.Sqrt(capacity.Confidence*(1-capacity.Confidence)/searches)
	for _, c := range []struct{ spread, widest float64 }{ // widest: the interval, on average
		{0.005, 0.06}, {0.02, 0.09}, {0.05, 0.22}, {0.1, 0.40},
	} {
		t.Run(fmt.Sprintf("spread %v", c.spread), func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(1, uint64(c.spread*1e6)))
			bounded, covered, bracketed, width, bias := 0.0, 0.0, 0.0, 0.0, 0.0
			for range searches {
				truth := math.Exp(-7 + chance.Float64())
				_, steps, trials := search(t, capacity.Options{First: 1. / 8000, Highest: 1, Repeats: 10}, func(load float64) capacity.Outcome {
					return holdsUpTo(truth*math.Exp(c.spread*chance.NormFloat64()), 1)(load)
				})
				if bisected(steps, trials, truth*perShare) {
					bracketed++
				}
				e, ok := capacity.EstimateOf(trials)
				if !ok {
					continue
				}
				bounded++
				width += math.Log(e.HighPerS / e.LowPerS)
				bias += math.Log(e.PerS / (truth * perShare))
				if e.LowPerS <= truth*perShare && truth*perShare <= e.HighPerS {
					covered++
				}
			}
			covered, width, bias = covered/bounded, width/bounded, bias/bounded
			bounded, bracketed = bounded/searches, bracketed/searches
			t.Logf("covered %.3f, bounded %.3f, width %.3f, bias %+.4f; the bisection's bracket covered %.3f", covered, bounded, width, bias, bracketed)
			if covered < least || bounded < 0.95 || width > c.widest || math.Abs(bias) > 0.01 {
				t.Errorf("covered %.3f, bounded %.3f, width %.3f, bias %+.4f: want %.3f or more, 0.95 or more, %v or less, 0.01 or less",
					covered, bounded, width, bias, least, c.widest)
			}
			if bracketed >= least {
				t.Errorf("the bisection's bracket covered %.3f: a test of intervals that cover must be able to fail", bracketed)
			}
		})
	}
}

// bisected tells whether the bracket that the ramp and the bisection end with has the truth.
func bisected(steps []step, trials []capacity.Trial, truth float64) bool {
	low, high := 0.0, math.Inf(1)
	for i, s := range steps {
		switch {
		case s.phase != capacity.Ramp && s.phase != capacity.Bisect:
		case trials[i].Held:
			low = max(low, trials[i].PerS)
		default:
			high = min(high, trials[i].PerS)
		}
	}
	return low <= truth && truth <= high
}

func TestEstimateOf(t *testing.T) {
	held := func(perS ...float64) (trials []capacity.Trial) {
		for _, x := range perS {
			trials = append(trials, capacity.Trial{PerS: x, Held: true})
		}
		return trials
	}
	crossed := func(perS ...float64) (trials []capacity.Trial) {
		for _, x := range perS {
			trials = append(trials, capacity.Trial{PerS: x})
		}
		return trials
	}
	for name, c := range map[string]struct {
		trials            []capacity.Trial
		bounded           bool
		middle, low, high float64
		within            float64
	}{
		"nothing was tried":      {},
		"nothing was crossed":    {trials: held(100, 200, 400)},
		"nothing held":           {trials: crossed(100, 200, 400)},
		"one of each":            {trials: append(held(100), crossed(105)...)},
		"five of each, apart":    {append(held(100, 100, 100, 100, 100), crossed(105, 105, 105, 105, 105)...), true, 102.5, 100, 105, 0.015},
		"as many the wrong way":  {trials: append(held(105, 105, 105, 105, 105), crossed(100, 100, 100, 100, 100)...)},
		"five of each, together": {append(held(100, 100, 100, 100, 100, 70, 70, 70, 70), crossed(100, 100, 100, 100, 100, 140, 140, 140, 140)...), true, 100, 85, 118, 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := capacity.EstimateOf(c.trials)
			if ok != c.bounded {
				t.Fatalf("got %+v, bounded %v, want %v", e, ok, c.bounded)
			}
			for _, each := range [][2]float64{{e.PerS, c.middle}, {e.LowPerS, c.low}, {e.HighPerS, c.high}} {
				if math.Abs(each[0]-each[1]) > c.within*each[1] {
					t.Errorf("got %+v, want %v (%v to %v)", e, c.middle, c.low, c.high)
				}
			}
		})
	}
}
