package sim

import (
	"errors"
	"math"

	"github.com/playhead-load/playhead/sim/random"
)

// preRollMS is how long the plan runs before the fleet's beginning: hardly a
// sitting is longer.
const preRollMS = 5 * hourMS

// settledAtOnce is the share of the accounts that are settled before NewFleet tells so.
const settledAtOnce = 1.0 / 64

// settle gives each account its devices, what some viewer of the sample has left
// half-way, and its plan from the hours before the start on. No account looks at another,
// so that one after the other is played up to the start, while its memory is at hand.
func (f *Fleet) settle(options *FleetOptions) {
	memories := random.NewFamily(options.Seed, memoryDomain)
	start, rampMS := int64(options.StartMS), options.WarmUpMS
	if keepalive := options.KeepaliveMS; rampMS > keepalive {
		rampMS -= rampMS % keepalive // a part of an interval would be a wave in the keepalives that does not end
	}
	told := -1.0
	for i := range f.accounts {
		if done := float64(i) / float64(len(f.accounts)); done >= told+settledAtOnce && options.Progress != nil {
			options.Progress(done)
			told = done
		}
		owner := f.population.Account(f.first + i)
		account := &f.accounts[i]
		account.device, account.home = uint32(f.devices), homeOf(&owner)
		f.devices += len(owner.Devices())
		account.shelf.fill(options.Sittings.left, owner.Profiles, random.At(memories.Key(uint64(f.first+i)), 0))
		f.preRoll(uint32(i), start)
		f.introduce(account, start, rampMS)
	}
	if f.devices > math.MaxInt32 {
		panic(errors.New("sim: more devices than an int32 can number"))
	}
}

// fill puts what some of left have left half-way.
func (l *shelf) fill(left []bookmark, profiles int, stream random.Stream) {
	for profile := uint8(1); int(profile) <= min(profiles, len(l)); profile++ {
		remembered := left[stream.Intn(len(left))]
		if remembered.title == 0 {
			continue
		}
		remembered.viewer, remembered.known = newWho(profile, 0, 0).viewer(), false
		l.put(remembered)
	}
}

// preRoll plays an account's hours before start without telling anybody.
func (f *Fleet) preRoll(i uint32, start int64) {
	f.quiet = true
	arrival, arrivalDue := f.nextArrival(i, start-preRollMS)
	for {
		slot, due := f.firstPlaying(i)
		if min(arrivalDue, due) >= start {
			break
		}
		if arrivalDue <= due {
			f.now = arrivalDue
			_, arrival, arrivalDue = f.arrive(arrival.ref, arrivalDue)
			continue
		}
		f.now, f.current = due, slot
		f.turnOf(f.sittings.at(slot))
		if f.ended {
			f.release()
		}
	}
	f.quiet = false
	f.wheel.push(arrival, arrivalDue)
}

// firstPlaying is the sitting of an account that is due first; due is nothing if there is none.
func (f *Fleet) firstPlaying(i uint32) (first uint32, due int64) {
	due = nothing
	device := uint32(0)
	for next := f.accounts[i].playing; next != 0; {
		s := f.sittings.at(next - 1)
		if d := s.due(); d < due || d == due && s.device < device {
			first, due, device = next-1, d, s.device
		}
		next = s.next
	}
	return first, due
}

// introduce plans when the playbacks of an account that began before the fleet are
// announced, each at a moment in the warm-up, and files what is due next there.
func (f *Fleet) introduce(account *account, start, rampMS int64) {
	for slot := account.playing; slot != 0; {
		s := f.sittings.at(slot - 1)
		if s.inProgress() {
			stream := random.At(f.viewKey(s), uint32(s.drawn))
			after := int64(stream.Float64() * float64(rampMS))
			s.drawn = uint16(stream.Counter())
			s.keepalive = int32(start + after - s.start)
		}
		f.file(slot-1, s)
		slot = s.next
	}
}
