package k6

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.k6.io/k6/lib"
	_ "go.k6.io/k6/lib/executor" // registers the executors

	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
)

// stateOf is that of a VU in one of a test's instances, which runs a segment of it.
func stateOf(t *testing.T, scenarios, segment, sequence string) *lib.State {
	t.Helper()
	state := &lib.State{}
	if err := json.Unmarshal([]byte(scenarios), &state.Options.Scenarios); err != nil {
		t.Fatal(err)
	}
	if segment == "" {
		return state
	}
	var err error
	if state.Options.ExecutionSegment, err = lib.NewExecutionSegmentFromString(segment); err != nil {
		t.Fatal(err)
	}
	all, err := lib.NewExecutionSegmentSequenceFromString(sequence)
	if err != nil {
		t.Fatal(err)
	}
	state.Options.ExecutionSegmentSequence = &all
	return state
}

// However a test is divided, its VUs have each part of the accounts once.
func TestSegmentsDivideTheAccountsWithoutOverlapOrGap(t *testing.T) {
	t.Parallel()
	const scenarios = `{"play": {"executor": "per-vu-iterations", "vus": 7}}`
	for _, sequence := range []string{"0,1", "0,1/2,1", "0,1/3,1", "0,1/7,2/7,1/2,1", "0,1/100,1"} {
		cuts := strings.Split(sequence, ",")
		var parts []int
		for i := range cuts[1:] {
			segment := cuts[i] + ":" + cuts[i+1]
			state := stateOf(t, scenarios, segment, sequence)
			mine, err := lib.NewExecutionTuple(state.Options.ExecutionSegment, state.Options.ExecutionSegmentSequence)
			if err != nil {
				t.Fatal(err)
			}
			ctx := lib.WithScenarioState(t.Context(), &lib.ScenarioState{Name: "play"})
			var a allotments
			for range mine.ScaleInt64(7) {
				got, err := a.next(ctx, state, 1)
				if err != nil {
					t.Fatal(err)
				}
				if got.of != 7 || int64(got.here) != mine.ScaleInt64(7) {
					t.Errorf("segment %s: %+v, want one of 7", segment, got)
				}
				parts = append(parts, got.part)
			}
			if other, err := a.next(ctx, state, 2); err == nil && mine.ScaleInt64(7) > 0 && !slices.Contains(parts, other.part) {
				t.Errorf("segment %s: a second fleet of the same VUs has other parts than the first: %+v", segment, other)
			}
		}
		slices.Sort(parts)
		if want := []int{1, 2, 3, 4, 5, 6, 7}; !slices.Equal(parts, want) {
			t.Errorf("sequence %s: parts %v, want %v", sequence, parts, want)
		}
	}
}

func TestMoreFleetsThanVUsAreRefused(t *testing.T) {
	t.Parallel()
	ctx := lib.WithScenarioState(t.Context(), &lib.ScenarioState{Name: "play"})
	for scenarios, want := range map[string]string{
		`{"play": {"executor": "per-vu-iterations", "vus": 1}}`:                                                     "construct the Fleet outside",
		`{"play": {"executor": "constant-arrival-rate", "rate": 1, "duration": "10s", "preAllocatedVUs": 1}}`:       "per-vu-iterations or constant-vus",
		`{"play": {"executor": "ramping-vus", "stages": [{"duration": "10s", "target": 3}], "gracefulStop": "1s"}}`: "per-vu-iterations or constant-vus",
	} {
		var a allotments
		state := stateOf(t, scenarios, "", "")
		_, err := a.next(ctx, state, 1)
		if err == nil {
			_, err = a.next(ctx, state, 1)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a word of %q", scenarios, err, want)
		}
	}
}

// Parts of a part, and what is divided among them.
func TestWhatIsDividedAddsUp(t *testing.T) {
	t.Parallel()
	if got := (allotment{part: 1, of: 1}).within(sim.Segment{}); got != (sim.Segment{}) {
		t.Errorf("the whole of the whole is %v", got)
	}
	sum := 0
	seen := map[sim.Segment]bool{}
	for part := 1; part <= 3; part++ {
		for outer := 1; outer <= 2; outer++ {
			s := allotment{part: part, of: 3}.within(sim.Segment{Part: outer, Of: 2})
			seen[s] = true
			sum += shareOf(100, s)
		}
	}
	if len(seen) != 6 || sum != 100 {
		t.Errorf("%d different parts of 6, with %d of 100", len(seen), sum)
	}
}

// A part has its share of the connections and of the aggregators, and where none are said,
// as many of these as connections.
func TestConnectionsAreDivided(t *testing.T) {
	t.Parallel()
	for aggregators, want := range map[int]int{0: 0, 1: 1, 8: 4, 16: 8} {
		s := &scenarios.Scenario{TimeScale: 1, Load: scenarios.Traffic{Connections: 16, Batch: 100, Aggregators: aggregators}}
		p := &part{settings: settings{scenario: s}, segment: sim.Segment{Part: 2, Of: 2}}
		if got := p.config(); got.Connections != 8 || got.Batch.Aggregators != want {
			t.Errorf("of 16 connections %d, of %d aggregators %d, want 8 and %d", got.Connections, aggregators, got.Batch.Aggregators, want)
		}
	}
}
