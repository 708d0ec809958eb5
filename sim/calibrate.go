package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// The sample that measures sittings: its error of the mean is about 0.5 %.
const (
	sampleHomes    = 4096
	sampleSittings = 16 // in each home
	sampleBurnIn   = 12 // sittings before, until as many titles are left half-way as ever
)

// Sittings are what the sittings of a model are like on average, and what its viewers
// have left half-way. They depend on the model alone: every fleet of it has the same.
type Sittings struct {
	shape sittingShape
	left  []bookmark
}

// MeasureSittings plays sittings of viewers who are never in each other's way, for those who make many fleets of one
// model: it takes longer than to play a small fleet for hours.
func MeasureSittings(p *population.Population) *Sittings {
	quietly := machine{catalogue: p.Catalogue(), habits: habitsOf(p.Model()), keepaliveMS: minuteMS, quiet: true}
	var shape, burnIn sittingShape
	left := make([]bookmark, sampleHomes)
	for i := range left {
		var shelf shelf
		key := random.Key(0, sampleDomain, uint64(i))
		profiles := profilesOf(p.Model(), key)
		for n := range uint32(sampleBurnIn) {
			burnIn.addSitting(&quietly, &shelf, random.Hash(key, n), profiles)
		}
		for n := range uint32(sampleSittings) {
			shape.addSitting(&quietly, &shelf, random.Hash(key, sampleBurnIn+n), profiles)
		}
		left[i] = shelf[0]
	}
	shape.inProgress.divide(sampleHomes * sampleSittings)
	shape.busy.divide(sampleHomes * sampleSittings)
	return &Sittings{shape, left}
}

// profilesOf draws an account's profiles as often as somebody there sits down.
func profilesOf(model *population.Model, key uint64) int {
	total := 0.0
	for _, row := range model.Profiles {
		total += float64(row.Share * float64(row.Value))
	}
	stream := random.At(key, sittingNumber)
	u := stream.Float64() * total
	for _, row := range model.Profiles {
		if u -= float64(row.Share * float64(row.Value)); u < 0 {
			return row.Value
		}
	}
	return 1
}

func (shape *sittingShape) addSitting(m *machine, shelf *shelf, key uint64, profiles int) {
	stream := random.At(key, sittingNumber)
	s := sitting{start: int64(viewing.MinAt), who: newWho(uint8(1+stream.Intn(profiles)), 0, 0)}
	began := s.start
	stream = random.At(random.Hash(key, 0), 0)
	m.sit(&s, shelf, &stream)
	playback := began
	for {
		now, before := s.due(), s.inProgress()
		if s.state() == browsing {
			s.view++
			stream = random.At(random.Hash(key, uint32(s.view)), 0)
		}
		m.turn(&s, int32(now-s.start), shelf, &stream)
		switch after := s.inProgress(); {
		case before && !after:
			shape.inProgress.add(playback-began, now-began)
			if s.state() == over {
				shape.busy.add(0, now-began)
				return
			}
		case after && !before:
			playback = now
		}
	}
}
