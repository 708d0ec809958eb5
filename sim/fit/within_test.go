package fit

import (
	"testing"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

const evening = viewing.Millis(1_448_053_200_000) // 2015-11-20T21:00:00Z

func people(t *testing.T, scale float64) *population.Population {
	t.Helper()
	m, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	p, err := population.New(m, population.Options{Seed: 1, Scale: scale})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRowsThatAreNotGeometric: viewers who go on as often as they should, but less
// often the more they saw, fail by the shape of their rows alone.
func TestRowsThatAreNotGeometric(t *testing.T) {
	for _, c := range []struct {
		goesOn [3]float64
		want   Verdict
	}{{[3]float64{0.65, 0.65, 0.65}, Pass}, {[3]float64{0.73, 0.55, 0.40}, Fail}} {
		s := &Sample{binges: newBinges()}
		offers := 100_000.0
		for i, p := range c.goesOn {
			s.binges.offers[i], s.binges.taken[i] = offers, offers*p
			offers *= p / 2
		}
		p := people(t, 1e-6)
		j := &judge{s: s, people: p, m: p.Model(), report: &Report{}}
		j.binges()
		if next, rows := j.report.Lines[0], j.report.Lines[1]; next.Verdict != Pass || rows.Verdict != c.want {
			t.Errorf("%v: next episode %s (%+v), rows %s (%+v)", c.goesOn, next.Verdict, next.Judged, rows.Verdict, rows.Judged)
		}
	}
}

// TestBeginningIsTheStarts: a session's id tells when it began, on which the count of
// plays by their beginning rests.
func TestBeginningIsTheStarts(t *testing.T) {
	fleet := sim.NewFleet(people(t, 1.0/20_000), sim.FleetOptions{Seed: 1, StartMS: evening, KeepaliveMS: minuteMS})
	starts := map[viewing.SessionID]viewing.Millis{}
	stops := 0
	var e viewing.Event
	for {
		if _, ok := fleet.Next(evening+2*hourMS, &e); !ok {
			break
		}
		if e.Type == viewing.Start {
			starts[e.SessionID] = e.At
		}
		if begun := beginning(&e); begun != starts[e.SessionID] {
			t.Fatalf("%s at %d: began at %d by its id, at %d by its start", e.Type, e.At, begun, starts[e.SessionID])
		}
		if e.Type == viewing.Stop {
			stops++
		}
	}
	if stops == 0 {
		t.Fatal("no stop was seen")
	}
}

// TestMemoryDoesNotGrow: after a day there is as much to remember as after an hour.
func TestMemoryDoesNotGrow(t *testing.T) {
	fleet := sim.NewFleet(people(t, 1.0/4000), sim.FleetOptions{Seed: 1, StartMS: evening, KeepaliveMS: 10 * minuteMS})
	s := Watch(t.Context(), fleet, Options{From: evening, Until: evening + 24*hourMS, KeepaliveMS: 10 * minuteMS})
	most := len(s.binges.waiting) + len(s.pauses.pausing) + len(s.views.open)
	if limit := max(200, s.peak/5); most > limit {
		t.Errorf("%d devices and hours are remembered, want at most %d", most, limit)
	}
	if rows := len(s.binges.rows) + len(s.views.resumed); rows > fleet.Devices()/10 {
		t.Errorf("%d devices that play on are remembered, of %d", rows, fleet.Devices())
	}
}
