package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/trace"
	"github.com/playhead-load/playhead/viewing"
)

// traceOf plays the plan, or a segment of it, and writes its events to file.
func traceOf(ctx context.Context, s *scenarios.Scenario, segment segmentFlag, file string, out, trouble io.Writer) error {
	shown := newProgress(trouble, !isTerminal(trouble) || file == "-" && isTerminal(out))
	defer shown.end()
	fleet, err := newFleet(s, segment.Segment, 0, shown)
	if err != nil {
		return err
	}
	p := &simulation{scenario: s, fleet: fleet, begun: time.Now(), shown: shown}
	return p.writeTrace(ctx, file, out)
}

// simulation is a fleet on a virtual clock.
type simulation struct {
	scenario *scenarios.Scenario
	fleet    *sim.Fleet
	begun    time.Time
	shown    *progress
}

// lookEvery is how many events pass between two looks for a Ctrl-C.
const lookEvery = 1 << 14

// play hands every event of the plan to f, in time order.
func (p *simulation) play(ctx context.Context, f func(*viewing.Event) error) error {
	var e viewing.Event
	end := endOfPlan(p.scenario)
	for n := 0; ; n++ {
		if n%lookEvery == 0 {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted after %d events", n)
			}
			p.show(n, e.At, time.Now())
		}
		if _, ok := p.fleet.Next(end, &e); !ok {
			return nil
		}
		if err := f(&e); err != nil {
			return err
		}
	}
}

// show tells how far it is, if it takes long.
func (p *simulation) show(events int, at viewing.Millis, now time.Time) {
	took := now.Sub(p.begun)
	if took <= quietFor {
		return
	}
	begin, end := plan.StartMS(p.scenario), endOfPlan(p.scenario)
	p.shown.update(fmt.Sprintf("simulated %3.0f %% of %v  %s events  %s/s  %s playing",
		100*float64(at-begin)/float64(end-begin), time.Duration(end-begin)*time.Millisecond, results.FormatCount(events),
		results.FormatCount(int(float64(events)/took.Seconds())), results.FormatCount(p.fleet.Active())))
}

func (p *simulation) writeTrace(ctx context.Context, path string, stdout io.Writer) (err error) {
	out := trace.NewWriter(stdout, "standard output")
	if path != "-" {
		if out, err = trace.Create(path); err != nil {
			return err
		}
	}
	if err := p.play(ctx, out.Write); err != nil {
		out.Abort()
		return fmt.Errorf("%w: the trace is not whole", err)
	}
	return out.Close()
}
