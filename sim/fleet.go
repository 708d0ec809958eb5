// Package sim plays the devices of a population: which event each of them
// sends, and when, on a virtual clock.
//
// A device is idle, which takes no memory of its own, or in a sitting, a small state
// machine without a goroutine. Random numbers come from (seed, account, sitting,
// view, counter), so the same seed gives the same events whatever is asked in
// between, whichever share of the accounts is played. Nothing here reads a clock.
package sim

import (
	"errors"
	"fmt"
	"iter"
	"math"
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

// preRollMS is how long the plan runs before the fleet's beginning: hardly a
// sitting is longer.
const preRollMS = 5 * hourMS

// FleetOptions say when and how a fleet plays.
type FleetOptions struct {
	Seed        uint64
	StartMS     viewing.Millis // the virtual clock's beginning; its time of day, read as UTC, is local time where the model's offset is 0
	WarmUpMS    int64          // playbacks in progress at StartMS are announced over this time, 0 at once
	KeepaliveMS int64          // of play between two keepalives, 1 … 24 h
	Salt        uint64         // its low 48 bits go into every session id, and into nothing else
	Segment     Segment        // the accounts that play; all of them
	Sittings    *Sittings      // as MeasureSittings found them for the model; nil: NewFleet measures
}

// Segment is a share of the accounts: part Part of Of, of equal size. The parts
// together play what the whole plays, merged by (due, account). The zero value is
// the whole.
type Segment struct{ Part, Of int }

// MaxSegments is how many parts there may be.
const MaxSegments = 1 << 20

// MaxSalt has the bits of a session id that are neither its moment nor its version.
const MaxSalt = 1<<48 - 1

// Step says what Next gave.
type Step struct {
	DueMS  viewing.Millis
	Device int32 // 0 … Devices-1
	Type   viewing.EventType
}

// account is what a fleet keeps of an account while nobody there plays.
type account struct {
	arrivals uint32 // drawn so far
	playing  uint32 // the first of its sittings: slot + 1
	shelf    shelf
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

	first    int // account of the population that is the fleet's account 0
	accounts []account
	devices  []uint32 // of each account its first, and at the end how many
	sittings sittings
	wheel    *wheel
	active   int

	uploads      map[uint32]*upload // by slot of a sitting
	spareUploads []*upload

	// The last step.
	current uint32 // slot
	ended   bool   // its sitting has: the slot is free with the next step
	refused bool   // some session was, at some time
	now     int64
	kind    viewing.EventType
	telling kept  // of an upload; else it is no event
	fetched int64 // window
	touched uint32
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
		population: p,
		model:      p.Model(),
		behaviour:  random.NewFamily(options.Seed, behaviourDomain),
		arriving:   random.NewFamily(options.Seed, arrivalDomain),
		salt:       options.Salt & MaxSalt,
		first:      first,
		accounts:   inHugePages(make([]account, end-first)),
		uploads:    map[uint32]*upload{},
		devices:    inHugePages(make([]uint32, end-first+1)),
	}
	if options.Sittings == nil {
		options.Sittings = MeasureSittings(p)
	}
	f.arrivals = newArrivals(f.model, options.Sittings.shape)
	begin := int64(options.StartMS) - preRollMS
	f.wheel = newWheel(begin, f.eventsPerMS(), options.KeepaliveMS)
	f.settle(options.Sittings.left, begin, random.NewFamily(options.Seed, memoryDomain))
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

// eventsPerMS is about how many events there are in a millisecond of the day's mean.
func (f *Fleet) eventsPerMS() float64 {
	streams := f.model.MeanStreams.Value / f.model.Members.Value * float64(len(f.accounts))
	return streams / float64(f.keepaliveMS)
}

// settle gives each account its devices, what some viewer of the sample has left
// half-way, and its first sitting.
func (f *Fleet) settle(left []bookmark, begin int64, memories random.Family) {
	count := 0
	for i := range f.accounts {
		account := f.population.Account(f.first + i)
		f.devices[i] = uint32(count)
		count += len(account.Devices())
		stream := random.At(memories.Key(uint64(f.first+i)), 0)
		for profile := uint8(1); int(profile) <= min(account.Profiles, len(shelf{})); profile++ {
			remembered := left[stream.Intn(len(left))]
			if remembered.title == 0 {
				continue
			}
			remembered.viewer, remembered.known = newWho(profile, 0, 0).viewer(), false
			f.accounts[i].shelf.put(remembered)
		}
		f.planArrival(uint32(i), &account, begin)
	}
	if count > math.MaxInt32 {
		panic(errors.New("sim: more devices than an int32 can number"))
	}
	f.devices[len(f.accounts)] = uint32(count)
}

// preRoll plays the hours before start without telling anybody, then gives each
// playback in progress a moment in the warm-up at which it is announced.
func (f *Fleet) preRoll(start, warmUpMS int64) {
	f.quiet = true
	f.Advance(viewing.Millis(start - 1))
	f.quiet = false
	f.wheel.forget(func(each wait) bool { return each.ref&arrivalTag == 0 })
	for i := range f.accounts {
		for slot := f.accounts[i].playing; slot != 0; {
			s := f.sittings.at(slot - 1)
			if s.inProgress() {
				f.introduce(s, start, warmUpMS)
			}
			f.file(slot-1, s)
			slot = s.next
		}
	}
}

// introduce plans when a playback that began before the fleet is announced.
func (f *Fleet) introduce(s *sitting, start, warmUpMS int64) {
	stream := random.At(f.viewKey(s), uint32(s.drawn))
	after := int64(stream.Float64() * float64(warmUpMS))
	s.drawn = uint16(stream.Counter())
	s.keepalive = int32(start + after - s.start)
}

// Next fills e with the first event due at or before until, in the order of (due,
// account), and says whose it is; not ok when there is none. It
// is Advance and Event.
func (f *Fleet) Next(until viewing.Millis, e *viewing.Event) (step Step, ok bool) {
	if step, ok = f.Advance(until); ok {
		f.Event(e)
	}
	return step, ok
}

// Advance takes the next step that an event tells, if it is due at or before until.
// Event says the rest of it, until the next call.
func (f *Fleet) Advance(until viewing.Millis) (step Step, ok bool) {
	until = min(until, viewing.MaxAt)
	for {
		if f.ended {
			f.release()
		}
		next, due := f.wheel.pop(int64(until))
		if next == nil {
			return Step{}, false
		}
		if f.wheel.window != f.fetched {
			f.fetch()
		}
		f.now, f.current = due, uint32(next.ref)
		if next.due != next.turn && !f.refused {
			f.kind, f.telling.kind = viewing.Keepalive, 0
			device := next.device
			f.fileKeepalive(*next)
			return Step{viewing.Millis(due), int32(device), viewing.Keepalive}, true
		}
		if step, ok = f.step(*next); ok {
			return step, true
		}
	}
}

// fetch has the processor bring what the turns of the open window will look at, all at
// once: one after another, each would wait for memory.
func (f *Fleet) fetch() {
	f.fetched = f.wheel.window
	for _, each := range f.wheel.open {
		switch {
		case each.ref&arrivalTag != 0:
			f.touched += f.accounts[each.ref&indexMask].arrivals
		case each.due == each.turn:
			f.touched += f.sittings.at(uint32(each.ref)).account
		}
	}
	for _, each := range f.wheel.open {
		if each.due == each.turn && each.ref&arrivalTag == 0 {
			f.touched += f.accounts[f.sittings.at(uint32(each.ref)).account].playing
		}
	}
}

// step does what is due; not ok when no event tells it.
func (f *Fleet) step(next wait) (step Step, ok bool) {
	if next.ref&arrivalTag != 0 {
		if !f.arrive(next.ref, f.now) {
			return step, false
		}
	} else if next.due == next.turn {
		f.turnOf(f.sittings.at(f.current))
	} else {
		f.kind, f.telling.kind = viewing.Keepalive, 0
		f.fileKeepalive(next)
	}
	s := f.sittings.at(f.current)
	if f.kind == 0 || s.flags&(quiet|denied) != 0 && f.telling.kind == 0 {
		return step, false
	}
	if f.kind != viewing.Keepalive && f.telling.kind == 0 {
		s.seq++
	}
	return Step{viewing.Millis(f.now), int32(s.device), f.kind}, true
}

// fileKeepalive files the next keepalive of the sitting that next was one of, or its turn.
func (f *Fleet) fileKeepalive(next wait) {
	due := f.now + int64(f.keepaliveMS)
	if turn := whole(f.now, next.turn); due >= turn {
		due = turn
	}
	f.wheel.push(next, due)
}

// file files what is due next in a sitting.
func (f *Fleet) file(slot uint32, s *sitting) {
	f.wheel.push(wait{turn: uint32(s.nextTurn()), device: s.device, ref: ref(slot)}, s.due())
}

// turnOf does what is due on the current sitting.
func (f *Fleet) turnOf(s *sitting) {
	before := s.inProgress()
	if s.state() == browsing {
		s.view++
		s.drawn = 0
	}
	if s.state() == uploading {
		f.tellKept(s)
	} else {
		stream := random.At(f.viewKey(s), uint32(s.drawn))
		f.kind = f.turn(s, int32(f.now-s.start), &f.accounts[s.account].shelf, &stream)
		f.hold(s, &stream)
		s.drawn = uint16(stream.Counter())
	}
	f.count(before, s.inProgress())
	if f.ended = s.state() == over; !f.ended {
		f.file(f.current, s)
	}
}

// hold keeps what a sitting without a connection does from being told, until its upload.
func (f *Fleet) hold(s *sitting, stream *random.Stream) {
	f.telling.kind = 0
	if !s.offline() {
		return
	}
	if f.kind != 0 {
		f.keep(s)
	}
	f.kind = 0
	if s.state() == over {
		f.planUpload(s, stream)
	}
}

func (f *Fleet) count(before, after bool) {
	switch {
	case after && !before:
		f.active++
	case before && !after:
		f.active--
	}
}

// release frees the slot of a sitting that has ended.
func (f *Fleet) release() {
	f.ended = false
	s := f.sittings.at(f.current)
	link := &f.accounts[s.account].playing
	for *link != f.current+1 {
		link = &f.sittings.at(*link - 1).next
	}
	*link = s.next
	f.sittings.free(f.current)
}

// arrive begins the sitting that is due at an account, and plans the next one. Not
// begun: there is none, or its device or every profile of the household is busy.
func (f *Fleet) arrive(r ref, due int64) (begun bool) {
	i := uint32(r & indexMask)
	owner := f.population.Account(f.first + int(i))
	if r&laterTag == 0 {
		begun = f.sitDown(i, &owner, due)
	}
	f.planArrival(i, &owner, due)
	return begun
}

// planArrival draws when the account's next sitting is due.
func (f *Fleet) planArrival(i uint32, owner *population.Account, now int64) {
	var loads [population.MaxDevices]float64
	stream := f.arrival(i)
	f.accounts[i].arrivals++
	at, found := f.arrivals.next(f.loads(owner, &loads), f.offset(owner), now, &stream)
	r := arrivalTag | ref(i)
	if !found {
		r |= laterTag
	}
	f.wheel.push(wait{turn: uint32(at), device: f.devices[i], ref: r}, at)
}

func (f *Fleet) arrival(i uint32) random.Stream {
	key := f.arriving.Key(uint64(f.first) + uint64(i))
	return random.At(random.Hash(key, f.accounts[i].arrivals), 0)
}

func (f *Fleet) loads(owner *population.Account, loads *[population.MaxDevices]float64) []float64 {
	for k, device := range owner.Devices() {
		loads[k] = f.population.Load(device.Kind, owner.Profiles)
	}
	return loads[:len(owner.Devices())]
}

func (f *Fleet) offset(owner *population.Account) int64 {
	return int64(f.model.Zones[owner.Zone].OffsetMinutes) * minuteMS
}

// sitDown begins a sitting of a profile that plays on no other device of the
// household, on a device that is idle.
func (f *Fleet) sitDown(i uint32, owner *population.Account, due int64) (begun bool) {
	var loads [population.MaxDevices]float64
	number := f.accounts[i].arrivals
	stream := random.At(random.Hash(f.behaviour.Key(uint64(f.first)+uint64(i)), number), sittingNumber)
	at, live := f.arrivals.which(f.loads(owner, &loads), f.offset(owner), due, &stream)
	device := owner.Devices()[at]
	taken := f.taken(i, f.devices[i]+uint32(at), device.Household)
	if taken == allTaken {
		return false
	}
	profile := uint8(0)
	first := stream.Intn(owner.Profiles)
	for k := range owner.Profiles {
		if p := uint8(1 + (first+k)%owner.Profiles); taken&(1<<p) == 0 {
			profile = p
			break
		}
	}
	if profile == 0 {
		return false
	}
	f.current = f.sittings.take()
	s := f.sittings.at(f.current)
	*s = sitting{
		start: due, account: i, device: f.devices[i] + uint32(at), number: number,
		who: newWho(profile, device.Household, device.Kind), place: uint8(owner.Zone) << stateBits,
		next: f.accounts[i].playing,
	}
	f.accounts[i].playing = f.current + 1
	views := random.At(f.viewKey(s), 0)
	if live {
		f.kind = f.join(s, due, &views)
	} else {
		if !f.quiet && stream.Chance(f.model.Devices[device.Kind].Offline) {
			s.view = offlineView
			views = random.At(f.viewKey(s), 0)
		}
		f.kind = f.sit(s, &f.accounts[i].shelf, &views)
	}
	f.hold(s, &views)
	s.drawn = uint16(views.Counter())
	f.count(false, s.inProgress())
	f.file(f.current, s)
	return true
}

// sittingNumber is of what a sitting's key gives beside the keys of its views.
const sittingNumber = 1 << 20

const allTaken = 1<<8 - 1

// taken has a bit for each profile that plays on a device of the household; all of
// them if the device itself is busy.
func (f *Fleet) taken(i, device uint32, household uint8) (profiles uint8) {
	for slot := f.accounts[i].playing; slot != 0; {
		s := f.sittings.at(slot - 1)
		if s.device == device {
			return allTaken
		}
		if s.who.household() == household && s.state() != uploading {
			profiles |= 1 << s.who.profile()
		}
		slot = s.next
	}
	return profiles
}

// Denied says that the server refused that session: the device tells no more of
// it, and comes back with its next playback. Nothing else changes, neither the
// device's plan nor that of others. A session that is over is ignored, and so
// is a device that does not exist.
func (f *Fleet) Denied(device int32, session viewing.SessionID) {
	if device < 0 || int(device) >= f.Devices() {
		return
	}
	i, found := slices.BinarySearch(f.devices[:len(f.accounts)], uint32(device))
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
func (f *Fleet) Devices() int { return int(f.devices[len(f.accounts)]) }

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

// Active is the number of playbacks in progress by plan, paused and refused
// ones included, after the last step.
func (f *Fleet) Active() int { return f.active }

// Bytes is how much memory the fleet has for its devices: accounts, sittings and
// what waits.
func (f *Fleet) Bytes() int64 {
	const accountBytes, deviceBytes, uploadBytes = 24, 4, 504
	return int64(len(f.accounts))*(accountBytes+deviceBytes) + f.sittings.bytes() + f.wheel.bytes() +
		int64(len(f.uploads)+len(f.spareUploads))*uploadBytes
}
