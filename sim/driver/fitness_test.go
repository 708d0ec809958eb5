package driver

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// Only what the driver does itself makes it unfit.
func TestFitness(t *testing.T) {
	t.Parallel()
	const stall = time.Second
	var lines []line
	for i := range int32(500) {
		lines = append(lines, line{dueMS: 3 * int64(i), device: i, session: 1, kind: viewing.Keepalive})
	}
	longer := func(c *Config) { c.Connections, c.Duration = 8, 1600*time.Millisecond }
	t.Run("a target that stands still", func(t *testing.T) {
		t.Parallel()
		var stalled sync.WaitGroup
		target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
			if h.account == 50 {
				stalled.Add(1)
				time.AfterFunc(stall, stalled.Done)
			}
			stalled.Wait()
			accept(w, h)
		})
		fleet := newScript(lines...)
		said := make([]time.Time, len(lines))
		fleet.before = func(l line) { said[l.device] = time.Now() }
		d := newDrive(fleet, target.urls, longer)
		d.play(t, t.Context())
		var late []float64 // the plan itself, on a machine that has other things to do
		for i, l := range lines {
			late = append(late, float64(said[i].Sub(d.begun).Milliseconds()-l.dueMS))
		}
		slices.Sort(late)
		least := late[len(late)*99/100]
		if generator, _ := d.Fitness(0.5); generator.SendLagMS.P99 > least+float64(stall.Milliseconds())/2 || generator.CPU != 0.5 {
			t.Errorf("%+v, and the plan was %v ms late: the target's second is no lag of the driver", generator, least)
		}
	})
	t.Run("a driver that stands still", func(t *testing.T) {
		t.Parallel()
		target := newStage(t, 1, accept)
		fleet := newScript(lines...)
		fleet.before = func(l line) {
			if l.device == 400 {
				time.Sleep(stall)
			}
		}
		d := newDrive(fleet, target.urls, longer)
		d.play(t, t.Context())
		// Of 500 events, those of the last 300 ms came up to a second late: more
		// than one in a hundred, however few of them found a free connection.
		if generator, reason := d.Fitness(0); generator.Fit || reason == "" || generator.SendLagMS.P99 < 700 {
			t.Errorf("%+v %q: want unfit", generator, reason)
		}
	})
}
