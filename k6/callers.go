package k6

import (
	"context"
	"sync"
	"time"

	"go.k6.io/k6/lib"

	"github.com/playhead-load/playhead/results"
)

// callers measure what devices do that scripts play by hand: those of a scenario together,
// whichever VUs they are of, and hand it to k6 once a second. Any goroutine may use it.
type callers struct {
	mu     sync.Mutex
	byName map[string]*caller
}

// caller measures the devices of one scenario.
type caller struct {
	recorder *results.Recorder
	meter    *meter
	begun    time.Time
	flushing sync.Mutex
	ended    bool // flushing guards it
}

// measure is that of the scenario that the VU plays in.
func (i *instance) measure(state *lib.State) *caller {
	if ctx := i.vu.Context(); i.callerCtx != ctx {
		i.caller, i.callerCtx = i.module.callers.of(i, ctx, state), ctx
	}
	return i.caller
}

// of is the measure of the scenario that ctx is of.
func (c *callers) of(i *instance, ctx context.Context, state *lib.State) *caller {
	name, lasts := "", whole.lasts
	if scenario := lib.GetScenarioState(ctx); scenario != nil {
		name = scenario.Name
		if config, ok := state.Options.Scenarios[name]; ok {
			if steps, err := stepsOf(config); err == nil {
				lasts, _ = lib.GetEndOffset(steps)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.byName[name]; found != nil {
		return found
	}
	tags := state.Tags.GetCurrentValues().Tags
	for tag := range tags.Map() {
		if tag != "scenario" { // others are of one VU, or of one group
			tags = tags.Without(tag)
		}
	}
	made := &caller{
		recorder: results.NewRecorder(0, lasts.Microseconds()), begun: time.Now(),
		meter: newMeter(i.module, i.metrics, state.Samples, tags, lasts, 1),
	}
	made.recorder.Each(made.meter.tell)
	if c.byName == nil {
		c.byName = map[string]*caller{}
	}
	c.byName[name] = made
	go made.watch()
	return made
}

// watch hands over a second after another until flush has ended it, or the process.
func (c *caller) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range tick.C {
		if !c.second(false) {
			return
		}
	}
}

// second hands over what was measured since the last one; not if that was the last.
func (c *caller) second(last bool) bool {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	if c.ended {
		return false
	}
	c.ended = last
	c.recorder.Interval(c.nowUS(), results.Now{})
	if len(c.meter.waiting) > 0 || len(c.meter.samples) > 0 {
		c.meter.flush(context.Background(), 0, last)
	}
	return true
}

func (c *caller) nowUS() int64 { return time.Since(c.begun).Microseconds() }

// note measures one call: it was due when the script made it.
func (c *caller) note(op results.Op, called, sent, done time.Time, result results.Result) {
	c.recorder.Record(op, called.Sub(c.begun).Microseconds(), sent.Sub(c.begun).Microseconds(), done.Sub(c.begun).Microseconds(), result)
}

// flush hands over the last of all scenarios.
func (c *callers) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.byName {
		one.second(true)
	}
}
