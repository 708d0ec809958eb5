package capacity_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/sim/capacity"
)

// perShare is the rate of a whole population in these tests.
const perShare = 1e6

type step struct {
	load  float64
	phase capacity.Phase
}

// search plays a search against a system and gives its steps and its trials. It fails
// the test when the search does not end.
func search(t testing.TB, options capacity.Options, system func(load float64) capacity.Outcome) (*capacity.Search, []step, []capacity.Trial) {
	t.Helper()
	s := capacity.NewSearch(options)
	var steps []step
	var trials []capacity.Trial
	for {
		load, phase, ok := s.Next()
		if !ok {
			return s, steps, trials
		}
		if len(steps) == 100 {
			t.Fatalf("the search has not ended after %d steps: %v", len(steps), steps)
		}
		if load <= 0 || load > options.Highest {
			t.Fatalf("asked for a load of %v, of at most %v", load, options.Highest)
		}
		outcome := system(load)
		steps = append(steps, step{load, phase})
		if outcome != capacity.Unfit {
			trials = append(trials, capacity.Trial{PerS: load * perShare, Held: outcome == capacity.Held})
		}
		s.Tell(outcome)
	}
}

// holdsUpTo is a system that holds every load up to the limit; its generator is fit up
// to another.
func holdsUpTo(limit, fit float64) func(float64) capacity.Outcome {
	return func(load float64) capacity.Outcome {
		switch {
		case load > fit:
			return capacity.Unfit
		case load <= limit:
			return capacity.Held
		}
		return capacity.Crossed
	}
}

func TestSearchEndings(t *testing.T) {
	const first, highest = 1. / 8000, 1. / 100
	for name, c := range map[string]struct {
		limit, fit float64
		ending     capacity.Ending
		steps      int
	}{
		"the limit is between":                          {1. / 1100, 1, capacity.Found, 4 + 4 + 8 + 0},
		"the limit is below the first load":             {1. / 20000, 1, capacity.Found, 3 + 4 + 8 + 3},
		"the limit is above all":                        {1, 1, capacity.AllHeld, 8},
		"nothing is held":                               {1. / 80000, 1, capacity.NoneHeld, 4},
		"the generator ends first":                      {1, 1. / 1100, capacity.GeneratorLimit, 4 + 4},
		"the generator is never fit":                    {1, 1. / 80000, capacity.GeneratorLimit, 4},
		"the generator is unfit only beyond the limit":  {1. / 1500, 1. / 1100, capacity.Found, 4 + 4 + 8 + 0},
		"the generator is unfit a little below a limit": {1. / 1100, 1. / 1150, capacity.GeneratorLimit, 4 + 4},
	} {
		t.Run(name, func(t *testing.T) {
			s, steps, _ := search(t, capacity.Options{First: first, Highest: highest, Repeats: 8}, holdsUpTo(c.limit, c.fit))
			if s.Ending() != c.ending || len(steps) != c.steps {
				t.Errorf("ended %s after %d steps, want %s after %d: %v", s.Ending(), len(steps), c.ending, c.steps, steps)
			}
		})
	}
}

// TestLeftIsRight once the ramp has found what does not hold.
func TestLeftIsRight(t *testing.T) {
	options := capacity.Options{First: 1. / 8000, Highest: 1, Repeats: 8}
	s := capacity.NewSearch(options)
	system, left := holdsUpTo(1./1100, 1), 0
	for {
		load, phase, ok := s.Next()
		if !ok {
			break
		}
		if now := s.Left(); phase != capacity.Ramp && left != 0 && now != left-1 {
			t.Errorf("%d steps left before a step of %s, %d before the one before", now, phase, left)
		}
		if left = 0; phase != capacity.Ramp && phase != capacity.Confirm {
			left = s.Left()
		}
		s.Tell(system(load))
	}
	if s.Left() != 0 {
		t.Errorf("%d steps left at the end", s.Left())
	}
}

// TestUnfitConfirmation: a step that tells nothing is played again, but not for ever.
func TestUnfitConfirmation(t *testing.T) {
	s := capacity.NewSearch(capacity.Options{First: 1, Highest: 16, Repeats: 8})
	unfit, system := 0, holdsUpTo(5, 100)
	for {
		load, phase, ok := s.Next()
		if !ok {
			break
		}
		if phase != capacity.Confirm {
			s.Tell(system(load))
			continue
		}
		if unfit++; unfit > 10 {
			t.Fatal("the confirmation goes on with an unfit generator")
		}
		s.Tell(capacity.Unfit)
	}
	if unfit != 3 || s.Ending() != capacity.GeneratorLimit {
		t.Errorf("ended %s after %d unfit steps, want %s after 3", s.Ending(), unfit, capacity.GeneratorLimit)
	}
}

// TestSearchFindsWhatIsThere: whatever the limit, the estimate's interval has it, and is
// as narrow as the bisection's end and a step to each side.
func TestSearchFindsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Float64Range(1e-5, 1e-2).Draw(t, "first")
		limit := first * math.Exp(rapid.Float64Range(math.Log(0.2), math.Log(50)).Draw(t, "ln limit/first"))
		options := capacity.Options{First: first, Highest: 100 * first, Repeats: rapid.IntRange(6, 20).Draw(t, "repeats")}
		s := capacity.NewSearch(options)
		var trials []capacity.Trial
		system := holdsUpTo(limit, math.Inf(1))
		for range 100 {
			load, _, ok := s.Next()
			if !ok {
				break
			}
			outcome := system(load)
			trials = append(trials, capacity.Trial{PerS: load, Held: outcome == capacity.Held})
			s.Tell(outcome)
		}
		if s.Ending() != capacity.Found {
			t.Fatalf("ended %q", s.Ending())
		}
		e, ok := capacity.EstimateOf(trials)
		if !ok || e.LowPerS > limit || e.HighPerS < limit || e.HighPerS/e.LowPerS > 1.17 {
			t.Errorf("limit %v: got %+v, %v", limit, e, ok)
		}
	})
}

// TestIntervalCoversTheTruth in the share of searches that it states, or more, whether
// the system's limit hardly varies or by a tenth from step to step.
func TestIntervalCoversTheTruth(t *testing.T) {
	const trialsEach = 1000
	for _, spread := range []float64{0.005, 0.02, 0.05, 0.1} {
		t.Run(fmt.Sprintf("spread %v", spread), func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(1, uint64(spread*1e6)))
			covered, bounded, width, off := 0, 0, 0.0, 0.0
			for range trialsEach {
				truth := math.Exp(-7 + chance.Float64())
				_, _, trials := search(t, capacity.Options{First: 1. / 8000, Highest: 1, Repeats: 10}, func(load float64) capacity.Outcome {
					return holdsUpTo(truth*math.Exp(spread*chance.NormFloat64()), 1)(load)
				})
				e, ok := capacity.EstimateOf(trials)
				if !ok {
					continue
				}
				bounded++
				width += math.Log(e.HighPerS / e.LowPerS)
				off += math.Log(e.PerS / (truth * perShare))
				if e.LowPerS <= truth*perShare && truth*perShare <= e.HighPerS {
					covered++
				}
			}
			n := float64(bounded)
			t.Logf("covered %.1f %%, bounded %.1f %%, mean width %.1f %%, bias %+.2f %%", 100*float64(covered)/n, 100*n/trialsEach, 100*width/n, 100*off/n)
		})
	}
}
