// Package sim plays the devices of a population: which event each of them
// sends, and when, on a virtual clock.
//
// A device is a small state machine without a goroutine. Its random numbers
// come from (seed, device, counter), so the same seed gives the same events
// whatever is asked in between. Nothing here reads a clock.
package sim

import (
	"fmt"
	"iter"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// Uses of one device's number in random.Key.
const (
	behaviourDomain = 2
	sessionDomain   = 3
	sampleDomain    = 4
)

// preRollMS is how long the plan runs before the fleet's beginning: hardly a
// sitting is longer.
const preRollMS = 8 * hourMS

// FleetOptions say when and how a fleet plays.
type FleetOptions struct {
	Seed        uint64
	StartMS     viewing.Millis // the virtual clock's beginning; its time of day, read as UTC, is local time
	WarmUpMS    int64          // playbacks in progress at StartMS are announced over this time, 0 at once
	KeepaliveMS int64          // of play between two keepalives, 1 … 24 h
	Salt        uint64         // its low 48 bits go into every session id, and into nothing else
}

// MaxSalt has the bits of a session id that are neither its moment nor its version.
const MaxSalt = 1<<48 - 1

// Step says what Next gave.
type Step struct {
	DueMS  viewing.Millis
	Device int32 // 0 … Devices-1
}

// Fleet is the devices of a population in motion. It is not safe for
// concurrent use.
type Fleet struct {
	machine
	population *population.Population
	arrivals   *arrivals
	seed       uint64
	salt       uint64
	devices    []device
	busy       []uint32 // of each account: 8 bits a household, a bit a profile
	profiles   []uint8  // of each account
	queue      *queue
	active     int
}

// NewFleet builds the devices of p and runs their plan up to options.StartMS.
// It panics when an option is out of its bounds, which are the caller's to
// check: options.Validate says which.
func NewFleet(p *population.Population, options FleetOptions) *Fleet {
	if err := options.Validate(); err != nil {
		panic(err)
	}
	f := &Fleet{
		machine: machine{
			catalogue:   p.Catalogue(),
			habits:      habitsOf(p.Model()),
			keepaliveMS: int32(options.KeepaliveMS),
		},
		population: p,
		seed:       options.Seed,
		salt:       options.Salt & MaxSalt,
		busy:       make([]uint32, p.Accounts()),
		profiles:   make([]uint8, p.Accounts()),
	}
	shape, memories := measureSittings(&f.machine, p.Model())
	f.arrivals = newArrivals(p.Model(), shape)
	f.equip(memories)
	f.preRoll(int64(options.StartMS), options.WarmUpMS)
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
	}
	return nil
}

// equip lays the devices of all accounts out in their order. Each begins with
// what some device of the sample remembers.
func (f *Fleet) equip(memories []memory) {
	f.devices = make([]device, 0, f.population.Accounts()*3)
	for i := range f.population.Accounts() {
		account := f.population.Account(i)
		f.profiles[i] = uint8(account.Profiles)
		for _, owned := range account.Devices() {
			stream := random.At(f.key(int32(len(f.devices))), 0)
			remembered := memories[stream.Intn(len(memories))]
			f.devices = append(f.devices, device{
				account: uint32(i), household: owned.Household, kind: owned.Kind,
				remembered: remembered.title, rememberedAt: remembered.at,
				rememberedBy: uint8(1 + stream.Intn(account.Profiles)),
				flags:        explicit, drawn: stream.Counter(),
			})
		}
	}
}

// preRoll plays the hours before start without telling anybody, then gives each
// playback in progress a moment in the warm-up at which it is announced.
func (f *Fleet) preRoll(start, warmUpMS int64) {
	begin := start - preRollMS
	f.queue = newQueue(len(f.devices), begin, f.bucketWidth())
	for i := range f.devices {
		f.devices[i].due = begin
		f.planSitting(int32(i))
		f.queue.push(int32(i), f.devices[i].due)
	}
	f.quiet = true
	var unheard viewing.Event
	f.Next(viewing.Millis(start-1), &unheard)
	f.quiet = false
	f.queue = newQueue(len(f.devices), start, f.bucketWidth())
	for i := range f.devices {
		if f.devices[i].inProgress() {
			f.join(int32(i), start, warmUpMS)
		}
		f.queue.push(int32(i), f.devices[i].due)
	}
}

func (f *Fleet) join(i int32, start, warmUpMS int64) {
	d := &f.devices[i]
	stream := random.At(f.key(i), d.drawn)
	after := int64(stream.Float64() * float64(warmUpMS))
	d.drawn = stream.Counter()
	d.keepalive = int32(start + after - d.start)
	d.schedule()
}

// bucketWidth makes a bucket hold about bucketEvents at the daily mean, for a
// keepalive a minute.
func (f *Fleet) bucketWidth() int64 {
	const eventsPerDeviceMS = 0.025 / minuteMS
	width := bucketEvents / (eventsPerDeviceMS * float64(len(f.devices)+1))
	return int64(min(max(width, 1), secondMS))
}

func (f *Fleet) key(i int32) uint64 { return random.Key(f.seed, behaviourDomain, uint64(i)) }

// Next fills e with the first event due at or before until, in the order of
// (due, device), and says whose it is; not ok when there is none. e.At is
// Step.DueMS. The memory of e.BitrateMS is reused, its texts are shared and
// constant. Every event validates. Nothing is allocated once e has bitrates.
func (f *Fleet) Next(until viewing.Millis, e *viewing.Event) (step Step, ok bool) {
	until = min(until, viewing.MaxAt)
	for {
		i, due := f.queue.pop(int64(until))
		if !due {
			return Step{}, false
		}
		d := &f.devices[i]
		now := d.due
		kind := f.advance(i, d)
		f.queue.push(i, d.due)
		if kind != 0 && !d.has(quiet) && !d.has(denied) {
			f.tell(i, d, kind, now, e)
			return Step{DueMS: viewing.Millis(now), Device: i}, true
		}
	}
}

// advance does what is due on device i.
func (f *Fleet) advance(i int32, d *device) viewing.EventType {
	before := d.inProgress()
	var kind viewing.EventType
	if d.state == idle {
		if kind = f.sitDown(i, d); kind == 0 {
			f.planSitting(i)
		}
	} else if kind = f.step(d, f.key(i)); d.state == idle {
		f.busy[d.account] &^= d.profileBit(d.profile)
		f.planSitting(i)
	}
	if after := d.inProgress(); after != before {
		if after {
			f.active++
		} else {
			f.active--
		}
	}
	return kind
}

func (d *device) profileBit(profile uint8) uint32 {
	return 1 << (d.household*8 + profile)
}

// sitDown begins a sitting of a profile that plays on no other device of the
// household. With none free there is no sitting.
func (f *Fleet) sitDown(i int32, d *device) viewing.EventType {
	stream := random.At(f.key(i), d.drawn)
	profiles := int(f.profiles[d.account])
	first := stream.Intn(profiles)
	var kind viewing.EventType
	for k := range profiles {
		profile := uint8(1 + (first+k)%profiles)
		if f.busy[d.account]&d.profileBit(profile) == 0 {
			f.busy[d.account] |= d.profileBit(profile)
			kind = f.sit(d, profile, &stream)
			break
		}
	}
	d.drawn = stream.Counter()
	return kind
}

// planSitting sets when an idle device's next sitting is due.
func (f *Fleet) planSitting(i int32) {
	d := &f.devices[i]
	stream := random.At(f.key(i), d.drawn)
	load := f.population.Load(d.kind, int(f.profiles[d.account]))
	d.due = f.arrivals.next(load, d.due, &stream)
	d.drawn = stream.Counter()
}

// Denied says that the server refused that session: the device tells no more of
// it, and comes back with its next playback. Nothing else changes, neither the
// device's plan nor that of others. A session that is over is ignored, and so
// is a device that does not exist.
func (f *Fleet) Denied(device int32, session viewing.SessionID) {
	if device < 0 || int(device) >= len(f.devices) {
		return
	}
	d := &f.devices[device]
	if d.inProgress() && !d.has(quiet) && f.sessionID(device, d) == session {
		d.set(denied)
	}
}

// Devices is the number of devices.
func (f *Fleet) Devices() int { return len(f.devices) }

// Model is the population's that plays.
func (f *Fleet) Model() *population.Model { return f.population.Model() }

// Account is account i of the population, 0 … population.Accounts-1.
func (f *Fleet) Account(i int) population.Account { return f.population.Account(i) }

// Accounts gives every account in the order of its index, for setting limits
// before a run.
func (f *Fleet) Accounts() iter.Seq2[int, population.Account] {
	return func(yield func(int, population.Account) bool) {
		for i := range f.population.Accounts() {
			if !yield(i, f.population.Account(i)) {
				return
			}
		}
	}
}

// Active is the number of playbacks in progress by plan, paused and refused
// ones included, after the last step.
func (f *Fleet) Active() int { return f.active }
