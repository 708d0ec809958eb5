package capacity

import (
	"context"
	"fmt"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// Demand is what a whole population asks for in the busiest hour of its day.
type Demand struct {
	Population string             `json:"population"`
	PeakPerS   float64            `json:"peak_per_s"` // events
	Streams    float64            `json:"streams"`    // in progress, at that hour's end
	Hour       int                `json:"hour"`       // of the virtual clock, 0 … 23
	ByType     map[string]float64 `json:"by_type"`    // events a second of that hour
	Sample     float64            `json:"sample"`     // share of the population that was played
}

// DemandOptions say how a population is played.
type DemandOptions struct {
	Seed           uint64
	SharedAccounts float64
	KeepaliveMS    int64
	Midnight       viewing.Millis // the day's beginning
}

// sampleStreams is how many playbacks are in progress, on average, in the sample that is
// played: at the peak some 6,700, which know a rate to about 1.2 %.
const sampleStreams = 4000

const hourMS = 3_600_000

// DemandOf plays a day of a sample of the population on a virtual clock, and finds its
// busiest hour. Every start is taken as admitted.
func DemandOf(ctx context.Context, model population.Model, o DemandOptions) (Demand, error) {
	share := min(1, sampleStreams/model.MeanStreams.Value)
	people, err := population.New(model, population.Options{Seed: o.Seed, Scale: share, SharedAccounts: o.SharedAccounts})
	if err != nil {
		return Demand{}, err
	}
	fleet := sim.NewFleet(people, sim.FleetOptions{Seed: o.Seed, StartMS: o.Midnight, KeepaliveMS: o.KeepaliveMS})
	peak := Demand{Population: model.Name, Sample: share}
	for hour := range 24 {
		if err := ctx.Err(); err != nil {
			return Demand{}, fmt.Errorf("play a day of %s: %w", model.Name, err)
		}
		var events [viewing.Stop + 1]int64
		total := int64(0)
		until := o.Midnight + viewing.Millis(hour+1)*hourMS
		for {
			step, ok := fleet.Advance(until)
			if !ok {
				break
			}
			events[step.Type]++
			total++
		}
		if perS := float64(total) / 3600 / share; perS > peak.PeakPerS {
			peak.PeakPerS, peak.Hour, peak.Streams = perS, hour, float64(fleet.Active())/share
			peak.ByType = byType(events[:], share)
		}
	}
	return peak, nil
}

func byType(events []int64, share float64) map[string]float64 {
	rates := map[string]float64{}
	for _, t := range viewing.EventTypes {
		rates[t.String()] = float64(events[t]) / 3600 / share
	}
	return rates
}
