package driver

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/results"
)

// series remembers whose turn it is to fill the run's per-second series.
type series struct {
	mu    sync.Mutex
	endUS int64          // of the last interval
	cpus  processorTimes // then
	lost  atomic.Int64   // given up unsent since then
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
	cpus := readProcessorTimes()
	second := recorder.Interval(d.series.endUS, results.Now{
		ActiveSessions: d.Active(), Phase: d.phases.since(), Stolen: cpus.stolenSince(d.series.cpus),
	})
	d.series.cpus = cpus
	second.AtS = float64(d.series.endUS/1000) / 1000 // the recorder's own count begins after the warm-up
	second.Errors += d.series.lost.Swap(0)
	return second
}

// phases are those that are on, by name: what is broken at the time.
type phases struct {
	mu   sync.Mutex
	on   []string
	were []string // those that were on since the last interval
}

// BeginPhase begins a phase of the run, beside those that are on. Seconds in which it is
// on are told apart from others in the run's windows.
func (d *Driver) BeginPhase(name string) (end func()) {
	p := &d.phases
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = append(p.on, name)
	p.were = append(p.were, name)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.Index(p.on, name); i >= 0 {
			p.on = slices.Delete(p.on, i, i+1)
		}
	}
}

// since names the phases that were on since the last call, together.
func (p *phases) since() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	were := p.were
	p.were = slices.Clone(p.on)
	if len(were) == 0 {
		return results.PhaseCalm
	}
	slices.Sort(were)
	return strings.Join(slices.Compact(were), " + ")
}
