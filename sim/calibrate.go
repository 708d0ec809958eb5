package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// The sample that measures sittings: its error of the mean is about 0.5 %.
const (
	sampleViewers  = 4096
	sampleSittings = 16 // of each viewer
	sampleBurnIn   = 6  // sittings before, until as many titles are left half-way as ever
)

// Sittings are what the sittings of a model are like on average, and what its viewers
// have left half-way. They depend on the model alone: every fleet of it has the same.
type Sittings struct {
	shape sittingShape
	left  []bookmark
}

// MeasureSittings plays sittings of lone viewers, for those who make many fleets of one
// model: it takes longer than to play a small fleet for hours.
func MeasureSittings(p *population.Population) *Sittings {
	quietly := machine{catalogue: p.Catalogue(), habits: habitsOf(p.Model()), keepaliveMS: minuteMS, quiet: true}
	var shape, burnIn sittingShape
	left := make([]bookmark, sampleViewers)
	for i := range left {
		var shelf shelf
		key := random.Key(0, sampleDomain, uint64(i))
		for n := range uint32(sampleBurnIn) {
			burnIn.addSitting(&quietly, &shelf, random.Hash(key, n))
		}
		for n := range uint32(sampleSittings) {
			shape.addSitting(&quietly, &shelf, random.Hash(key, sampleBurnIn+n))
		}
		left[i] = shelf[0]
	}
	shape.inProgress.divide(sampleViewers * sampleSittings)
	shape.busy.divide(sampleViewers * sampleSittings)
	return &Sittings{shape, left}
}

func (shape *sittingShape) addSitting(m *machine, shelf *shelf, key uint64) {
	s := sitting{start: int64(viewing.MinAt), who: newWho(1, 0, 0)}
	began := s.start
	stream := random.At(random.Hash(key, 0), 0)
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
