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

// The population that Playhead's driver plays: its evening, as fast as the load asks for.
// About 7,000 of its devices play at a time.
const (
	model       = "netflix-2015"
	scale       = 1.0 / 1000
	seed        = 1
	keepaliveMS = 60_000
	announcedMS = 60_000 // in which those who play at the beginning are
)

// planStart is 20:30 on a Friday.
var planStart = viewing.Millis(time.Date(2015, 11, 20, 20, 30, 0, 0, time.UTC).UnixMilli())

// playPopulation is Playhead's driver with the devices of a population, one event a
// request, in an open loop or a closed one.
func playPopulation(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	m, err := population.Named(model)
	if err != nil {
		return err
	}
	people, err := population.New(m, population.Options{Seed: seed, Scale: scale})
	if err != nil {
		return err
	}
	fleet := sim.NewFleet(people, sim.FleetOptions{Seed: seed, StartMS: planStart, KeepaliveMS: keepaliveMS, WarmUpMS: announcedMS})
	executor := driver.Executor{Name: driver.ConstantVUs, VUs: l.Connections}
	if l.PerS > 0 {
		executor = driver.Executor{Name: driver.ConstantRate, Rate: l.PerS}
	}
	return drive(l, out, fleet, driver.Config{StartMS: planStart, Executor: executor, WarmUp: l.WarmUp, Unasked: 1})
}

// playSteady is Playhead's driver with a keepalive at even distances.
func playSteady(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	return drive(l, out, newSteady(l.PerS, l.Length), driver.Config{StartMS: drivertest.StartMS})
}

func newSteady(perS float64, length time.Duration) *drivertest.Steady {
	every := time.Duration(float64(time.Second) / perS).Round(time.Millisecond)
	return &drivertest.Steady{Every: every, Events: int(length / every), Each: 2000}
}

// keptUp is the share of its plan that a driver sends which keeps up with it.
const keptUp = 0.98

// noLog is for a run that nobody audits.
type noLog struct{}

func (noLog) Add(audit.Entry)          {}
func (noLog) AddAll([]audit.Entry)     {}
func (noLog) AddReading(audit.Reading) {}

func drive(l load, out io.Writer, fleet driver.Fleet, config driver.Config) error {
	config.Fleet, config.Targets, config.Connections, config.Duration = fleet, []string{l.URL}, l.Connections, l.Length
	config.Timeout, config.TimeScale, config.Log = 10*time.Second, 1, noLog{}
	d, err := driver.New(config)
	if err != nil {
		return err
	}
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
