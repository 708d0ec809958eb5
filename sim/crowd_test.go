package sim_test

import (
	"math"
	"slices"
	"testing"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// An evening of live-event at 1/10,000: 65 M streams of the event at its peak are 6,500
// here, and come within the hour. The standard error is below 100.
func TestACrowdComesToALiveEvent(t *testing.T) {
	model, err := population.Named("live-event")
	if err != nil {
		t.Fatal(err)
	}
	p, err := population.New(model, population.Options{Seed: 1, Scale: 1e-4})
	if err != nil {
		t.Fatal(err)
	}
	live := p.Catalogue().Live()
	f := sim.NewFleet(p, sim.FleetOptions{Seed: 1, StartMS: midnight + 18*hour, KeepaliveMS: 10 * minute})
	var e viewing.Event
	at := map[viewing.SessionID]bool{}
	watching := make([]int, 6*4) // each quarter of an hour
	for quarter := range watching {
		for {
			if _, ok := f.Next(midnight+18*hour+viewing.Millis(quarter+1)*15*minute, &e); !ok {
				break
			}
			switch {
			case e.TitleID != live:
			case e.Type == viewing.Start:
				at[e.SessionID] = true
				if early, late := e.PositionMS == 0, e.At-midnight-21*hour > minute; early && late && !e.ResumePos {
					t.Fatalf("who comes late begins with what is live: %s", describe(&e, 0))
				}
			case e.Type == viewing.Stop:
				delete(at, e.SessionID)
			}
		}
		watching[quarter] = len(at)
	}
	t.Logf("watching the event, each quarter of an hour from 18:00: %v", watching)
	most := 0
	for _, n := range watching {
		most = max(most, n)
	}
	if most < 5500 || most > 7500 {
		t.Errorf("%d watch at the peak, want about 6500", most)
	}
	if before := watching[7]; before > most/20 { // at 20:00
		t.Errorf("%d watch an hour before the event, of %d at its peak", before, most)
	}
}

// premiere is netflix-2015 with an event at 21:00, of so many streams at its peak, whose
// viewers come within so many minutes (standard deviation) and stay for stays.
func premiere(t *testing.T, streams, gathers, stays float64) *population.Population {
	t.Helper()
	model, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Set(map[string]float64{
		"crowd_streams": streams, "crowd_hour": 21, "crowd_gathers": gathers, "crowd_stays": stays,
	}); err != nil {
		t.Fatal(err)
	}
	p, err := population.New(model, population.Options{Seed: 1, Scale: 1.0 / 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// startsOf counts the viewers that begin the event in each minute from 20:30 on, and the
// starts of anything else.
func startsOf(p *population.Population, minutes int) (event, others []int) {
	const begin = midnight + 20*hour + 30*minute
	f := sim.NewFleet(p, sim.FleetOptions{Seed: 1, StartMS: begin, KeepaliveMS: minute})
	event, others = make([]int, minutes), make([]int, minutes)
	live := p.Catalogue().Live()
	came := map[[2]uint64]bool{}
	var e viewing.Event
	for {
		step, ok := f.Next(begin+viewing.Millis(minutes)*minute-1, &e)
		if !ok {
			return event, others
		}
		viewer := [2]uint64{e.AccountID, uint64(e.ProfileID)}
		switch at := int(step.DueMS-begin) / minute; {
		case e.Type != viewing.Start:
		case live == 0 || e.TitleID != live:
			others[at]++
		case !came[viewer]: // who comes back has come already
			came[viewer] = true
			event[at]++
		}
	}
}

// comers is how many come in all, for so many to be there at once at the peak. Nothing here
// is the simulator's: second by second who comes, by the normal distribution, less who
// leaves.
func comers(streams, gathers, stays float64) float64 {
	share := func(minutes float64) float64 { return (1 + math.Erf(minutes/gathers/math.Sqrt2)) / 2 }
	there, most := 0.0, 0.0
	for second := -6 * 3600.0; second < 6*3600; second++ {
		there = there*math.Exp(-1/(60*stays)) + share((second+1)/60) - share(second/60)
		most = max(most, there)
	}
	return streams / most
}

// TestAPremiereFillsAtTheRateThatIsAskedFor: how many come in the minutes around 21:00, and
// when, is what its numbers say, steep or not; without the event there is nobody.
func TestAPremiereFillsAtTheRateThatIsAskedFor(t *testing.T) {
	const scale = 1.0 / 1000
	for _, asked := range []struct{ streams, gathers, stays float64 }{{4_000_000, 5, 45}, {8_000_000, 2, 45}} {
		event, others := startsOf(premiere(t, asked.streams, asked.gathers, asked.stays), 60)
		total := comers(asked.streams*scale, asked.gathers, asked.stays)
		t.Logf("%+v: %.0f viewers are meant; each minute from 20:30: %v, others %v", asked, total, event, others)
		within := func(minutes float64) (came, meant float64) {
			for minute := 30 - int(minutes); minute < 30+int(minutes); minute++ {
				came += float64(event[minute])
			}
			return came, total * math.Erf(minutes/asked.gathers/math.Sqrt2)
		}
		for _, minutes := range []float64{1, asked.gathers, 3 * asked.gathers} {
			came, meant := within(minutes)
			if off := math.Abs(came - meant); off > 4*math.Sqrt(meant)+0.05*meant {
				t.Errorf("%+v: %.0f came within %v minutes of 21:00, want %.0f", asked, came, minutes, meant)
			}
		}
	}
	event, _ := startsOf(premiere(t, 0, 5, 45), 60)
	if n := slices.Max(event); n > 0 {
		t.Errorf("%d came to an event that there is not", n)
	}
}
