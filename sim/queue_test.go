package sim

import (
	"slices"
	"testing"

	"github.com/playhead-load/playhead/sim/random"
)

// Each device is pushed again and again, near and far beyond the wheel's reach;
// what is popped must be what a sorted list gives.
func TestTheQueueIsInOrder(t *testing.T) {
	for _, width := range []int64{1, 37, 1000} {
		const devices, begin = 300, 1_000_000_007
		q := newQueue(devices, begin, width)
		reach := width * fineBuckets * coarseBuckets
		stream := random.At(random.Key(uint64(width), 0, 0), 0)
		var waiting []entry
		push := func(device int32, now int64) {
			after := []int64{0, 1, width, 3 * width, width * fineBuckets, reach / 7, reach / 2, reach + reach/3}
			due := now + int64(stream.Intn(int(after[stream.Intn(len(after))])+1))
			q.push(device, due)
			e := entry{due, device}
			at, _ := slices.BinarySearchFunc(waiting, e, compareEntries)
			waiting = slices.Insert(waiting, at, e)
		}
		for device := range int32(devices) {
			push(device, begin)
		}
		now := int64(begin)
		for range 5000 {
			now = max(now, waiting[0].due-int64(stream.Intn(3)))
			device, ok := q.pop(now)
			if want := waiting[0]; ok != (want.due <= now) || ok && device != want.device {
				t.Fatalf("width %d, until %d: got %d, %v, want %+v", width, now, device, ok, want)
			}
			if ok {
				now = waiting[0].due
				waiting = waiting[1:]
				push(device, now)
			}
		}
	}
}
