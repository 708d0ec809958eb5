package sim

import (
	"math/bits"

	"github.com/playhead-load/playhead/sim/population"
)

// home is what sittings need of an account: which devices it has, how many profiles,
// and where it is.
type home uint32

const (
	kindBits     = 2 // population.MaxDevices has as many for a household
	profilesFrom = population.MaxDevices
	zoneFrom     = profilesFrom + profileBits
)

func homeOf(owner *population.Account) home {
	h := home(owner.Profiles)<<profilesFrom | home(owner.Zone)<<zoneFrom
	for _, device := range owner.Devices() {
		h |= 1 << (device.Household<<kindBits | device.Kind)
	}
	return h
}

func (h home) profiles() int { return int(h >> profilesFrom & (1<<profileBits - 1)) }
func (h home) zone() int     { return int(h >> zoneFrom) }

// devices has a bit for each device, in the order of their numbers.
func (h home) devices() uint16 { return uint16(h) }

// device is what device number at is, 0 the first.
func (h home) device(at int) (household, kind uint8) {
	devices := h.devices()
	for range at {
		devices &= devices - 1
	}
	return firstDevice(devices)
}

func firstDevice(devices uint16) (household, kind uint8) {
	first := uint8(bits.TrailingZeros16(devices))
	return first >> kindBits, first & (1<<kindBits - 1)
}
