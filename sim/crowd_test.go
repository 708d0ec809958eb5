package sim_test

import (
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
