package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/trace"
	"github.com/playhead-load/playhead/viewing"
)

func newSimulate() *cobra.Command {
	var overrides overrideFlags
	var segment segmentFlag
	var file string
	c := &cobra.Command{
		Use:   "simulate SCENARIO.yaml",
		Short: "Play the same devices on a virtual clock, without a server",
		Long: `Play a scenario's devices on a virtual clock, as fast as the machine allows and
without a server: what traffic they make, and by which parameters. The same seed
gives the same events, byte for byte. Every start is taken as admitted.

With --trace the events are written instead of their summary, one JSON object a line,
for run --replay and for any other program. With --segment several machines share
the work: the parts have no account in common, and together are the whole.`,
		Example: `  playhead simulate scenarios/prime-time.yaml
  playhead simulate scenarios/prime-time.yaml --trace - | head -3
  playhead simulate scenarios/prime-time.yaml --trace friday.ndjson.zst
  playhead simulate scenarios/prime-time.yaml --trace part-2.ndjson.zst --segment 2/8`,
		Args: oneScenario,
	}
	c.Flags().SortFlags = false
	overrides.add(c.Flags())
	segment.add(c.Flags())
	c.Flags().StringVar(&file, "trace", "", "write the events as NDJSON to this file instead of the summary: compressed if its name ends in .zst, - for standard output")
	overrides.noFaults = true // a virtual clock has nothing to break
	c.RunE = func(c *cobra.Command, args []string) error {
		scenario, err := overrides.load(c.Flags(), args[0])
		if err != nil {
			return err
		}
		return simulate(c.Context(), scenario, segment, file, c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

func simulate(ctx context.Context, s *scenarios.Scenario, segment segmentFlag, file string, out, trouble io.Writer) error {
	shown := newProgress(trouble, !isTerminal(trouble) || file == "-" && isTerminal(out))
	defer shown.end()
	slow := time.AfterFunc(quietFor, func() { shown.update("population: " + describePopulation(s, segment)) })
	fleet, err := newFleet(s, segment.Segment, 0)
	slow.Stop()
	if err != nil {
		return err
	}
	p := &simulation{scenario: s, segment: segment, fleet: fleet, begun: time.Now(), shown: shown}
	if file != "" {
		return p.writeTrace(ctx, file, out)
	}
	return p.summarize(ctx, out)
}

// simulation is a fleet on a virtual clock.
type simulation struct {
	scenario *scenarios.Scenario
	segment  segmentFlag
	fleet    *sim.Fleet
	begun    time.Time
	shown    *progress
}

// endOfPlan is the virtual moment at which a scenario is over.
func endOfPlan(s *scenarios.Scenario) viewing.Millis {
	return startOfPlan(s) + viewing.Millis(float64(s.Duration.Milliseconds())*s.TimeScale)
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
	begin, end := startOfPlan(p.scenario), endOfPlan(p.scenario)
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

// shape is what a plan's traffic looks like.
type shape struct {
	events      [viewing.Stop + 1]int64
	startsBy    map[string]int64
	total       int64
	activeSum   int64 // over the samples
	activePeak  int
	samples     int64
	nextSampleM viewing.Millis
}

func (p *simulation) summarize(ctx context.Context, out io.Writer) error {
	s := p.scenario
	look := shape{startsBy: map[string]int64{}, nextSampleM: startOfPlan(s)}
	err := p.play(ctx, func(e *viewing.Event) error {
		look.add(e, p.fleet.Active())
		return nil
	})
	if err != nil {
		return err
	}
	p.shown.end()
	planned := time.Duration(endOfPlan(s)-startOfPlan(s)) * time.Millisecond
	fmt.Fprintf(out, "%s · %s · %v from %s, simulated in %v\n\n",
		s.Name, describePopulation(s, p.segment), planned, clockTime(s.StartAt), time.Since(p.begun).Round(time.Millisecond))
	look.print(out, planned)
	printModel(out, p.fleet.Model(), s.Population.SharedAccounts)
	return nil
}

func clockTime(sinceMidnight time.Duration) string { return planDay.Add(sinceMidnight).Format("15:04") }

func (l *shape) add(e *viewing.Event, active int) {
	l.events[e.Type]++
	l.total++
	if e.Type == viewing.Start {
		l.startsBy[e.DeviceType]++
	}
	for e.At >= l.nextSampleM {
		l.nextSampleM += 1000
		l.samples++
		l.activeSum += int64(active)
		l.activePeak = max(l.activePeak, active)
	}
}

func (l *shape) print(out io.Writer, planned time.Duration) {
	per := func(n int64) float64 { return float64(n) / planned.Seconds() }
	fmt.Fprintf(out, "  playing at once   mean %.0f, peak %d\n", float64(l.activeSum)/float64(max(1, l.samples)), l.activePeak)
	fmt.Fprintf(out, "  events            %d, %.1f a second of the plan\n", l.total, per(l.total))
	for _, t := range viewing.EventTypes {
		fmt.Fprintf(out, "    %-14s %10d %10.2f/s\n", t, l.events[t], per(l.events[t]))
	}
	fmt.Fprintf(out, "  starts by device  ")
	starts := max(1, l.events[viewing.Start])
	for _, kind := range []string{"tv", "web", "phone", "tablet"} {
		fmt.Fprintf(out, "%s %.1f %%  ", kind, 100*float64(l.startsBy[kind])/float64(starts))
	}
	fmt.Fprintf(out, "\n\n")
}

// printModel lists the parameters with their sources. V: read in the source,
// D: derived from one, R: recalled, A: assumed.
func printModel(out io.Writer, m *population.Model, sharedAccounts float64) {
	fmt.Fprintf(out, "parameters of %s (V read in the source · D derived · R recalled · A assumed)\n", m.Name)
	line := func(name string, value float64, unit string, mark population.Mark, source string) {
		fmt.Fprintf(out, "  %-24s %9.4g %-13s %c  %s\n", name, value, unit, mark, source)
	}
	for _, p := range m.Params() {
		line(p.Name, p.Value, p.Unit, p.Mark, p.Source)
	}
	shares := func(name, of string, rows []population.Share) {
		for _, row := range rows {
			line(fmt.Sprintf("%s_%d", name, row.Value), row.Share, of, row.Mark, row.Source)
		}
	}
	line("shared_accounts", sharedAccounts, "share", population.Assumed, "the scenario; no public figure")
	shares("plan", "of accounts", m.Plans)
	shares("profiles", "of accounts", m.Profiles)
	shares("households", "of shared", m.Households)
	shares("network", "of households", m.Networks)
	for _, z := range m.Zones {
		line(fmt.Sprintf("zone_%s%+d", z.Country, z.OffsetMinutes), z.Share, "of accounts", z.Mark, z.Source)
	}
	for _, d := range m.Devices {
		line(d.Type+"_streams", d.Streams, "of streams", d.Mark, d.Source)
		line(d.Type+"_owned", d.Owned, "of households", d.OwnedMark, "have one; it plays at "+strings.Join(d.Ladder, ", ")+" kbit/s")
		line(d.Type+"_offline", d.Offline, "of sittings", d.OwnedMark, "are played without a connection and told later; no public figure")
	}
}
