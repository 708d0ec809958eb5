// Package fit says how well a fleet's traffic fits what its population is calibrated
// against: it watches the fleet play, in memory that does not grow with the time
// played, and judges each marginal by its distance from the public figure.
package fit

import (
	"context"
	"encoding/binary"
	"iter"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

const (
	minuteMS    = 60_000
	hourMS      = 60 * minuteMS
	minutesADay = 24 * 60
)

// settledMS is after how long a play has ended: hardly a film is longer.
const settledMS = 4 * hourMS

// maxLooked bounds the accounts whose plan and profiles are counted.
const maxLooked = 1_000_000

// Options say what Watch plays.
type Options struct {
	From        viewing.Millis // nothing before counts: the end of the warm-up
	Until       viewing.Millis
	KeepaliveMS int64
	Progress    func(at viewing.Millis, events int64) // called once a minute of the plan
}

// Sample is what was seen of a fleet's traffic.
type Sample struct {
	Events  [viewing.Stop + 1]int64 // by type
	Partial bool                    // it was broken off

	options  Options
	accounts int
	looked   int
	limits   map[int]float64
	profiles map[int]float64

	day     [minutesADay]minuteOfDay
	minutes int64 // seen
	peak    int   // streams

	titles    []float64 // plays begun, by title
	runtimes  []int64   // ms, of those played
	countries map[string]float64
	plays     float64 // begun
	streamsMS float64 // time of playbacks in progress
	views     views
	pauses    pauses
	binges    binges

	catalogue *population.Catalogue
	now       viewing.Millis
}

// minuteOfDay sums up one minute of the virtual day, over the days seen.
type minuteOfDay struct{ seen, streams, starts, keepalives float64 }

// Watch plays the fleet, which must stand at its beginning, and says what was seen.
// It looks at ctx once a minute of the plan; a sample that was broken off says so.
func Watch(ctx context.Context, fleet *sim.Fleet, options Options) *Sample {
	s := &Sample{
		options: options, catalogue: fleet.Catalogue(), now: options.From,
		titles:    make([]float64, fleet.Catalogue().Len()+1),
		runtimes:  make([]int64, fleet.Catalogue().Len()+1),
		countries: map[string]float64{},
		views:     newViews(options.From),
		pauses:    newPauses(),
		binges:    newBinges(),
	}
	s.lookAt(fleet.Accounts())
	s.warmUp(fleet)
	for s.now+minuteMS <= options.Until {
		if s.Partial = ctx.Err() != nil; s.Partial {
			break
		}
		s.minute(fleet)
		if options.Progress != nil {
			options.Progress(s.now, s.total())
		}
	}
	s.views.close(s.now - settledMS)
	return s
}

// lookAt counts the accounts, and plans and profiles of at most maxLooked.
func (s *Sample) lookAt(accounts iter.Seq2[int, population.Account]) {
	s.limits, s.profiles = map[int]float64{}, map[int]float64{}
	for _, account := range accounts {
		if s.accounts++; s.looked < maxLooked { // accounts are independent: the first are as good as any
			s.looked++
			s.limits[account.MaxStreams]++
			s.profiles[account.Profiles]++
		}
	}
}

// warmUp plays up to options.From. Playbacks that began before the fleet are told
// there, so that nothing of it counts but who has paused.
func (s *Sample) warmUp(fleet *sim.Fleet) {
	var e viewing.Event
	for {
		step, ok := fleet.Advance(s.now)
		if !ok {
			break
		}
		if step.Type == viewing.Pause || step.Type == viewing.Resume || step.Type == viewing.Stop {
			fleet.Event(&e)
			s.pauses.see(step.Device, &e)
		}
	}
	s.pauses.forget(s.now)
}

func (s *Sample) minute(fleet *sim.Fleet) {
	var e viewing.Event
	at := &s.day[int64(s.now)/minuteMS%minutesADay]
	s.now += minuteMS
	keepalives, starts := s.Events[viewing.Keepalive], s.Events[viewing.Start]
	for {
		step, ok := fleet.Advance(s.now)
		if !ok {
			break
		}
		s.Events[step.Type]++
		if step.Type != viewing.Keepalive {
			fleet.Event(&e)
			s.see(step.Device, &e)
		}
	}
	streams := fleet.Active()
	at.seen++
	at.streams += float64(streams)
	at.starts += float64(s.Events[viewing.Start] - starts)
	at.keepalives += float64(s.Events[viewing.Keepalive] - keepalives)
	s.minutes++
	s.peak = max(s.peak, streams)
	s.streamsMS += float64(streams) * minuteMS
	s.binges.sweep(s.now)
	s.views.close(s.now - settledMS)
}

func (s *Sample) see(device int32, e *viewing.Event) {
	switch e.Type {
	case viewing.Start:
		s.plays++
		s.titles[e.TitleID]++
		s.runtimes[e.TitleID] = e.RuntimeMS
		s.countries[e.Country]++
		s.binges.start(device, e)
		s.views.start(device, e)
	case viewing.Pause, viewing.Resume:
		s.pauses.see(device, e)
	case viewing.Stop:
		s.pauses.see(device, e)
		title := s.catalogue.Title(e.TitleID)
		if begun := beginning(e); begun > s.options.From {
			s.binges.stop(device, e, title)
			s.views.stop(device, begun, e, title)
		}
	}
}

// beginning is when the session of an event began, which its id tells (UUID version 7).
func beginning(e *viewing.Event) viewing.Millis {
	return viewing.Millis(binary.BigEndian.Uint64(e.SessionID[:8]) >> 16)
}

func (s *Sample) total() int64 {
	sum := int64(0)
	for _, n := range s.Events {
		sum += n
	}
	return sum
}

// PlayedMS is how much of the plan was seen.
func (s *Sample) PlayedMS() int64 { return s.minutes * minuteMS }

// Streams are the playbacks in progress, mean and peak over the minutes seen.
func (s *Sample) Streams() (mean float64, peak int) {
	return s.streamsMS / minuteMS / float64(max(1, s.minutes)), s.peak
}

// playingMS is the time that devices played, pauses taken off.
func (s *Sample) playingMS() float64 { return s.streamsMS - s.pauses.total(s.now) }

// wholeDay says that every minute of the day was seen.
func (s *Sample) wholeDay() bool {
	for i := range s.day {
		if s.day[i].seen == 0 {
			return false
		}
	}
	return true
}
