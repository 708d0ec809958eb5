// Package sim plays the devices of a population: which event each of them
// sends, and when, on a virtual clock.
//
// A device is idle, which takes no memory of its own, or in a sitting, a small state
// machine without a goroutine. Random numbers come from (seed, account, sitting,
// view, counter), so the same seed gives the same events whatever is asked in
// between, whichever share of the accounts is played. Nothing here reads a clock.
package sim

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// Uses of one account's number in random.Key, beside population's.
const (
	behaviourDomain = 2
	arrivalDomain   = 3
	sampleDomain    = 4
	memoryDomain    = 5
)

// FleetOptions say when and how a fleet plays.
type FleetOptions struct {
	Seed        uint64
	StartMS     viewing.Millis // the virtual clock's beginning; its time of day, read as UTC, is local time where the model's offset is 0
	WarmUpMS    int64          // playbacks in progress at StartMS are announced over as many whole intervals between keepalives as this time has, over all of it if it has none; 0: at once
	KeepaliveMS int64          // of play between two keepalives, 1 … 24 h
	Salt        uint64         // its low 48 bits go into every session id, and into nothing else
	Segment     Segment        // the accounts that play; all of them
	Positions   bool           // a start says where it begins, and never asks the server for that
	Sittings    *Sittings      // as MeasureSittings found them for the model; nil: NewFleet measures

	Progress func(done float64) // nil, or told now and then how much of NewFleet is done, 0 … 1
}

// MaxSalt has the bits of a session id that are neither its moment nor its version.
const MaxSalt = 1<<48 - 1

// Step says what Next gave.
type Step struct {
	DueMS  viewing.Millis
	Device int32 // 0 … Devices-1
	Type   viewing.EventType
}

// account is what a fleet keeps of an account while nobody there plays: 32 bytes, half
// a cache line.
type account struct {
	arrivals uint32 // drawn so far
	playing  uint32 // the first of its sittings: slot + 1
	shelf    shelf
	device   uint32 // the first of its
	home     home
}

// Fleet is the devices of a population in motion. It is not safe for
// concurrent use.
type Fleet struct {
	machine
	population *population.Population
	model      *population.Model
	arrivals   *arrivals
	behaviour  random.Family
	arriving   random.Family
	salt       uint64

	namesPositions bool

	first    int // account of the population that is the fleet's account 0
	accounts []account
	devices  int
	sittings sittings
	wheel    wheel
	active   int

	uploads      map[uint32]*upload // by slot of a sitting
	spareUploads []*upload

	// The last step.
	current uint32 // slot
	ended   bool   // its sitting has: the slot is free with the next step
	refused bool   // some session was, at some time
	now     int64
	kind    viewing.EventType
	telling kept // of an upload; else it is no event

	fetched      int64  // window
	fetchedUntil int    // of the open window
	toldUntil    uint32 // number of a keepalive in the line, up to which sittings were fetched
	touched      uint32 // what is read only to be at hand
}

// NewFleet builds the devices of p and runs their plan up to options.StartMS.
// It panics when an option is out of its bounds, which are the caller's to
// check: options.Validate says which.
func NewFleet(p *population.Population, options FleetOptions) *Fleet {
	if err := options.Validate(); err != nil {
		panic(err)
	}
	first, end := options.Segment.of(p.Accounts())
	f := &Fleet{
		machine: machine{
			catalogue:   p.Catalogue(),
			habits:      habitsOf(p.Model()),
			keepaliveMS: int32(options.KeepaliveMS),
		},
		population:     p,
		model:          p.Model(),
		behaviour:      random.NewFamily(options.Seed, behaviourDomain),
		arriving:       random.NewFamily(options.Seed, arrivalDomain),
		salt:           options.Salt & MaxSalt,
		namesPositions: options.Positions,
		first:          first,
		accounts:       inHugePages(make([]account, end-first)),
		uploads:        map[uint32]*upload{},
	}
	if options.Sittings == nil {
		options.Sittings = MeasureSittings(p)
	}
	f.arrivals = newArrivals(f.model, options.Sittings.shape)
	playing := f.playing()
	f.wheel = *newWheel(int64(options.StartMS), playing/float64(options.KeepaliveMS), options.KeepaliveMS, len(f.accounts)+int(playing))
	f.sittings.shift = slabShift(int(playing), leastSittings)
	f.settle(&options)
	return f
}

// Validate says which option is out of its bounds.
func (o FleetOptions) Validate() error {
	switch {
	case o.StartMS < viewing.MinAt+preRollMS || o.StartMS > viewing.MaxAt:
		return fmt.Errorf("start_ms %d: expected a moment from 2000 to 2100", o.StartMS)
	case o.WarmUpMS < 0 || o.WarmUpMS > dayMS:
		return fmt.Errorf("warm_up_ms %d: expected 0 to %d", o.WarmUpMS, int64(dayMS))
	case o.KeepaliveMS < 1 || o.KeepaliveMS > dayMS:
		return fmt.Errorf("keepalive_ms %d: expected 1 to %d", o.KeepaliveMS, int64(dayMS))
	case o.Segment != Segment{} && (o.Segment.Part < 1 || o.Segment.Part > o.Segment.Of || o.Segment.Of > MaxSegments):
		return fmt.Errorf("segment %d/%d: expected a part from 1 to the number of parts, at most %d", o.Segment.Part, o.Segment.Of, MaxSegments)
	}
	return nil
}

// of is which accounts the segment has: first … end-1.
func (s Segment) of(accounts int) (first, end int) {
	if s == (Segment{}) {
		return 0, accounts
	}
	return accounts * (s.Part - 1) / s.Of, accounts * s.Part / s.Of
}

// playing is about how many playbacks are in progress, mean over the day.
func (f *Fleet) playing() float64 {
	return f.model.MeanStreams.Value / f.model.Members.Value * float64(len(f.accounts))
}

// Denied says that the server refused that session: the device tells no more of
// it, and comes back with its next playback. Nothing else changes, neither the
// device's plan nor that of others. A session that is over is ignored, and so
// is a device that does not exist.
func (f *Fleet) Denied(device int32, session viewing.SessionID) {
	if device < 0 || int(device) >= f.Devices() {
		return
	}
	i, found := slices.BinarySearchFunc(f.accounts, uint32(device), func(a account, device uint32) int {
		return cmp.Compare(a.device, device)
	})
	if !found {
		i--
	}
	for slot := f.accounts[i].playing; slot != 0; {
		s := f.sittings.at(slot - 1)
		if s.device == uint32(device) && s.inProgress() && !s.has(quiet) &&
			f.sessionID(s.start, f.viewKey(s)) == session {
			s.set(denied)
			f.refused = true
		}
		slot = s.next
	}
}

// Devices is the number of devices.
func (f *Fleet) Devices() int { return f.devices }

// Model is the population's that plays.
func (f *Fleet) Model() *population.Model { return f.model }

// Catalogue is what the population can watch.
func (f *Fleet) Catalogue() *population.Catalogue { return f.catalogue }

// Account is account i of the population, 0 … population.Accounts-1.
func (f *Fleet) Account(i int) population.Account { return f.population.Account(i) }

// Accounts gives every account that plays in the order of its index in the
// population, for setting limits before a run.
func (f *Fleet) Accounts() iter.Seq2[int, population.Account] {
	return func(yield func(int, population.Account) bool) {
		for i := f.first; i < f.first+len(f.accounts); i++ {
			if !yield(i, f.population.Account(i)) {
				return
			}
		}
	}
}

// OnePlan says how many streams at once every account has, if they all have as many.
func (f *Fleet) OnePlan() (streams int, one bool) {
	for _, plan := range f.model.Plans {
		switch {
		case plan.Share <= 0:
		case one:
			return 0, false
		default:
			streams, one = plan.Value, true
		}
	}
	return streams, one
}

// Active is the number of playbacks in progress by plan, paused and refused
// ones included, after the last step.
func (f *Fleet) Active() int { return f.active }

// Bytes is how much memory the fleet has used for its devices: accounts, sittings and
// what waits. Slabs have room for more, which the system gives when it is touched: up to
// half of the sittings and of what waits.
func (f *Fleet) Bytes() int64 {
	const accountBytes, uploadBytes = 32, 504
	return int64(len(f.accounts))*accountBytes + f.sittings.bytes() + f.wheel.bytes() +
		int64(len(f.uploads)+len(f.spareUploads))*uploadBytes
}
