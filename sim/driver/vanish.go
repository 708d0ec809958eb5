package driver

import (
	"math/rand/v2"
	"sync/atomic"
)

// vanished is which devices say nothing. May be used by many goroutines.
type vanished struct{ now atomic.Pointer[vanishing] }

type vanishing struct {
	share float64 // of the devices, 0 … 1
	seed  uint64  // which
}

// Vanish makes a share of the devices, 0 … 1, fall silent from now on, the same ones for
// the same seed; 0 ends that. What they would have said is not due.
func (d *Driver) Vanish(share float64, seed uint64) {
	if share == 0 {
		d.vanished.now.Store(nil)
		return
	}
	d.vanished.now.Store(&vanishing{share, seed})
}

// has says whether a device is one of those.
func (v *vanished) has(device int32) bool {
	now := v.now.Load()
	return now != nil && rand.New(rand.NewPCG(now.seed, uint64(device))).Float64() < now.share
}
