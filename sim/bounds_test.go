//go:build soak

package sim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// Every number of a model can be played at its bounds, if the model takes it: events
// are in order and validate.
func TestEveryNumberAtItsBounds(t *testing.T) {
	probe, err := population.Named("live-event")
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, p := range probe.Params() {
		for _, value := range boundsOf(t, p.Name) {
			model, _ := population.Named("live-event")
			if err := model.Set(map[string]float64{p.Name: value}); err != nil {
				t.Fatal(err)
			}
			people, err := population.New(model, population.Options{Seed: 1, Scale: 40 / model.Members.Value})
			if err != nil { // it does not go with the others
				if !strings.Contains(err.Error(), p.Name) && !strings.Contains(err.Error(), "streams") {
					t.Errorf("%s %v: %v", p.Name, value, err)
				}
				continue
			}
			played++
			playBriefly(t, fmt.Sprintf("%s %v", p.Name, value), people)
		}
	}
	if played < 90 {
		t.Errorf("%d played", played)
	}
}

// boundsOf are what the refusal of a value says.
func boundsOf(t *testing.T, name string) [2]float64 {
	t.Helper()
	model, _ := population.Named("live-event")
	err := model.Set(map[string]float64{name: math.NaN()})
	if err == nil {
		t.Fatalf("%s may be NaN", name)
	}
	var least, most float64
	_, expected, _ := strings.Cut(err.Error(), "expected ")
	if _, err := fmt.Sscanf(expected, "%g to %g", &least, &most); err != nil {
		t.Fatal(err)
	}
	return [2]float64{least, most}
}

func playBriefly(t *testing.T, what string, people *population.Population) {
	t.Helper()
	f := sim.NewFleet(people, sim.FleetOptions{Seed: 1, StartMS: prime, WarmUpMS: minute, KeepaliveMS: minute})
	var e viewing.Event
	var last viewing.Millis
	for {
		step, ok := f.Next(prime+2*hour, &e)
		if !ok {
			return
		}
		if err := e.Validate(); err != nil || step.DueMS < last || e.PositionMS > e.RuntimeMS || e.PositionMS < 0 {
			t.Errorf("%s: %v: %s", what, err, describe(&e, step.Device))
			return
		}
		last = step.DueMS
	}
}
