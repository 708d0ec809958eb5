package capacity_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/capacity"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

func demandOptions(keepalive time.Duration) capacity.DemandOptions {
	midnight := time.Date(2015, time.November, 20, 0, 0, 0, 0, time.UTC)
	return capacity.DemandOptions{
		Seed: 1, SharedAccounts: 0.1, KeepaliveMS: keepalive.Milliseconds(), Midnight: viewing.Millis(midnight.UnixMilli()),
	}
}

// TestDemandIsThePeakThatIsKnown: what is counted is what the population is calibrated
// against. Keepalives are less than streams over 60 s, by pauses and minutes cut short.
func TestDemandIsThePeakThatIsKnown(t *testing.T) {
	for _, name := range []string{"netflix-2015", "netflix-2018", "netflix-2025"} {
		model, err := population.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := capacity.DemandOf(t.Context(), model, demandOptions(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		f := &model.Figures
		near := func(what string, got, want float64) {
			if math.Abs(got/want-1) > 0.05 {
				t.Errorf("%s: %s %.0f, want %.0f", name, what, got, want)
			}
		}
		near("streams", d.Streams, f.StreamsMean.Low*f.PeakToMean.Low)
		near("starts/s", d.ByType["start"], f.StartsPeak.Low)
		near("stops/s", d.ByType["stop"], f.StartsPeak.Low)
		near("keepalives/s", d.ByType["keepalive"], 0.939*f.KeepalivesPeak.Low)
		sum := 0.0
		for _, perS := range d.ByType {
			sum += perS
		}
		near("events/s", d.PeakPerS, sum)
		if d.Hour < 19 || d.Hour > 22 {
			t.Errorf("%s: busiest at %d h", name, d.Hour)
		}
	}
}

// TestDemandFollowsTheKeepalive: half as many of them are half as many.
func TestDemandFollowsTheKeepalive(t *testing.T) {
	model, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	var keepalives [2]float64
	for i, every := range []time.Duration{time.Minute, 30 * time.Second} {
		d, err := capacity.DemandOf(t.Context(), model, demandOptions(every))
		if err != nil {
			t.Fatal(err)
		}
		keepalives[i] = d.ByType["keepalive"]
	}
	if ratio := keepalives[1] / keepalives[0]; ratio < 1.9 || ratio > 2.2 {
		t.Errorf("a keepalive twice as often is %.2f times as many", ratio)
	}
}

func TestDemandInterrupted(t *testing.T) {
	model, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := capacity.DemandOf(ctx, model, demandOptions(time.Minute)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}
