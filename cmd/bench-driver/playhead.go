package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/sim/driver/drivertest"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// The population that Playhead's driver plays: its evening, two minutes in a second, and
// as many devices as the rate asks for.
const (
	model       = "netflix-2015"
	seed        = 1
	keepaliveMS = 60_000
	timeScale   = 120
	// A population of sampleScale is played for sampleMS of its time beforehand, to learn
	// how many events it has.
	sampleScale = 1.0 / 4000
	sampleMS    = 10 * 60_000
)

// planStart is 20:30 on a Friday.
var planStart = viewing.Millis(time.Date(2015, 11, 20, 20, 30, 0, 0, time.UTC).UnixMilli())

// playPopulation is Playhead's driver with the devices of a population: one event a
// request, and the questions that their screens ask.
func playPopulation(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	m, err := population.Named(model)
	if err != nil {
		return err
	}
	options := sim.FleetOptions{Seed: seed, StartMS: planStart, KeepaliveMS: keepaliveMS}
	sample, err := population.New(m, population.Options{Seed: seed, Scale: sampleScale})
	if err != nil {
		return err
	}
	options.Sittings = sim.MeasureSittings(sample)
	perS := timeScale * eventsPerS(sim.NewFleet(sample, options))
	people, err := population.New(m, population.Options{Seed: seed, Scale: sampleScale * l.PerS / perS})
	if err != nil {
		return err
	}
	options.WarmUpMS = timeScale * l.WarmUp.Milliseconds()
	return drive(l, out, sim.NewFleet(people, options), driver.Config{StartMS: planStart, TimeScale: timeScale, WarmUp: l.WarmUp})
}

// eventsPerS is how many events a fleet has in a second of its own time. It plays them.
func eventsPerS(fleet *sim.Fleet) (n float64) {
	for {
		if _, ok := fleet.Advance(planStart + sampleMS); !ok {
			return n / (sampleMS / 1000)
		}
		n++
	}
}

// playSteady is Playhead's driver with a keepalive at even distances.
func playSteady(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	return drive(l, out, newSteady(l.PerS, l.Length), driver.Config{StartMS: drivertest.StartMS, TimeScale: 1})
}

func newSteady(perS float64, length time.Duration) *drivertest.Steady {
	every := time.Duration(float64(time.Second) / perS).Round(time.Millisecond)
	return &drivertest.Steady{Every: every, Events: int(length / every), Each: 2000}
}

// keptUp is the share of its plan that a driver sends which keeps up with it.
const keptUp = 0.98

// noLog is for a run that nobody audits.
type noLog struct{}

func (noLog) Add(audit.Entry) {}

func drive(l load, out io.Writer, fleet driver.Fleet, config driver.Config) error {
	config.Fleet, config.Targets, config.Connections, config.Duration = fleet, []string{l.URL}, l.Connections, l.Length
	config.Timeout, config.Log = 10*time.Second, noLog{}
	d := driver.New(config)
	played := d.Run(context.Background(), func() {})
	all := newHistogram()
	for _, m := range d.Recorder().Measurements() {
		all.Merge(m.Response)
	}
	_, unfit := d.Fitness(0)
	made := d.Load((played - config.WarmUp).Seconds())
	if unfit == "" && made.OfferedPerS < keptUp*made.TargetPerS {
		unfit = fmt.Sprintf("it sent %.0f events/s of %.0f", made.OfferedPerS, made.TargetPerS)
	}
	return tell(out, said{percentilesOf(all), unfit})
}
