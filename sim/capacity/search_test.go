package capacity_test

import (
	"math"
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
func search(t rapid.TB, options capacity.Options, system func(load float64) capacity.Outcome) (*capacity.Search, []step, []capacity.Trial) {
	t.Helper()
	s := capacity.NewSearch(options)
	var steps []step
	var trials []capacity.Trial
	for {
		load, phase, ok := s.Next()
		if !ok {
			return s, steps, trials
		}
		if len(steps) == 200 {
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
		"the limit is between":                          {1. / 1100, 1, capacity.Found, 4 + 4 + 8 + 4},
		"the limit is below the first load":             {1. / 20000, 1, capacity.Found, 3 + 4 + 8 + 3},
		"the limit is above all":                        {1, 1, capacity.AllHeld, 8},
		"nothing is held":                               {1. / 80000, 1, capacity.NoneHeld, 4},
		"the generator ends first":                      {1, 1. / 1100, capacity.GeneratorLimit, 5 + 5},
		"the generator is never fit":                    {1, 1. / 80000, capacity.GeneratorLimit, 2 * 4},
		"the generator is unfit only beyond the limit":  {1. / 1500, 1. / 1100, capacity.Found, 5 + 4 + 8 + 4},
		"the generator is unfit a little below a limit": {1. / 1100, 1. / 1150, capacity.GeneratorLimit, 5 + 6},
	} {
		t.Run(name, func(t *testing.T) {
			s, steps, _ := search(t, capacity.Options{First: first, Highest: highest, Repeats: 8}, holdsUpTo(c.limit, c.fit))
			if s.Ending() != c.ending || len(steps) != c.steps {
				t.Errorf("ended %s after %d steps, want %s after %d: %v", s.Ending(), len(steps), c.ending, c.steps, steps)
			}
		})
	}
}

// TestLeftIsRight from the moment the ramp is over, step by step.
func TestLeftIsRight(t *testing.T) {
	s := capacity.NewSearch(capacity.Options{First: 1. / 8000, Highest: 1, Repeats: 8})
	system, checked, before := holdsUpTo(1./1500, 1), 0, 0
	for {
		load, phase, ok := s.Next()
		if !ok {
			break
		}
		left := s.Left()
		if before > 1 { // 1 may be the last but for the sweep
			checked++
			if left != before-1 {
				t.Errorf("%d steps left before a step of %s, %d before the one before", left, phase, before)
			}
		}
		if before = left; phase == capacity.Ramp {
			before = 0
		}
		s.Tell(system(load))
	}
	if checked < 10 || s.Left() != 0 {
		t.Errorf("%d steps checked, %d left at the end", checked, s.Left())
	}
}

// TestUnfitOnce: a load at which the generator was unfit is played again, and if it is fit
// then nothing comes of it; twice in the confirmation it ends the search.
func TestUnfitOnce(t *testing.T) {
	for times, ending := range map[int]capacity.Ending{1: capacity.Found, 2: capacity.GeneratorLimit} {
		s := capacity.NewSearch(capacity.Options{First: 1, Highest: 16, Repeats: 8})
		system, unfit := holdsUpTo(5, 100), 0
		for {
			load, phase, ok := s.Next()
			if !ok {
				break
			}
			if phase != capacity.Confirm || unfit == times {
				s.Tell(system(load))
				continue
			}
			unfit++
			s.Tell(capacity.Unfit)
			if again, _, _ := s.Next(); again != load {
				t.Errorf("after an unfit step at %v it asks for %v", load, again)
			}
		}
		if s.Ending() != ending {
			t.Errorf("unfit %d times: ended %s, want %s", times, s.Ending(), ending)
		}
	}
}

// TestUnbounded: where what did not hold holds later, nothing is bounded, and the search
// ends after twice the repeats all the same.
func TestUnbounded(t *testing.T) {
	s := capacity.NewSearch(capacity.Options{First: 1, Highest: 16, Repeats: 4})
	system, confirmed := holdsUpTo(5, 100), 0
	for {
		load, phase, ok := s.Next()
		if !ok {
			break
		}
		if phase == capacity.Confirm {
			confirmed++
			s.Tell(capacity.Held)
			continue
		}
		s.Tell(system(load))
	}
	if s.Ending() != capacity.Unbounded || confirmed != 8 {
		t.Errorf("ended %s after %d steps of confirmation, want %s after 8", s.Ending(), confirmed, capacity.Unbounded)
	}
}

// TestSearchFindsWhatIsThere: whatever the limit, the interval has it, and is no wider
// than the step below and the step above.
func TestSearchFindsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Float64Range(1e-5, 1e-2).Draw(t, "first")
		limit := first * math.Exp(rapid.Float64Range(math.Log(0.2), math.Log(50)).Draw(t, "ln limit/first"))
		options := capacity.Options{First: first, Highest: 100 * first, Repeats: rapid.IntRange(6, 20).Draw(t, "repeats")}
		s, _, trials := search(t, options, holdsUpTo(limit, math.Inf(1)))
		if s.Ending() != capacity.Found {
			t.Fatalf("ended %q", s.Ending())
		}
		e, ok := capacity.EstimateOf(trials)
		if truth := limit * perShare; !ok || e.LowPerS > truth || e.HighPerS < truth || e.HighPerS/e.LowPerS > 1.18 {
			t.Errorf("limit %v: got %+v, %v", truth, e, ok)
		}
	})
}

// TestSearchEndsWhateverItIsTold, and asks for nothing beyond its bounds.
func TestSearchEndsWhateverItIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outcomes := rapid.SampledFrom([]capacity.Outcome{capacity.Held, capacity.Crossed, capacity.Unfit})
		options := capacity.Options{First: 1, Highest: rapid.Float64Range(1, 1000).Draw(t, "highest"), Repeats: rapid.IntRange(1, 20).Draw(t, "repeats")}
		search(t, options, func(float64) capacity.Outcome { return outcomes.Draw(t, "outcome") })
	})
}
