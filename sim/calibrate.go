package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// The sample that measures sittings: its error of the mean is about 0.5 %.
const (
	sampleDevices  = 4096
	sampleSittings = 16 // of each device
	sampleBurnIn   = 6  // sittings before, until as many titles are left half-way as ever
)

// memory is a title left half-way, or none.
type memory struct {
	title uint16
	at    int32 // ms
}

// measureSittings plays sittings of lone devices, averages their shape, and
// keeps what each device remembers after them. It depends on the model alone,
// so every fleet of a model has the same.
func measureSittings(m *machine, model *population.Model) (sittingShape, []memory) {
	quietly := *m
	quietly.quiet = true
	var shape, burnIn sittingShape
	memories := make([]memory, sampleDevices)
	for i := range memories {
		var d device
		key := random.Key(0, sampleDomain, uint64(i))
		stream := random.At(key, 0)
		profiles := sampleProfiles(model, &stream)
		d.drawn = stream.Counter()
		for range sampleBurnIn {
			burnIn.addSitting(&quietly, &d, profiles, key)
		}
		for range sampleSittings {
			shape.addSitting(&quietly, &d, profiles, key)
		}
		memories[i] = memory{d.remembered, d.rememberedAt}
	}
	shape.inProgress.divide(sampleDevices * sampleSittings)
	shape.busy.divide(sampleDevices * sampleSittings)
	return shape, memories
}

// sampleProfiles draws an account's profiles as often as its viewers sit down.
func sampleProfiles(model *population.Model, stream *random.Stream) int {
	total := 0.0
	for _, row := range model.Profiles {
		total += float64(row.Share * float64(row.Value))
	}
	u := stream.Float64() * total
	for _, row := range model.Profiles {
		if u -= float64(row.Share * float64(row.Value)); u < 0 {
			return row.Value
		}
	}
	return 1
}

func (shape *sittingShape) addSitting(m *machine, d *device, profiles int, key uint64) {
	d.due = int64(viewing.MinAt)
	began, playback := d.due, d.due
	stream := random.At(key, d.drawn)
	m.sit(d, uint8(1+stream.Intn(profiles)), &stream)
	d.drawn = stream.Counter()
	for d.state != idle {
		now, before := d.due, d.inProgress()
		m.step(d, key)
		switch after := d.inProgress(); {
		case before && !after:
			shape.inProgress.add(playback-began, now-began)
			if d.state == idle {
				shape.busy.add(0, now-began)
			}
		case after && !before:
			playback = now
		}
	}
}
