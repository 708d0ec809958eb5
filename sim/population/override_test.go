package population_test

import (
	"math"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim/population"
)

func TestSetReplacesNumbersByName(t *testing.T) {
	model, err := population.Named("live-event")
	if err != nil {
		t.Fatal(err)
	}
	untouched := model.Crowd
	if err := model.Set(map[string]float64{"short_view": 0.25, "crowd_hour": 20, "phone_offline": 0.5, "plan_1": 0.5, "plan_2": 0.2, "zone_US-180": 0.1}); err != nil {
		t.Fatal(err)
	}
	if p := model.ShortView; p.Value != 0.25 || p.Source != "the scenario" || p.Mark != population.Assumed {
		t.Errorf("got %+v", p)
	}
	if model.Devices[2].Offline != 0.5 || model.Plans[0].Share != 0.5 || model.Zones[3].Share != 0.1 || model.Zones[3].Source != "the scenario" {
		t.Errorf("got %+v, %+v, %+v", model.Devices[2], model.Plans[0], model.Zones[3])
	}
	if _, err := population.New(model, population.Options{Scale: 1e-6}); err == nil || !strings.Contains(err.Error(), "zone_") {
		t.Errorf("got %v of zones whose shares have another sum", err)
	}
	again, _ := population.Named("live-event")
	if model.Crowd.Hour.Value != 20 || untouched.Hour.Value != 21 || again.Crowd.Hour.Value != 21 {
		t.Errorf("the crowd comes at %v, by another model at %v", model.Crowd.Hour.Value, again.Crowd.Hour.Value)
	}
	for name, value := range map[string]float64{
		"short_views": 0.1, "short_view": 1.5, "pauses": -1, "titles": 0, "seeks": math.NaN(), "pause_median": math.Inf(1),
	} {
		if err := model.Set(map[string]float64{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s = %v: got %v", name, value, err)
		}
	}
	if err := model.Set(map[string]float64{"unknown": 1}); err == nil || !strings.Contains(err.Error(), "short_seeks, short_view, sitting_ends") {
		t.Errorf("got %v, want the names that there are", err)
	}
}

func TestEveryModelCanBePlayed(t *testing.T) {
	for _, name := range population.Names() {
		model, err := population.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := population.New(model, population.Options{Scale: 1e-6}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
