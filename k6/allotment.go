package k6

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.k6.io/k6/lib"

	"github.com/playhead-load/playhead/sim"
)

// allotments say which part of its accounts each VU plays that plays a fleet. VUs of one
// scenario divide them, in this process and in those that run the test's other execution
// segments, by the numbers that k6 would give the VUs if all ran here: so no account is
// played twice, and none is left out. Any goroutine may use it.
type allotments struct {
	mu     sync.Mutex
	byName map[allotmentKey]*lib.SegmentedIndex
}

type allotmentKey struct {
	scenario string
	fleet    int // the VU's first, second …
}

// allotment is the part of a VU.
type allotment struct {
	part, of int
	here     int           // how many parts are played in this process
	lasts    time.Duration // of the scenario, at most
}

// whole is the part of who plays alone, for as long as that may take.
var whole = allotment{1, 1, 1, 10 * time.Minute}

// next allots the next part of the fleet to a VU of the scenario that it plays in.
func (a *allotments) next(ctx context.Context, state *lib.State, fleet int) (allotment, error) {
	scenario := lib.GetScenarioState(ctx)
	if scenario == nil {
		return whole, nil
	}
	config, ok := state.Options.Scenarios[scenario.Name]
	if !ok {
		return whole, nil
	}
	switch config.GetType() {
	case "per-vu-iterations", "constant-vus", "shared-iterations":
	default:
		return allotment{}, fmt.Errorf("a Fleet is divided among the VUs of its scenario, whose number must stand: expected the executor per-vu-iterations or constant-vus, scenario %s has %s", scenario.Name, config.GetType())
	}
	steps, err := stepsOf(config)
	if err != nil {
		return allotment{}, err
	}
	mine, err := lib.NewExecutionTuple(state.Options.ExecutionSegment, state.Options.ExecutionSegmentSequence)
	if err != nil {
		return allotment{}, err
	}
	lasts, _ := lib.GetEndOffset(steps)
	told := allotment{of: int(lib.GetMaxPossibleVUs(steps)), here: int(lib.GetMaxPossibleVUs(config.GetExecutionRequirements(mine))), lasts: lasts}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := allotmentKey{scenario.Name, fleet}
	if a.byName == nil {
		a.byName = map[allotmentKey]*lib.SegmentedIndex{}
	}
	if a.byName[key] == nil {
		a.byName[key] = lib.NewSegmentedIndex(mine)
	}
	_, number := a.byName[key].Next()
	if told.part = int(number); told.part > told.of {
		return allotment{}, fmt.Errorf("more fleets play in scenario %s than it has VUs, %d: construct the Fleet outside the function, once a VU", scenario.Name, told.of)
	}
	return told, nil
}

// stepsOf says how many VUs a scenario has at what time in the whole test, whichever segment
// of it runs here.
func stepsOf(config lib.ExecutorConfig) ([]lib.ExecutionStep, error) {
	all, err := lib.NewExecutionTuple(nil, nil)
	if err != nil {
		return nil, err
	}
	return config.GetExecutionRequirements(all), nil
}

// within is the part of a segment: of 2/4, the first half is 3/8.
func (a allotment) within(segment sim.Segment) sim.Segment {
	if segment == (sim.Segment{}) {
		segment = sim.Segment{Part: 1, Of: 1}
	}
	parts := sim.Segment{Part: (segment.Part-1)*a.of + a.part, Of: segment.Of * a.of}
	if parts.Of == 1 {
		return sim.Segment{}
	}
	return parts
}
