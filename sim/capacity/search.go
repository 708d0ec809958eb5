// Package capacity finds the highest load that a target holds, says how sure that is,
// and what larger populations would take.
//
// It plays nothing itself: a Search says which share of a population to play next and
// is told what became of it, an Estimate is made of what was told, a Law is fitted to
// the loads that the target kept up with. Nothing here reads a clock or draws a random
// number.
package capacity

import (
	"math"
	"slices"
)

// Phase is what a step of a search is for.
type Phase string

// The phases, in their order.
const (
	Ramp    Phase = "ramp"    // the load doubles until it is not held, or halves until it is
	Bisect  Phase = "bisect"  // between the highest load held and the lowest that was not
	Confirm Phase = "confirm" // up by a step after a load that held, down after one that did not
	Sweep   Phase = "sweep"   // smaller loads, for the law alone
)

// Outcome is what became of a step.
type Outcome string

// The outcomes.
const (
	Held    Outcome = "held"    // every threshold was kept
	Crossed Outcome = "crossed" // one was not
	Unfit   Outcome = "unfit"   // the generator was: nothing is known of the target
)

// Ending is how a search ended.
type Ending string

// The endings of a search. The last two are for who plays the steps to tell: a Search
// ends with none of them.
const (
	Found          Ending = "found"
	AllHeld        Ending = "all-held"        // the highest load that could be asked for was held
	NoneHeld       Ending = "none-held"       // an eighth of the first load was not
	Unbounded      Ending = "unbounded"       // the steps agree too little for an interval
	GeneratorLimit Ending = "generator-limit" // the generator was unfit before the target's limit was found
	Interrupted    Ending = "interrupted"
	Violated       Ending = "violated" // an answer was wrong
)

const (
	precision    = 1.05 // ratio at which bisection ends, and by which the confirmation goes up and down
	mostHalvings = 3    // of the first load
	mostRepeats  = 2    // times as many steps as were asked for, until they bound the limit
)

// sweepAt are the loads of the sweep in shares of the highest that the bisection held,
// but for those that a step held already, to within nearby. All are below fittedUpTo.
var sweepAt = []float64{1. / 8, 1. / 4, 1. / 2, 7. / 10}

const nearby = 1.1

// Options bound a search. Loads are shares of a population.
type Options struct {
	First   float64 // above 0
	Highest float64 // at least First
	Repeats int     // steps of the confirmation, 1 or more; twice as many where they agree too little
}

// Search says which load to play next. It is not safe for concurrent use.
type Search struct {
	options Options
	phase   Phase
	load    float64
	ending  Ending // empty: it goes on

	held, crossed, unfit float64 // the highest, and the lowest two, up to the bisection's end; 0: none
	trials               []Trial // what is known of the target, by load
	confirmed            int
	again                bool      // the load is played for the second time, its generator was unfit
	sweep                []float64 // loads still to play
}

// NewSearch begins a search with a step at options.First.
func NewSearch(options Options) *Search {
	return &Search{options: options, phase: Ramp, load: options.First}
}

// Next is the load to play and what for, until the search has ended: then ok is false.
func (s *Search) Next() (load float64, phase Phase, ok bool) {
	return s.load, s.phase, s.ending == ""
}

// Ending is how the search ended, empty while it goes on.
func (s *Search) Ending() Ending { return s.ending }

// Tell says what became of the load that Next gave. One at which the generator was unfit
// comes once more: the machine may have had something else to do.
func (s *Search) Tell(outcome Outcome) {
	if s.again = outcome == Unfit && !s.again; s.again {
		return
	}
	if outcome != Unfit {
		s.trials = append(s.trials, Trial{PerS: s.load, Held: outcome == Held})
	}
	switch s.phase {
	case Ramp:
		s.note(outcome)
		s.ramp(outcome)
	case Bisect:
		s.note(outcome)
		s.bisect()
	case Confirm:
		s.confirm(outcome)
	case Sweep:
		s.nextOfSweep()
	}
}

func (s *Search) note(outcome Outcome) {
	switch outcome {
	case Held:
		s.held = s.load
	case Crossed:
		s.crossed = s.load
	case Unfit:
		s.unfit = s.load
	}
}

// ceiling is the lowest load that was not held, 0 if there is none.
func (s *Search) ceiling() float64 {
	if s.crossed == 0 || s.unfit != 0 && s.unfit < s.crossed {
		return s.unfit
	}
	return s.crossed
}

func (s *Search) ramp(outcome Outcome) {
	switch {
	case s.held != 0 && s.ceiling() != 0:
		s.phase = Bisect
		s.bisect()
	case outcome == Held && s.load >= s.options.Highest:
		s.ending = AllHeld
	case outcome == Held:
		s.load = min(2*s.load, s.options.Highest)
	case s.load > s.options.First/(1<<mostHalvings):
		s.load /= 2
	case s.crossed != 0 && s.ceiling() == s.crossed:
		s.ending = NoneHeld
	default:
		s.ending = GeneratorLimit
	}
}

func (s *Search) bisect() {
	switch ceiling := s.ceiling(); {
	case ceiling > s.held*precision:
		s.load = math.Sqrt(s.held * ceiling)
	case ceiling != s.crossed:
		s.ending = GeneratorLimit
	default:
		s.phase, s.load = Confirm, s.held
	}
}

func (s *Search) confirm(outcome Outcome) {
	switch outcome {
	case Held:
		s.load = min(s.load*precision, s.options.Highest)
	case Crossed:
		s.load /= precision
	case Unfit:
		s.ending = GeneratorLimit
		return
	}
	if s.confirmed++; s.confirmed < s.options.Repeats {
		return
	}
	if _, bounded := EstimateOf(s.trials); !bounded {
		if s.confirmed == mostRepeats*s.options.Repeats {
			s.ending = Unbounded
		}
		return
	}
	s.phase = Sweep
	for _, share := range sweepAt {
		if load := share * s.held; !s.heldNear(load) {
			s.sweep = append(s.sweep, load)
		}
	}
	s.nextOfSweep()
}

func (s *Search) heldNear(load float64) bool {
	return slices.ContainsFunc(s.trials, func(t Trial) bool {
		return t.Held && t.PerS < load*nearby && t.PerS > load/nearby
	})
}

func (s *Search) nextOfSweep() {
	if len(s.sweep) == 0 {
		s.ending = Found
		return
	}
	s.load, s.sweep = s.sweep[0], s.sweep[1:]
}

// Left is how many steps there are still to play, but for the sweep, if the next step of
// the ramp is its last, none is unfit and they agree.
func (s *Search) Left() int {
	if s.ending != "" {
		return 0
	}
	confirms := max(s.options.Repeats-s.confirmed, 1) // one at least, while it is confirmed
	switch s.phase {
	case Ramp:
		return 1 + halvings(2) + confirms
	case Bisect:
		return halvings(s.ceiling()/s.held) + confirms
	case Confirm:
		return confirms
	}
	return 1 + len(s.sweep)
}

// halvings is how many steps bisection takes from that ratio.
func halvings(ratio float64) int {
	return max(0, int(math.Ceil(math.Log2(math.Log(ratio)/math.Log(precision)))))
}
