package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
)

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
	stream := random.At(f.sittingKey(i, number), sittingNumber)
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
