package k6

import (
	"fmt"
	"runtime"
	"time"

	"github.com/playhead-load/playhead/results"
)

func processors() int { return runtime.NumCPU() }

// record is what the part came to, but for its audit. played is of the plan, cpu the share
// of the machine's processors that this process used.
func (p *part) record(played time.Duration, cpu float64) *results.Run {
	s := p.scenario
	measuredS := max(0, (played - s.WarmUp).Seconds())
	p.mu.Lock()
	defer p.mu.Unlock()
	run := &results.Run{
		Version: results.Version(), ID: p.begun.Format("20060102-150405") + "-" + s.Name, Scenario: s.Name, Seed: s.Seed,
		Model: s.Population.Model, Scale: s.Population.Scale, TimeScale: s.TimeScale, StartedAt: p.begun,
		DurationS: played.Seconds(), MeasuredS: measuredS, Segment: p.segment.String(),
		Target: results.Target{
			Design: results.External, Nodes: len(p.targets), URLs: p.targets, Salt: fmt.Sprintf("%012x", p.salt),
		},
		Load: p.driver.Load(measuredS), Operations: p.driver.Recorder().Operations(measuredS),
	}
	for _, second := range p.series {
		run.Load.ActiveSessionsPeak = max(run.Load.ActiveSessionsPeak, second.ActiveSessions)
	}
	run.Load.Backlog = p.driver.Backlog()
	run.Generator, run.VoidReason = p.driver.Fitness(cpu)
	run.Generator.ConnectionsBusy = p.driver.ConnectionsBusy()
	if run.VoidReason == "" && len(run.Operations) == 0 {
		run.VoidReason = "nothing was due in the measured time: play a larger share of the population, or play longer than the warm-up"
	}
	return run
}

// write judges the record and writes its folder, if there is to be one.
func (p *part) write(run *results.Run) error {
	measurements := p.driver.Recorder().Measurements()
	timeline, err := p.driver.Recorder().Timeline()
	if err != nil {
		return err
	}
	run.Windows, run.Phases = timeline.Windows, timeline.Phases
	run.Thresholds = results.Evaluate(run, measurements, p.scenario.Thresholds)
	run.Verdict = run.Judge()
	if p.out == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	files := results.Files{Measurements: measurements, Pieces: timeline.Pieces, Series: p.series, Scenario: p.scenario.Raw}
	if err := results.Write(p.out, run, files); err != nil {
		return fmt.Errorf("out: %w", err)
	}
	return nil
}
