package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
)

// arrive begins the sitting that is due at an account, and gives its next arrival. Not
// begun: there is none, or its device or every profile of the household is busy.
func (f *Fleet) arrive(r ref, due int64) (begun bool, next wait, nextDue int64) {
	i := uint32(r & indexMask)
	if r&laterTag == 0 {
		begun = f.sitDown(i, due)
	}
	next, nextDue = f.nextArrival(i, due)
	return begun, next, nextDue
}

// nextArrival draws when the account's next sitting is due.
func (f *Fleet) nextArrival(i uint32, now int64) (arrival wait, due int64) {
	var loads [population.MaxDevices]float64
	account := &f.accounts[i]
	stream := random.At(random.Hash(f.arriving.Key(uint64(f.first)+uint64(i)), account.arrivals), 0)
	account.arrivals++
	due, found := f.arrivals.next(f.loads(account.home, &loads), f.offset(account.home), now, &stream)
	r := arrivalTag | ref(i)
	if !found {
		r |= laterTag
	}
	return wait{turn: uint32(due), device: account.device, ref: r}, due
}

func (f *Fleet) loads(h home, loads *[population.MaxDevices]float64) []float64 {
	count := 0
	for devices := h.devices(); devices != 0; devices &= devices - 1 {
		_, kind := firstDevice(devices)
		loads[count] = f.population.Load(kind, h.profiles())
		count++
	}
	return loads[:count]
}

func (f *Fleet) offset(h home) int64 {
	return int64(f.model.Zones[h.zone()].OffsetMinutes) * minuteMS
}

// sitDown begins a sitting of a profile that plays on no other device of the
// household, on a device that is idle.
func (f *Fleet) sitDown(i uint32, due int64) (begun bool) {
	var loads [population.MaxDevices]float64
	account := &f.accounts[i]
	number := account.arrivals
	stream := random.At(f.sittingKey(i, number), sittingNumber)
	at, live := f.arrivals.which(f.loads(account.home, &loads), f.offset(account.home), due, &stream)
	household, kind := account.home.device(at)
	taken := f.taken(account, account.device+uint32(at), household)
	if taken == allTaken {
		return false
	}
	profile := freeProfile(taken, account.home.profiles(), &stream)
	if profile == 0 {
		return false
	}
	f.current = f.sittings.take()
	s := f.sittings.at(f.current)
	*s = sitting{
		start: due, account: i, device: account.device + uint32(at), number: number,
		who: newWho(profile, household, kind), place: uint8(account.home.zone()) << stateBits,
		next: account.playing,
	}
	account.playing = f.current + 1
	views := random.At(f.viewKey(s), 0)
	if live {
		f.kind = f.join(s, due, &views)
	} else {
		if !f.quiet && stream.Chance(f.model.Devices[kind].Offline) {
			s.view = offlineView
			views = random.At(f.viewKey(s), 0)
		}
		f.kind = f.sit(s, &account.shelf, &views)
	}
	f.hold(s, &views)
	s.drawn = uint16(views.Counter())
	f.count(false, s.inProgress())
	f.file(f.current, s)
	return true
}

// freeProfile draws one of the profiles, of those not taken; 0: they all are.
func freeProfile(taken uint8, profiles int, stream *random.Stream) uint8 {
	first := stream.Intn(profiles)
	for k := range profiles {
		if p := uint8(1 + (first+k)%profiles); taken&(1<<p) == 0 {
			return p
		}
	}
	return 0
}

// sittingNumber is of what a sitting's key gives beside the keys of its views.
const sittingNumber = 1 << 20

const allTaken = 1<<8 - 1

// taken has a bit for each profile that plays on a device of the household; all of
// them if the device itself is busy.
func (f *Fleet) taken(account *account, device uint32, household uint8) (profiles uint8) {
	for slot := account.playing; slot != 0; {
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
