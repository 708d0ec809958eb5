package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playhead-load/playhead/results"
)

// Overrides are what the command line may change in a scenario; nil leaves it.
type Overrides struct {
	Seed      *uint64
	Scale     *float64
	Duration  *time.Duration
	WarmUp    *time.Duration // nil: the scenario's, or a sixth of Duration if that is less
	TimeScale *float64
	NoFaults  bool
}

// Override returns a copy of s with the changes, its Raw rewritten to hold them, or
// says which of them is out of its bounds. A shorter run warms up for a shorter time.
func (s *Scenario) Override(o Overrides) (*Scenario, error) {
	if o == (Overrides{}) {
		return s, nil
	}
	changed := *s
	if o.Seed != nil {
		if *o.Seed > MaxSeed {
			return nil, fmt.Errorf("--seed: expected 0 to %d", MaxSeed)
		}
		changed.Seed = *o.Seed
	}
	if o.Scale != nil {
		changed.Population.Scale = *o.Scale
	}
	if o.TimeScale != nil {
		if !(*o.TimeScale > 0 && *o.TimeScale <= MaxTimeScale) {
			return nil, fmt.Errorf("--time-scale: expected a number above 0, at most %d", MaxTimeScale)
		}
		changed.TimeScale = *o.TimeScale
	}
	if o.NoFaults {
		changed.Faults = nil
		changed.Thresholds = withoutFaults(s.Thresholds)
	}
	if o.Duration != nil {
		if *o.Duration < time.Second || *o.Duration > 24*time.Hour {
			return nil, fmt.Errorf("--duration: expected 1s to 24h, got %v", *o.Duration)
		}
		changed.Duration = *o.Duration
		changed.WarmUp = min(s.WarmUp, *o.Duration/6)
	}
	if o.WarmUp != nil {
		if *o.WarmUp < 0 || *o.WarmUp >= changed.Duration {
			return nil, fmt.Errorf("a warm-up of %v: expected less than the duration of %v", *o.WarmUp, changed.Duration)
		}
		changed.WarmUp = *o.WarmUp
	}
	for _, f := range changed.Faults {
		if last := f.At + f.For; last >= changed.Duration {
			return nil, fmt.Errorf("--duration: the run ends after %v and its fault only after %v: lengthen it, or use --no-faults", changed.Duration, last)
		}
	}
	var err error
	changed.Raw, err = changed.encode()
	return &changed, err
}

// withoutFaults leaves out what can only be judged when there were faults.
func withoutFaults(all []results.Threshold) []results.Threshold {
	return slices.DeleteFunc(slices.Clone(all), func(t results.Threshold) bool {
		return strings.HasPrefix(t.Metric, "faults.")
	})
}
