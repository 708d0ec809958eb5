package driver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/results"
)

// series remembers whose turn it is to fill the run's per-second series.
type series struct {
	mu    sync.Mutex
	endUS int64        // of the last interval
	lost  atomic.Int64 // given up unsent since then
}

// InWarmUp says whether the warm-up is not over.
func (d *Driver) InWarmUp() bool { return time.Since(d.begun) < d.config.WarmUp }

// Interval ends a second of the run: what was answered in it, what was given up
// unsent, and how many sessions play. The second in which the warm-up ends is the
// warm-up's; what was measured in it is in the next.
func (d *Driver) Interval() results.Interval {
	d.series.mu.Lock()
	defer d.series.mu.Unlock()
	recorder := d.measure
	if d.series.endUS < d.config.WarmUp.Microseconds() {
		recorder = d.warm
	}
	d.series.endUS = d.NowUS()
	if lease := d.config.Lease; lease > 0 {
		d.playing.expire(d.series.endUS - lease.Microseconds())
	}
	second := recorder.Interval(d.series.endUS, d.Active())
	second.AtS = float64(d.series.endUS/1000) / 1000 // the recorder's own count begins after the warm-up
	second.Errors += d.series.lost.Swap(0)
	return second
}
