package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

func newSimulate() *cobra.Command {
	var overrides overrideFlags
	var trace string
	c := &cobra.Command{
		Use:   "simulate SCENARIO.yaml",
		Short: "Play the same devices on a virtual clock, without a server",
		Long: `Play a scenario's devices on a virtual clock, as fast as the machine allows and
without a server: what traffic they make, and by which parameters. The same seed
gives the same events, byte for byte. Every start is taken as admitted.`,
		Example: `  playhead simulate scenarios/prime-time.yaml
  playhead simulate scenarios/prime-time.yaml --trace - | head -3`,
		Args: oneScenario,
	}
	c.Flags().SortFlags = false
	overrides.add(c.Flags())
	c.Flags().StringVar(&trace, "trace", "", "write the events as NDJSON to this file, - for standard output, instead of the summary")
	overrides.noFaults = true // a virtual clock has nothing to break
	c.RunE = func(c *cobra.Command, args []string) error {
		scenario, err := overrides.load(c.Flags(), args[0])
		if err != nil {
			return err
		}
		fleet, err := newFleet(scenario, 0)
		if err != nil {
			return err
		}
		if trace != "" {
			return writeTrace(c.Context(), scenario, fleet, trace, c.OutOrStdout())
		}
		return summarize(c.Context(), scenario, fleet, c.OutOrStdout())
	}
	return c
}

// endOfPlan is the virtual moment at which a scenario is over.
func endOfPlan(s *scenarios.Scenario) viewing.Millis {
	return startOfPlan(s) + viewing.Millis(float64(s.Duration.Milliseconds())*s.TimeScale)
}

// interruptEvery is how many events pass between two looks for a Ctrl-C.
const interruptEvery = 1 << 14

// play hands every event of the plan to f, in time order.
func play(ctx context.Context, s *scenarios.Scenario, fleet *sim.Fleet, f func(*viewing.Event) error) error {
	var e viewing.Event
	end := endOfPlan(s)
	for n := 0; ; n++ {
		if n%interruptEvery == 0 && ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d events", n)
		}
		if _, ok := fleet.Next(end, &e); !ok {
			return nil
		}
		if err := f(&e); err != nil {
			return err
		}
	}
}

func writeTrace(ctx context.Context, s *scenarios.Scenario, fleet *sim.Fleet, path string, stdout io.Writer) (err error) {
	to := stdout
	if path != "-" {
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("write the trace: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		to = file
	}
	out := bufio.NewWriterSize(to, 1<<20)
	var line []byte
	playErr := play(ctx, s, fleet, func(e *viewing.Event) error {
		line = append(wire.AppendEventJSON(line[:0], e), '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write the trace to %s: %w", path, err)
		}
		return nil
	})
	if err := out.Flush(); err != nil && playErr == nil {
		playErr = fmt.Errorf("write the trace to %s: %w", path, err)
	}
	return playErr
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

func summarize(ctx context.Context, s *scenarios.Scenario, fleet *sim.Fleet, out io.Writer) error {
	begun := time.Now()
	look := shape{startsBy: map[string]int64{}, nextSampleM: startOfPlan(s)}
	err := play(ctx, s, fleet, func(e *viewing.Event) error {
		look.add(e, fleet.Active())
		return nil
	})
	if err != nil {
		return err
	}
	planned := time.Duration(endOfPlan(s)-startOfPlan(s)) * time.Millisecond
	fmt.Fprintf(out, "%s · %s · %v from %s, simulated in %v\n\n",
		s.Name, describePopulation(s), planned, clockTime(s.StartAt), time.Since(begun).Round(time.Millisecond))
	look.print(out, planned)
	printModel(out, fleet.Model(), s.Population.SharedAccounts)
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
