package world

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

const (
	secondUS = 1_000_000
	minuteUS = 60 * secondUS

	defaultStreams = 2

	warmUpUS = 2 * minuteUS
	calmUS   = 12 * minuteUS // at the end: longer than a lease, and than what a device needs to catch up

	startMS = viewing.Millis(1_763_942_400_000 + 20*3_600_000) // 2025-11-24, eight in the evening
)

// Uses of the seed in random.Key, beside those of sim and its population.
const (
	shapeDomain = 6 + iota
	networkDomain
	clientDomain
	serverDomain
)

// Options say which world it is.
type Options struct {
	Seed uint64
	// Story is told what happens, a line each; nil: nobody is.
	Story io.Writer
	// Break puts another machine in the place of each that the server makes, to show
	// that the auditor finds what is wrong with it; nil: the rules as they are.
	Break func(Machine) Machine
}

// World is one world before, in and after its story. It is not safe for concurrent use.
type World struct {
	nowUS    int64 // since startMS
	pace     pace
	faultsUS int64 // until then there are faults
	endUS    int64 // until then the devices play
	schedule schedule
	fleet    *sim.Fleet
	devices  []device
	network  network
	server   *server
	clients  random.Stream
	told     []*telling // every event that was sent, in the order of its first try
	findings findings
	counts   Counts
	search   time.Duration // for an order of one account's starts and stops, by the wall clock
	story    io.Writer
	lines    hash.Hash
}

// Counts say what a story had in it: a check of what never happened proves nothing.
type Counts struct {
	Events    int // that devices had to tell
	Tries     int
	Lost      int // events given up after the last try
	Dropped   int // events that found their device's queue full
	Denied    int
	Copied    int // requests that arrived twice
	Vanished  int // messages that never arrived
	Slow      int // messages that may have been overtaken
	Ahead     int // events whose at the server took back
	Resumed   int // starts that were told where to begin
	Crashes   int
	Forgotten int // requests that a crash wiped out before they were on the disk
	Unsaid    int // requests that were on the disk when the server crashed, and were not answered
	Snapshots int // from which the server began again
	Evicted   int // sessions that left the server's memory
	Revived   int // sessions that came back to it
}

// New makes the world of a seed.
func New(options Options) (*World, error) {
	shape := random.At(random.Key(options.Seed, shapeDomain, 0), 0)
	pace := paces[shape.Intn(len(paces))]
	fleet, err := newFleet(options.Seed, pace, &shape)
	if err != nil {
		return nil, fmt.Errorf("world of seed %d: %w", options.Seed, err)
	}
	w := &World{
		fleet:    fleet,
		pace:     pace,
		faultsUS: int64(shape.Between(20, 60) * minuteUS),
		devices:  make([]device, fleet.Devices()),
		clients:  random.At(random.Key(options.Seed, clientDomain, 0), 0),
		story:    options.Story,
		lines:    sha256.New(),
		search:   searchFor,
	}
	w.endUS = w.faultsUS + calmUS
	w.network = network{world: w, random: random.At(random.Key(options.Seed, networkDomain, 0), 0)}
	w.server = newServer(w, random.At(random.Key(options.Seed, serverDomain, 0), 0), options.Break)
	for i := range w.devices {
		w.devices[i] = newDevice(w, int32(i))
	}
	w.server.boot()
	for _, account := range fleet.Accounts() {
		w.server.plan(account.ID, account.MaxStreams)
	}
	w.network.begin()
	w.server.begin()
	return w, nil
}

// measured are the sittings of the one model that all worlds have.
var measured struct {
	once     sync.Once
	sittings *sim.Sittings
}

// pace is how often a session that plays is heard from, and how long it is waited for.
type pace struct{ keepaliveMS, leaseMS int64 }

// The first is the default of the server; the others make a device that is not
// answered fill its queue, and a message outlast a lease.
var paces = [...]pace{{60_000, 150_000}, {20_000, 50_000}, {8_000, 20_000}}

// newFleet is a few accounts that want more streams at once than they may have, whose
// viewers are restless, and whose titles are few and short: within the hour much of it
// is watched again, and from where it was left.
func newFleet(seed uint64, pace pace, shape *random.Stream) (*sim.Fleet, error) {
	model, err := population.Named("netflix-2015")
	if err != nil {
		return nil, err
	}
	accounts := 3 + shape.Intn(6)
	model.MeanStreams.Value = model.Members.Value * shape.Between(1, 2.5)
	model.TroughToPeak.Value = 0.8
	model.EndsWithoutStop.Value = 0.15
	model.Pauses.Value, model.Seeks.Value, model.Errors.Value, model.Telemetry.Value = 6, 6, 3, 2
	model.Titles.Value, model.PopularityTail.Value = 60, 30
	model.EpisodeMin.Value, model.EpisodeMax.Value, model.FilmMedian.Value, model.FilmFirst.Value = 4, 10, 15, 3
	model.ShortMean.Value, model.ResumeTitle.Value = 1, 0.6
	model.NextEpisode.Value, model.SittingEnds.Value, model.LongPause.Value = 0.3, 0.9, 3
	homes, err := population.New(model, population.Options{
		Seed: seed, Scale: float64(accounts) / model.Members.Value, SharedAccounts: 1,
	})
	if err != nil {
		return nil, err
	}
	measured.once.Do(func() { measured.sittings = sim.MeasureSittings(homes) })
	return sim.NewFleet(homes, sim.FleetOptions{
		Sittings: measured.sittings,
		Seed:     seed, StartMS: startMS, WarmUpMS: warmUpUS / 1000, KeepaliveMS: pace.keepaliveMS,
	}), nil
}

// Run plays the story to its end, and judges it.
func (w *World) Run() (Verdict, error) {
	for w.next() {
	}
	return w.judge()
}

// next lets the next thing happen, if there is one.
func (w *World) next() bool {
	until := startMS + viewing.Millis(w.endUS/1000)
	if !w.schedule.empty() {
		until = min(until, w.moment(w.schedule.nextUS()))
	}
	var e viewing.Event
	if step, ok := w.fleet.Next(until, &e); ok {
		w.nowUS = max(w.nowUS, int64(step.DueMS-startMS)*1000)
		w.devices[step.Device].tell(&e)
		return true
	}
	if w.schedule.empty() {
		return false
	}
	next := w.schedule.take()
	w.nowUS = next.atUS
	next.do()
	return true
}

// after plans what happens in a while.
func (w *World) after(us int64, do func()) { w.schedule.add(w.nowUS+us, do) }

// moment is a time of the world as a clock shows it that is right.
func (w *World) moment(us int64) viewing.Millis { return startMS + viewing.Millis(us/1000) }

// faulty says whether there are still faults.
func (w *World) faulty() bool { return w.nowUS < w.faultsUS }

// tell adds a line to the story.
func (w *World) tell(format string, args ...any) {
	line := fmt.Appendf(nil, "%d ", w.nowUS)
	line = append(fmt.Appendf(line, format, args...), '\n')
	_, _ = w.lines.Write(line) // a hash never fails
	if w.story != nil {
		_, _ = w.story.Write(line) // told to a person
	}
}

// between draws a number from low to just below high.
func between(stream *random.Stream, low, high int64) int64 {
	return low + int64(stream.Intn(int(high-low)))
}

// log is what the devices know, for the auditor.
func (w *World) log() *audit.Log {
	log := audit.NewLog()
	for _, account := range w.fleet.Accounts() {
		log.SetLimit(account.ID, account.MaxStreams)
	}
	log.Fold(time.Duration(w.pace.leaseMS)*time.Millisecond, lateUS*time.Microsecond)
	told := make([]audit.Entry, len(w.told))
	for i, t := range w.told {
		told[i] = w.entry(t)
	}
	slices.SortStableFunc(told, func(a, b audit.Entry) int { return cmp.Compare(a.DoneUS, b.DoneUS) })
	log.AddAll(told)
	return log
}
