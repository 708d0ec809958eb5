package drivertest

import (
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
)

// The figures of the issue: 500 events/s for 20 s, 1 s in every 5 of it lost.
func TestTruthOfAFreeze(t *testing.T) {
	t.Parallel()
	plan := newFrozenPlan()
	for _, begun := range []int64{0, 1_700_000_003_000, 1_700_000_004_999} { // ms: in the open, before and in a freeze
		truth := PercentilesOf(freeze.Truth(plan.DueOfAll(time.UnixMilli(begun))))
		if truth.P50 != 0 || truth.P90 < 498 || truth.P90 > 502 || truth.P99 < 948 || truth.P99 > 952 || truth.Max < 998 || truth.Max > 1000 {
			t.Errorf("begun at %d: %+v, want 0, about 500, 950 and 1000", begun, truth)
		}
	}
}

func TestFreezeLeft(t *testing.T) {
	t.Parallel()
	for atMS, want := range map[int64]time.Duration{
		0: 0, 3999: 0, 4000: time.Second, 4250: 750 * time.Millisecond, 4999: time.Millisecond, 5000: 0, 9500: 500 * time.Millisecond,
	} {
		if got := freeze.Left(time.UnixMilli(atMS)); got != want {
			t.Errorf("at %d ms it stands still for %v, want %v", atMS, got, want)
		}
	}
}

func TestDrawsAreOfTheirLaw(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]results.Percentiles{
		"constant": {P50: 1000, P90: 1000, P99: 1000, Max: 1000},
		"uniform":  {P50: 1000, P90: 1400, P99: 1490, Max: 1500},
	} {
		if misses := Misses(PercentilesOf(draws[name]), want); len(misses) > 0 {
			t.Errorf("%s: %q", name, misses)
		}
	}
	long := PercentilesOf(Draws(Exponential(500*time.Millisecond), 1, 1_000_000))
	if misses := Misses(long, results.Percentiles{P50: 346.6, P90: 1151.3, P99: 2302.6, Max: long.Max}); len(misses) > 0 {
		t.Errorf("exponential: %q", misses)
	}
}

func TestMisses(t *testing.T) {
	t.Parallel()
	truth := results.Percentiles{P50: 0.5, P90: 500, P99: 950, Max: 1000}
	for _, c := range []struct {
		measured results.Percentiles
		want     string
	}{
		{truth, ""},
		{results.Percentiles{P50: 2.4, P90: 524, P99: 903, Max: 1049}, ""},
		{results.Percentiles{P50: 2.6, P90: 526, P99: 902, Max: 1051}, "p50 p90 p99 max"},
		{results.Percentiles{P50: 0.5, P90: 0.7, P99: 950, Max: 1000}, "p90"},
	} {
		var names []string
		for _, miss := range Misses(c.measured, truth) {
			name, _, _ := strings.Cut(miss, " ")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v misses %q, want %q", c.measured, got, c.want)
		}
	}
}
