package driver

import (
	"sync"
	"time"

	"github.com/playhead-load/playhead/results"
)

// series remembers whose turn it is to fill the run's per-second series.
type series struct {
	mu    sync.Mutex
	endUS int64 // of the last interval
}

// InWarmUp says whether the warm-up is not over.
func (d *Driver) InWarmUp() bool { return time.Since(d.begun) < d.config.WarmUp }

// Interval ends a second of the run: what was answered in it, and how many
// sessions play by the plan. The second in which the warm-up ends is the
// warm-up's; what was measured in it is in the next.
func (d *Driver) Interval() results.Interval {
	d.mu.Lock()
	active := d.fleet.Active()
	d.mu.Unlock()
	d.series.mu.Lock()
	defer d.series.mu.Unlock()
	recorder := d.measure
	if d.series.endUS < d.config.WarmUp.Microseconds() {
		recorder = d.warm
	}
	d.series.endUS = d.NowUS()
	second := recorder.Interval(d.series.endUS, int64(active))
	second.AtS = float64(d.series.endUS/1000) / 1000 // the recorder's own count begins after the warm-up
	return second
}
