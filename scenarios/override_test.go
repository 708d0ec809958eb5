package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOverride(t *testing.T) {
	scenario, err := Load("prime-time.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	seed, scale, duration, timeScale := uint64(9), 0.5, 12*time.Second, 10.0
	changed, err := scenario.Override(Overrides{Seed: &seed, Scale: &scale, Duration: &duration, TimeScale: &timeScale, NoFaults: true})
	if err != nil {
		t.Fatal(err)
	}
	if changed.Seed != seed || changed.Population.Scale != scale || changed.Duration != duration ||
		changed.TimeScale != timeScale || len(changed.Faults) != 0 || changed.WarmUp != 2*time.Second {
		t.Errorf("got %+v", changed)
	}
	for _, threshold := range changed.Thresholds {
		if strings.HasPrefix(threshold.Metric, "faults.") {
			t.Errorf("without faults there is nothing to judge %s by", threshold.Metric)
		}
	}
	again, err := Parse("again.yaml", changed.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(changed, again); diff != "" {
		t.Errorf("the overridden scenario, written and read again (-want +got):\n%s", diff)
	}
	if len(scenario.Faults) == 0 || len(scenario.Thresholds) == len(changed.Thresholds) {
		t.Error("the scenario itself was changed")
	}
}

// TestOverrideWarmUp: it is what it is asked to be, however short the run.
func TestOverrideWarmUp(t *testing.T) {
	scenario, err := Load("prime-time.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	duration, warmUp := 12*time.Second, 9*time.Second
	changed, err := scenario.Override(Overrides{Duration: &duration, WarmUp: &warmUp, NoFaults: true})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.yaml", changed.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if changed.WarmUp != warmUp || again.WarmUp != warmUp {
		t.Errorf("got a warm-up of %v, and %v read again, want %v", changed.WarmUp, again.WarmUp, warmUp)
	}
}

func TestOverrideRefuses(t *testing.T) {
	scenario, err := Load("prime-time.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	short, minute, instant, fast, high := 31*time.Second, time.Minute, time.Millisecond, 1e9, uint64(1)<<60
	for name, c := range map[string]struct {
		overrides Overrides
		want      string
	}{
		"a run that ends before its fault is over": {Overrides{Duration: &short}, "--no-faults"},
		"no time at all":                     {Overrides{Duration: &instant}, "--duration: expected 1s to 24h"},
		"nothing but warm-up":                {Overrides{WarmUp: &minute}, "a warm-up of 1m0s: expected less than the duration of 1m0s"},
		"too fast":                           {Overrides{TimeScale: &fast}, "--time-scale: expected"},
		"a seed that JavaScript cannot hold": {Overrides{Seed: &high}, "--seed: expected"},
	} {
		if _, err := scenario.Override(c.overrides); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
