package sim

import (
	"cmp"
	"slices"
	"testing"

	"github.com/playhead-load/playhead/sim/random"
)

func compareLate(a, b lateWait) int {
	return cmp.Or(cmp.Compare(a.due, b.due), compareRanks(a.wait, b.wait))
}

// TestTheWheelIsInOrder: each ref is pushed again and again, near, far and in line; what is
// popped must be what a sorted list gives. Many are due in the same millisecond, where the
// rank decides. Slabs have two chunks, so that there are many.
func TestTheWheelIsInOrder(t *testing.T) {
	for _, setting := range []struct {
		perMS    float64
		least    int64
		together int // of 200 are due at once
	}{{0.001, 60_000, 1}, {70, 60_000, 1}, {0.1, 4, 100}, {4000, 60_000, 200}, {9000, 60_000, 200}} {
		const refs, begin = 300, 1_000_000_007
		w := newWheel(begin, setting.perMS, setting.least, refs)
		w.slabShift = chunkShift + 1
		stream := random.At(random.Key(uint64(w.shift), 0, 0), 0)
		var waiting []lateWait
		together := int64(begin)
		insert := func(l lateWait) {
			at, _ := slices.BinarySearchFunc(waiting, l, compareLate)
			waiting = slices.Insert(waiting, at, l)
		}
		push := func(r ref, now int64) {
			after := []int64{0, 1, 1 << w.shift, 3 << w.shift, 1 << nearBits, 1<<nearBits - 1, 1 << farBits, maxAhead / 2, maxAhead - widestMS}
			due := now + int64(stream.Intn(int(after[stream.Intn(len(after))])+1))
			if stream.Intn(200) < setting.together {
				together = max(together, now+int64(stream.Intn(1<<nearBits)))
				due = together
			}
			l := lateWait{due, wait{due: uint32(due), ref: r, device: uint32(r) * 7 % 311}}
			w.push(l.wait, due)
			insert(l)
		}
		for r := range ref(refs) {
			push(r, begin)
		}
		now, again := int64(begin), 0
		for range 4000 {
			now = max(now, waiting[0].due-int64(stream.Intn(3)))
			if line, first := &w.line, waiting[0]; line.first.before(w.bound) && line.first.due <= now && stream.Intn(2) > 0 {
				next := moment{line.first.due + setting.least, line.first.rank}
				if got := *line.at(line.taken); got != first.wait || line.first != (moment{first.due, first.rank()}) {
					t.Fatalf("window of %d ms: %+v is first in line, as of %+v, want %+v", 1<<w.shift, got, line.first, first)
				}
				if line.last.before(next) {
					now, again = first.due, again+1
					line.again(next)
					first.due, first.wait.due = next.due, uint32(next.due)
					waiting = waiting[1:]
					insert(first)
					continue
				}
			}
			got, due := w.pop(now)
			if want := waiting[0]; (got != nil) != (want.due <= now) || got != nil && (*got != want.wait || due != want.due) {
				t.Fatalf("window of %d ms, until %d: got %v at %d, want %+v", 1<<w.shift, now, got, due, want)
			}
			if got == nil {
				continue
			}
			now = due
			r := got.ref
			waiting = waiting[1:]
			if stream.Intn(3) > 0 {
				push(r, now)
				continue
			}
			l := lateWait{now + setting.least - int64(stream.Intn(2))*setting.least/2, *got} // half of them are not due after all in line
			l.wait.due = uint32(l.due)
			w.pushInLine(l.wait, l.due)
			insert(l)
		}
		if again < 10 || len(w.places) < 10 {
			t.Errorf("window of %d ms: %d went again, in %d slabs: too few to tell", 1<<w.shift, again, len(w.places))
		}
	}
}
