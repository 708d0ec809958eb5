package driver

import (
	"math"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// dueUntil is when events are due until a moment, in seconds.
func dueUntil(p pace, endS float64) (due []float64) {
	for {
		if _, ok := p.until(nil, int64(endS*1e6)); !ok {
			return due
		}
		due = append(due, float64(p.due(0, 0))/1e6)
	}
}

func TestConstantRateIsEven(t *testing.T) {
	t.Parallel()
	due := dueUntil(newPace(&Config{Executor: Executor{Name: ConstantRate, Rate: 200}}), 10)
	if len(due) != 2001 {
		t.Fatalf("%d events in 10 s at 200 a second, and one at 0", len(due))
	}
	for i, at := range due {
		if math.Abs(at-float64(i)/200) > 2e-6 {
			t.Fatalf("event %d is due at %v s", i, at)
		}
	}
}

// TestRampingRate compares with the area under the rate, in steps of a millisecond.
func TestRampingRate(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]Executor{
		"up, level, down": {Rate: 0, Stages: []Stage{{2 * time.Second, 100}, {3 * time.Second, 100}, {2 * time.Second, 10}}},
		"a step":          {Rate: 50, Stages: []Stage{{time.Second, 50}, {0, 300}, {time.Second, 300}}},
		"a pause":         {Rate: 100, Stages: []Stage{{time.Second, 0}, {2 * time.Second, 0}, {time.Second, 100}}},
	} {
		e.Name = RampingRate
		const endS = 8.0
		due := dueUntil(newPace(&Config{Executor: e}), endS)
		rateAt := func(at float64) float64 {
			rate := e.Rate
			for _, s := range e.Stages {
				if at < s.Duration.Seconds() {
					return rate + (s.Rate-rate)*at/s.Duration.Seconds()
				}
				at, rate = at-s.Duration.Seconds(), s.Rate
			}
			return rate
		}
		area, next := 0.0, 0
		for step := range int(endS * 1000) {
			at := float64(step) / 1000
			for next < len(due) && due[next] <= at {
				if math.Abs(area-float64(next)) > 1 {
					t.Errorf("%s: event %d is due at %.3f s, when %.1f should have been", name, next, due[next], area)
				}
				next++
			}
			area += rateAt(at+0.0005) / 1000
		}
		if math.Abs(area-float64(len(due))) > 2 {
			t.Errorf("%s: %d events, want %.1f", name, len(due), area)
		}
	}
}

func TestClosedLoopKeepsSoManyUnderWay(t *testing.T) {
	t.Parallel()
	const vus, events = 3, 60
	var lines []line
	for i := range int32(events) {
		lines = append(lines, line{dueMS: 3_600_000 * int64(i), device: i, session: 1, kind: viewing.Keepalive})
	}
	underway := newGauge()
	target := newStage(t, 1, underway.around(accept))
	d := newDrive(newScript(lines...), target.urls, func(c *Config) {
		c.Duration, c.Executor = 10*time.Second, Executor{Name: ConstantVUs, VUs: vus}
	})
	ctx, cancel := contextUntil(t, func() bool { return len(target.requests()) == events })
	defer cancel()
	d.play(t, ctx)
	if got := underway.most(); got != vus {
		t.Errorf("%d requests under way at once, want %d", got, vus)
	}
	if got := len(target.requests()); got != events {
		t.Errorf("%d requests, want all %d, however far apart they are in the plan", got, events)
	}
}

// TestWhoVanishesIsNotDueAtARate: what a silent device would have said takes its turn.
func TestWhoVanishesIsNotDueAtARate(t *testing.T) {
	t.Parallel()
	const events = 1000
	var lines []line
	for i := range int32(events) {
		lines = append(lines, line{device: i, session: 1, kind: viewing.Keepalive})
	}
	target := newStage(t, 1, accept)
	d := newDrive(newScript(lines...), target.urls, func(c *Config) {
		c.Duration, c.Executor = 300*time.Millisecond, Executor{Name: ConstantRate, Rate: 200}
	})
	d.Vanish(1, 1)
	d.play(t, t.Context())
	if said := d.script.said; said > 62 || said < 30 {
		t.Errorf("%d events of the plan were used up in 0.3 s at 200 a second", said)
	}
	if got := len(target.requests()); got != 0 {
		t.Errorf("%d requests of devices that say nothing", got)
	}
}
